#!/bin/sh
# Builds order-summary.wasm, a component, in this folder or at the path given. It needs
#   go          1.24 or later; tried with 1.27.3
#   wasm-tools  tried with 1.262.0
#   the adapter for reactors that the README of the SDK names, at the path in WASI_ADAPTER
set -eu
cd "$(dirname "$0")"
out=${1:-order-summary.wasm}
adapter=${WASI_ADAPTER:?is not set: name the file wasi_snapshot_preview1.reactor.wasm}

for tool in go wasm-tools; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: install it and run this again" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o "$work/core.wasm" .
wasm-tools component embed ../../../../wit --world projection "$work/core.wasm" -o "$work/embedded.wasm"
wasm-tools component new "$work/embedded.wasm" --adapt "wasi_snapshot_preview1=$adapter" -o "$out"
wc -c "$out"
