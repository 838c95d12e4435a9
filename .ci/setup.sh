#!/usr/bin/env bash
#
# Installs the tools that are missing for the purposes named, and is quick when none is:
#
#   build   a C compiler, pkg-config, make, and the Rust toolchain of rust-toolchain.toml
#   test    the above, the programs of a PostgreSQL server, PgBouncer, Prometheus, a registry of OCI artifacts, Schemathesis,
#           and clang for wasm. Compilers of other languages that are missing are fetched by `kennel build`
#   lint    what build needs, and typos, shellcheck, cargo-deny and the schemas of Kubernetes
#
# Debian's packages need root or sudo, but only where one is missing. Nothing is left running.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; elif [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
}

apt_install() {
  have apt-get || return 1
  say "apt-get install $*"
  local log
  log=$(mktemp)
  # Debian's packages print a lot: it is of interest only when the installation fails.
  if { as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive ${RUNLEVEL:+"RUNLEVEL=$RUNLEVEL"} apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
    rm "$log"
  else
    cat "$log" >&2
    rm "$log"
    return 1
  fi
}

need_packages() {
  local missing=()
  have cc || missing+=(gcc libc6-dev)
  have make || missing+=(make)
  have pkg-config || missing+=(pkg-config)
  [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}" ||
    die "install ${missing[*]} with your system's package manager, then run this again"
}

need_rust() {
  have cargo || die "install Rust from https://rustup.rs, then run this again"
  # The first call in the repository makes rustup fetch the toolchain that rust-toolchain.toml names.
  cargo --version >/dev/null || die "the toolchain that rust-toolchain.toml names cannot be had: see above"
}

# A test run without a database leaves out what only a real one can show: fine at a desk, never in CI.
need_postgres() {
  have_postgres || apt_install postgresql || true
  if have_postgres; then return; fi
  [[ ${CI:-} != true ]] || die "initdb is missing: CI must run the PostgreSQL tests, so install postgresql"
  say "initdb is missing: tests that need PostgreSQL cannot run; install postgresql to include them"
}

# A pooler in front of PostgreSQL. Its package would start a server of its own: not in runlevel 1.
need_pgbouncer() {
  have_pgbouncer || RUNLEVEL=1 apt_install pgbouncer || true
  if have_pgbouncer; then return; fi
  [[ ${CI:-} != true ]] || die "pgbouncer is missing: CI must run the tests of poolers, so install pgbouncer"
  say "pgbouncer is missing: tests of poolers cannot run; install pgbouncer to include them"
}

need_prometheus() { need_unpacked prometheus prometheus_folder "prometheus and promtool" metrics; }
need_registry() { need_unpacked docker-registry registry_folder docker-registry "push and pull"; }

# Sees to it that function $2 finds what Debian's package $1 holds, programs $3, for the tests of $4.
need_unpacked() {
  if "$2" >/dev/null; then return; fi
  unpack "$1" || true
  if "$2" >/dev/null; then return; fi
  [[ ${CI:-} != true ]] || die "missing: $3; CI must run the tests of $4, so put that on PATH"
  say "missing: $3; tests of $4 cannot run; put that on PATH to include them"
}

# Puts the contents of Debian's package $1 into a folder among the tools. These packages would start a server when
# they are installed, some on a port that Kennel has by default. So they are only unpacked, which needs no root.
unpack() {
  have apt-get && have dpkg-deb || return 1
  say "apt-get download $1, unpacked into $tools"
  local download folder
  mkdir -p "$tools"
  download=$(mktemp -d "$tools/download.XXXXXX")
  # Only downloaded, not installed. A machine whose lists of packages are old has to fetch them first.
  if (cd "$download" && { apt-get download -qq "$1" || { as_root apt-get update -qq && apt-get download -qq "$1"; }; } &&
    dpkg-deb -x "$1"_*.deb unpacked) >"$download/log" 2>&1; then
    folder=$tools/$1-$(dpkg-deb -f "$download/$1"_*.deb Version)
    rm -rf "$folder"
    mv "$download/unpacked" "$folder"
  else
    cat "$download/log" >&2
  fi
  rm -rf "$download"
}

# The compiler of guests in C and C++. Its packages start nothing.
need_clang() {
  if have_clang; then return; fi
  apt_install clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc libc++-22-dev-wasm32 libc++abi-22-dev-wasm32 || true
  if have_clang; then return; fi
  [[ ${CI:-} != true ]] || die "clang for wasm is missing: CI must run guests in C, so install clang-22 with its libraries for wasm32"
  say "clang for wasm is missing: tests of guests in C cannot run; install clang-22 with its libraries for wasm32"
}

need_pip() {
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip
}

# Puts what the list $1 names into folder $2: files with these hashes and no others.
pip_install() {
  rm -rf "$2.new"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
    --only-binary :all: --require-hashes --requirement "$1" --target "$2.new" &&
    mv "$2.new" "$2"
}

need_python_tools() {
  if [[ -x $python_tools/bin/typos ]]; then return; fi
  need_pip || die "install Python 3 with pip, then run this again"
  say "pip install the checkers of .ci/python-tools.txt into $python_tools"
  pip_install .ci/python-tools.txt "$python_tools"
}

need_fuzz_tools() {
  if [[ -x $(fuzz_folder)/bin/schemathesis ]]; then return; fi
  if need_pip; then
    say "pip install Schemathesis by .ci/fuzz-tools.txt into $(fuzz_folder)"
    if pip_install .ci/fuzz-tools.txt "$(fuzz_folder)"; then return; fi
  fi
  [[ ${CI:-} != true ]] || die "schemathesis is missing: CI must fuzz the API, so see to it that pip can install .ci/fuzz-tools.txt"
  say "schemathesis is missing: the API cannot be fuzzed"
}

# Compiled from crates.io: some minutes, once per machine. Its speed does not matter here, so that it is
# compiled with few optimisations.
need_cargo_deny() {
  if [[ -x $cargo_deny ]]; then return; fi
  say "cargo install cargo-deny $cargo_deny_version into $tools (a few minutes, once)"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked "cargo-deny@$cargo_deny_version" \
    --root "$tools/cargo-deny-$cargo_deny_version" --target-dir "$tools/build"
  rm -rf "$tools/build"
}

need_packages
need_rust
case ${1:-} in
  build) ;;
  test)
    need_postgres
    need_pgbouncer
    need_prometheus
    need_registry
    need_fuzz_tools
    need_clang
    need_pip || say "Python 3 with pip is missing: tests of guests in some languages cannot run"
    ;;
  lint)
    need_python_tools
    need_cargo_deny
    ;;
  *) die "usage: .ci/setup.sh build|test|lint" ;;
esac
