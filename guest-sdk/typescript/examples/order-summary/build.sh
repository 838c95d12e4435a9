#!/usr/bin/env bash
# Builds the component order-summary.wasm beside this file, with Node.js 20 or later and the tools of package-lock.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -d node_modules ] || npm ci --no-audit --no-fund
npm run --silent build
node dist/build/cli.js build examples/order-summary/src/order-summary.ts -o examples/order-summary/order-summary.wasm
