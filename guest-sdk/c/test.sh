#!/bin/sh
# Builds the tests of a projection natively and runs them: test.sh FILE...
#
# A FILE is C (.c), C++ (.cpp, .cc, .cxx) or Zig (.zig: the root, which imports the others).
#
#   CC, CXX, ZIG   the compilers [default: cc, c++, zig]
#   CFLAGS         more options for C and C++, such as -fsanitize=address,undefined
set -eu

if [ $# -lt 1 ]; then
    echo "usage: test.sh FILE..." >&2
    exit 2
fi
sdk=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
linker=${CC:-cc}
options=''
objects=0

compile() {
    objects=$((objects + 1))
    # CFLAGS is a list of options.
    # shellcheck disable=SC2086
    "$@" -g -Wall -Wextra -Wno-missing-field-initializers -I "$sdk/include" ${CFLAGS:-} -c "$file" \
        -o "$folder/$objects.o"
}

compile_zig() {
    zig=${ZIG:-zig}
    "$zig" translate-c -lc -I "$sdk/include" "$sdk/include/kennel.h" >"$folder/c.zig"
    "$zig" build-obj -lc -fPIE -fno-stack-check --dep kennel "-Mroot=$file" --dep c "-Mkennel=$sdk/zig/kennel.zig" \
        "-Mc=$folder/c.zig" "-femit-bin=$folder/zig.o"
    # Zig's objects do not say that they need no executable stack.
    [ "$(uname)" != Linux ] || options=-Wl,-z,noexecstack
}

for file in "$sdk"/src/*.c "$sdk"/src/testing/*.c "$@"; do
    case $file in
    *.c) compile "${CC:-cc}" -std=gnu11 ;;
    *.zig) compile_zig ;;
    *)
        linker=${CXX:-c++}
        compile "$linker" -std=c++20
        ;;
    esac
done
# shellcheck disable=SC2086
"$linker" ${CFLAGS:-} $options "$folder"/*.o -o "$folder/tests"
"$folder/tests"
