#!/bin/sh
# Makes the component order-summary.wasm, in this folder or where the first argument says.
#
#     pip install componentize-py==0.25.1
set -eu

out=${1:-order-summary.wasm}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")"
componentize-py --quiet --world projection componentize order_summary \
    --python-path . --python-path ../../src --output "$out"
ls -l "$out"
