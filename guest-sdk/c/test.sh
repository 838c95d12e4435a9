#!/bin/sh
# Builds the tests of a projection natively and runs them: test.sh FILE...
#
#   CC       the compiler [default: cc]
#   CFLAGS   more options for it, such as -fsanitize=address,undefined
set -eu

if [ $# -lt 1 ]; then
    echo "usage: test.sh FILE..." >&2
    exit 2
fi
sdk=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# CFLAGS is a list of options.
# shellcheck disable=SC2086
"${CC:-cc}" -std=gnu11 -g -Wall -Wextra -Wno-missing-field-initializers -I "$sdk/include" ${CFLAGS:-} \
    "$sdk"/src/*.c "$sdk"/src/testing/*.c "$@" -o "$folder/tests"
"$folder/tests"
