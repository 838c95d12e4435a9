#!/usr/bin/env bash
# Copies the contract into the package, so that developers need nothing but the package. The bindings themselves
# (src/bindings.d.ts and the shapes in src/sys.ts) are written by hand: 3 interfaces, which a tool would only repeat.
set -euo pipefail
cd "$(dirname "$0")"
cp ../../wit/world.wit wit/world.wit
