# shellcheck shell=bash
#
# What the other scripts here share. Sourced, not run: it goes to the repository's root and says where tools are.
#
# shellcheck disable=SC2034 # its variables are for those who source it
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

say() { printf '== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Where `prometheus` and `promtool` are: on PATH or unpacked among the tools. Fails where they are missing.
prometheus_folder() {
  if have prometheus && have promtool; then
    dirname "$(command -v prometheus)"
  else
    compgen -G "$tools/prometheus-*/usr/bin" | sort -V | tail -n1 | grep .
  fi
}

# Whether the programs of a PostgreSQL server are here, on PATH or where Debian keeps them.
have_postgres() {
  have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}
