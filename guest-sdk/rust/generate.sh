#!/usr/bin/env bash
#
# Makes the files that are committed but not written by hand: the copy of the contract that the package carries, and the
# bindings that wit-bindgen makes of it. Run it after a change of wit/world.wit.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cp wit/world.wit guest-sdk/rust/wit/world.wit
KENNEL_GENERATE=1 cargo test --workspace --locked --test bindings
