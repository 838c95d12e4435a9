#!/usr/bin/env bash
#
# Builds every Rust guest in examples/, and the conformance guest of the Rust SDK, into target/guests/NAME.wasm.
#
# A guest needs Rust's standard library for wasm. This script takes the first way that works:
#
#   installed  the toolchain has the target wasm32-unknown-unknown already;
#   rustup     `rustup target add` fetches it;
#   debian     Debian's rustc-web, cargo-web and rust-web-src build the library from its source.
#
# KENNEL_GUESTS_WAY=installed|rustup|debian tries only that one. Running it again is quick. What it
# makes are core modules with their world inside: `kennel deploy` wraps them into components.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=wasm32-unknown-unknown
build_dir=$root/target/guests-build
guests_dir=$root/target/guests
# Left behind once the Debian way has worked, so that later runs do not wait for the network again.
debian_worked=$build_dir/.debian-worked
debian_packages=(rustc-web cargo-web rust-web-src)

# Flags that are meant for the host's code would break a guest, or build it anew every time.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_BUILD_RUSTFLAGS RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
export CARGO_TARGET_DIR=$build_dir

say() { printf 'guests: %s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# The rustup proxies obey rust-toolchain.toml, which is found from the working directory upwards.
cd "$root/examples"

# --- the target is installed, or rustup installs it ------------------------------------------------

target_is_installed() {
  local library
  have cargo && library=$(rustc --print target-libdir --target "$target" 2>/dev/null) &&
    compgen -G "$library/libcore-*.rlib" >/dev/null
}

# Asks whether rustup's server answers, because rustup itself tries for minutes when it does not.
rustup_server_answers() {
  [[ -n ${https_proxy:-}${HTTPS_PROXY:-}${RUSTUP_DIST_SERVER:-} ]] ||
    timeout 5 bash -c ': >/dev/tcp/static.rust-lang.org/443' 2>/dev/null
}

add_target_by_rustup() {
  have rustup && rustup_server_answers || return 1
  say "rustup target add $target"
  timeout 300 rustup target add "$target" >/dev/null 2>&1 && target_is_installed
}

build_with_target() {
  cargo build --release --locked --target "$target"
}

# --- Debian's Rust builds the standard library -----------------------------------------------------

# Whether /usr/bin/rustc is new enough for the guests and has the library's source beside it.
debian_rust_is_installed() {
  local needed found
  needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/examples/Cargo.toml")
  [[ -x /usr/bin/cargo && -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml ]] || return 1
  found=$(/usr/bin/rustc --version | cut -d' ' -f2)
  [[ $(printf '%s\n' "$needed" "$found" | sort -V | head -n1) == "$needed" ]]
}

apt_install() {
  have apt-get || return 1
  say "apt-get install $*"
  as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
    { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1
}

# A linker for wasm: the one inside a rustup toolchain, or LLVM's.
find_linker() {
  local sysroot candidate
  sysroot=$(rustc --print sysroot 2>/dev/null || true)
  for candidate in "$sysroot"/lib/rustlib/*/bin/rust-lld /usr/bin/wasm-ld /usr/bin/wasm-ld-[0-9]*; do
    if [[ -n $candidate && -x $candidate ]]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  return 1
}

prepare_debian() {
  debian_rust_is_installed || { apt_install "${debian_packages[@]}" && debian_rust_is_installed; } || return 1
  find_linker >/dev/null || apt_install lld
  find_linker >/dev/null
}

build_with_debian() {
  # RUSTC_BOOTSTRAP admits -Zbuild-std to a stable compiler.
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(find_linker) \
    /usr/bin/cargo build --release --locked --target "$target" -Zbuild-std=std,panic_abort
}

# --- the choice ------------------------------------------------------------------------------------

way_is_possible() {
  case $1 in
    installed) target_is_installed ;;
    rustup) [[ -n ${KENNEL_GUESTS_WAY:-} || ! -e $debian_worked ]] && add_target_by_rustup ;;
    debian) prepare_debian ;;
    *) say "KENNEL_GUESTS_WAY=$1 is none of installed, rustup, debian" && return 1 ;;
  esac
}

choose_way() {
  local way
  for way in ${KENNEL_GUESTS_WAY:-installed rustup debian}; do
    if way_is_possible "$way"; then
      printf '%s\n' "$way"
      return 0
    fi
  done
  cat >&2 <<END
guests: cannot build the guests: there is no Rust standard library for $target.
Do one of these, then run this again:
  - with rustup and the network:  rustup target add $target
  - on Debian:                    apt-get install ${debian_packages[*]} lld
END
  return 1
}

# Copies a guest only if it has changed, and never leaves half a file under its name.
install_guest() {
  local name=$1 built=$build_dir/$target/release/${1//-/_}.wasm guest=$guests_dir/$1.wasm
  if ! cmp -s "$built" "$guest"; then
    cp "$built" "$guest.new"
    mv "$guest.new" "$guest"
  fi
  printf '%-16s %7d bytes  %s\n' "$name" "$(wc -c <"$guest")" "${guest#"$root"/}"
}

mkdir -p "$build_dir" "$guests_dir"
case $(choose_way) in
  installed | rustup) build_with_target ;;
  debian) build_with_debian && touch "$debian_worked" ;;
  *) exit 1 ;;
esac
# Guests are libraries for wasm; the programs that embed Kennel are not.
for manifest in */Cargo.toml ../guest-sdk/rust/conformance/Cargo.toml; do
  if grep -q cdylib "$manifest"; then install_guest "$(basename "${manifest%/Cargo.toml}")"; fi
done
