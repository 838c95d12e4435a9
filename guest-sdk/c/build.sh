#!/bin/sh
# Builds a projection: build.sh OUTPUT.wasm FILE...
#
# Files are C (`.c`), objects (`.o`, `.a`) or options for the linker. The result deploys as it is.
#
#   CLANG      the compiler: clang 22 with its linker and the builtins for wasm32 [default: clang-22, else clang]
#   SYSROOT    where the C library for wasm32-wasi is, if the compiler does not find it by itself
#   CFLAGS     more options for the compiler
set -eu

if [ $# -lt 2 ]; then
    echo "usage: build.sh OUTPUT.wasm FILE..." >&2
    exit 2
fi
output=$1
shift
sdk=$(cd "$(dirname "$0")" && pwd)

if [ -z "${CLANG:-}" ]; then
    CLANG=$(command -v clang-22 || command -v clang) || {
        echo "build.sh: clang is missing: install clang 22, lld 22, its builtins for wasm32 and wasi-libc" >&2
        echo "          (Debian: clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc)" >&2
        exit 1
    }
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

compile() {
    # CFLAGS is a list of options.
    # shellcheck disable=SC2086
    "$CLANG" --target=wasm32-wasi ${SYSROOT:+--sysroot="$SYSROOT"} \
        -O2 -Wall -Wextra -Wno-deprecated -Wno-missing-field-initializers -I "$sdk/include" \
        -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false \
        "-ffile-prefix-map=$sdk/=" "-ffile-prefix-map=$PWD/=" ${CFLAGS:-} "$@"
}

# Undefined behavior of the projection is checked, so that it rejects the event with file and line.
for source in "$sdk"/src/*.c "$sdk"/src/wasm/*.c; do
    compile -std=c11 -c "$source" -o "$folder/$(basename "$(dirname "$source")")-$(basename "$source" .c).o"
done
compile -std=c11 -fsanitize=undefined -fno-sanitize=function -mexec-model=reactor \
    -Wl,--gc-sections,--strip-debug,--stack-first,-z,stack-size=262144 "$folder"/*.o "$@" -o "$output"
