#!/bin/sh
# Builds order_summary.wasm in this folder.
set -eu
cd "$(dirname "$0")"
../../build.sh order_summary.wasm order_summary.c
