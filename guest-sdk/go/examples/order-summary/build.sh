#!/bin/sh
# Builds order-summary.wasm in this folder, or at the path given, with Go 1.24 or later; tried with 1.27.3. The host
# makes it a component when it is deployed.
set -eu
cd "$(dirname "$0")"
out=${1:-order-summary.wasm}

command -v go >/dev/null || { echo "go is missing: install it and run this again" >&2; exit 1; }
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o "$out" .
wc -c "$out"
