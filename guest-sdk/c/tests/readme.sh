#!/bin/sh
# The example of README.md is short, and its test passes.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The blocks of C: the projection, then its test.
awk -v folder="$folder" '
    /^```c$/ { block++; next }
    /^```/ { inside = 0 }
    block > before { before = block; inside = 1 }
    inside { print > (folder "/loyalty" (block == 1 ? "" : "_test") ".c") }
' README.md
lines=$(wc -l <"$folder/loyalty.c")
if [ "$lines" -gt 20 ]; then
    echo "readme.sh: the first example of README.md has $lines lines, more than 20" >&2
    exit 1
fi
./test.sh "$folder/loyalty.c" "$folder/loyalty_test.c"
