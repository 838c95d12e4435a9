#!/bin/sh
# Builds a projection: build.sh OUTPUT.wasm FILE...
#
# A FILE is C (.c), C++ (.cpp, .cc, .cxx), Zig (.zig: the root, which imports the others), an object (.o, .a) or an
# option of the linker. The result deploys as it is. `build.sh --tools FILE...` only says what it would build with.
#
# The compiler is the first of these that makes WebAssembly with exceptions: clang of the wasi-sdk, clang 20 or newer on
# the PATH with its linker, builtins for wasm32 and wasi-libc, or zig. These say more:
#
#   CLANG            this compiler and no other
#   SYSROOT          where its C library is
#   WASI_SDK_PATH    where the wasi-sdk is [default: /opt/wasi-sdk]
#   ZIG              the zig to use where clang is missing, and for Zig [default: zig, else the Python package ziglang]
#   CFLAGS           more options for C and C++
#
# Exit codes: 0 built, 1 the compiler found errors, 2 wrong usage, 3 tools are missing.
set -eu

sdk=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# `setjmp` and `longjmp` by exceptions of WebAssembly, as they are standard.
exceptions='-mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false'
quiet='-Wno-deprecated -Wno-unused-command-line-argument'
warnings='-Wall -Wextra -Wno-missing-field-initializers'
# Undefined behavior of the projection is checked, so that it rejects the event with file and line.
checks='-fsanitize=undefined -fno-sanitize=function,vptr'
# So are indexes of the containers of C++; the other modes end without a message.
checks_cxx='-fno-exceptions -U_LIBCPP_HARDENING_MODE -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_DEBUG'

usage() {
    echo "usage: build.sh OUTPUT.wasm FILE..., or build.sh --tools FILE..." >&2
    exit 2
}

is_cxx() {
    case $1 in *.cpp | *.cc | *.cxx) true ;; *) false ;; esac
}

# Calls the compiler for wasm32, as one for C++ if the first argument says so.
compile() {
    mode=$1
    shift
    # Lists of options.
    # shellcheck disable=SC2086
    if [ -n "$clang" ]; then
        "$clang" "--driver-mode=$mode" $quiet --target="$triple" ${sysroot:+--sysroot="$sysroot"} \
            -O2 $exceptions "$@"
    else
        [ "$mode" = g++ ] && command=c++ || command=cc
        "$zig" "$command" -target wasm32-wasi -mcpu=generic+exception_handling+multivalue+reference_types \
            -O2 -fno-stack-protector -fno-sanitize-trap=undefined $exceptions "$@"
    fi
}

# Tries a compiler with one small program, for C++ if the projection is.
can_compile() {
    compile "$mode_of_all" -flto -fno-exceptions -mexec-model=reactor "$folder/try$extension" -o "$folder/try.wasm" \
        >/dev/null 2>"$folder/why"
}

try_clang() {
    clang=$1
    for triple in wasm32-wasip1 wasm32-wasi; do
        for sysroot in "${SYSROOT:-}" ${SYSROOT:-/usr/share/wasi-sysroot}; do
            if can_compile; then
                return 0
            fi
        done
    done
    echo "  $clang: $(grep -m 1 -i error "$folder/why" || echo 'it does not run')" >>"$folder/tried"
    clang=
    return 1
}

find_clang() {
    for candidate in ${CLANG:-"${WASI_SDK_PATH:-/opt/wasi-sdk}/bin/clang" clang-22 clang-21 clang-20 clang}; do
        if found=$(command -v "$candidate"); then
            try_clang "$found" && return 0
        elif [ -n "${CLANG:-}" ]; then
            echo "  $candidate: not found" >>"$folder/tried"
        fi
    done
    return 1
}

find_zig() {
    script='import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))'
    zig=${ZIG:-$(command -v zig || python3 -c "$script" 2>/dev/null)} || return 1
    if ! version=$("$zig" version 2>/dev/null) || [ -z "$version" ]; then
        echo "  $zig: it does not run" >>"$folder/tried"
        return 1
    fi
    can_compile && return 0
    echo "  $zig: $(grep -m 1 -i error "$folder/why" || echo 'it makes no exceptions')" >>"$folder/tried"
    return 1
}

say_missing() {
    if [ "$needs_zig" = yes ]; then
        echo "build.sh: zig 0.17 is missing, which Zig needs. Install one of these:"
    else
        echo "build.sh: a compiler for WebAssembly is missing. Install one of these:"
        echo "  Debian, Ubuntu:  apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc"
        echo "                   (for C++ also libc++-22-dev-wasm32 libc++abi-22-dev-wasm32)"
        echo "  everywhere:      wasi-sdk, https://github.com/WebAssembly/wasi-sdk/releases, and WASI_SDK_PATH"
    fi
    echo "  with Homebrew:   brew install zig"
    echo "  with Python:     pip install ziglang==0.17.1"
    if [ -s "$folder/tried" ]; then
        echo "tried:"
        cat "$folder/tried"
    fi
}

# Sets `clang`, `sysroot` and `triple`, or `zig`.
find_tools() {
    clang='' zig='' extension=.c mode_of_all=gcc needs_zig=no
    for file in "$@"; do
        if is_cxx "$file"; then
            extension=.cpp mode_of_all=g++
        fi
        case $file in *.zig) needs_zig=yes ;; esac
    done
    printf '#include <stdlib.h>\n%s\n__attribute__((export_name("f"))) void *f(void) { return malloc(1); }\n' \
        "$([ $extension = .c ] || echo '#include <string>')" >"$folder/try$extension"
    : >"$folder/tried"
    if [ "$needs_zig" = yes ] || ! find_clang; then
        if { [ -n "${CLANG:-}" ] && [ "$needs_zig" = no ]; } || ! find_zig; then
            say_missing >&2
            exit 3
        fi
    fi
}

print_tools() {
    if [ -n "$clang" ]; then
        echo "$("$clang" -dumpversion | sed 's/^/clang /') ($clang)${sysroot:+, C library in $sysroot}"
    else
        echo "zig $("$zig" version) ($zig)"
    fi
}

# Gives the name of an object that does not exist yet.
next_object() {
    objects=$((objects + 1))
    object="$folder/$(printf %05d "$objects").o"
}

build_zig() {
    [ -f "$folder/c.zig" ] ||
        "$zig" translate-c -target wasm32-wasi -lc -I "$sdk/include" "$sdk/include/kennel.h" >"$folder/c.zig"
    "$zig" build-obj -target wasm32-wasi -lc -O ReleaseSafe -fno-stack-check -fno-stack-protector \
        --name "root$objects" "-femit-bin=$object" \
        --dep kennel "-Mroot=$1" --dep c "-Mkennel=$sdk/zig/kennel.zig" "-Mc=$folder/c.zig"
}

build_one() {
    next_object
    case $1 in
    *.zig) build_zig "$1" ;;
    *.c)
        # shellcheck disable=SC2086
        compile gcc -std=gnu11 $warnings $checks "$prefixes" -I "$sdk/include" ${CFLAGS:-} -c "$1" -o "$object"
        ;;
    *)
        # shellcheck disable=SC2086
        compile g++ -std=c++20 $warnings $checks $checks_cxx "$prefixes" -I "$sdk/include" ${CFLAGS:-} -c "$1" \
            -o "$object"
        ;;
    esac
}

[ $# -ge 2 ] || usage
output=$1
shift
find_tools "$@"
if [ "$output" = --tools ]; then
    print_tools
    exit
fi

objects=0
prefixes="-ffile-prefix-map=$PWD/="
# The parts of the C library come first: zig's linker searches the library for a missing name at once.
for source in "$sdk/src/wasm/output.c" "$sdk"/src/*.c "$sdk"/src/wasm/[!o]*.c; do
    next_object
    # Optimized together, they cost a third less. Not so assembler, what takes the place of parts of the C library, and
    # the `setjmp`: clang takes it for granted that no function in C throws, as soon as it sees one whole.
    case $source in
    */call.c | */jump.c | */component_type.c | */output.c | */undefined.c) options='' ;;
    *) options=-flto ;;
    esac
    # shellcheck disable=SC2086
    compile gcc -std=c11 $warnings $options "-ffile-prefix-map=$sdk/=" -I "$sdk/include" -c "$source" -o "$object"
done
count=$#
while [ "$count" -gt 0 ]; do
    file=$1
    shift
    case $file in
    *.c | *.zig | *.cpp | *.cc | *.cxx) build_one "$file" || exit 1 ;;
    *) set -- "$@" "$file" ;;
    esac
    count=$((count - 1))
done
[ -n "$clang" ] && order=,--stack-first || order=
compile "$mode_of_all" -mexec-model=reactor "-Wl,--gc-sections,--strip-debug,-z,stack-size=262144$order" \
    "$folder"/*.o "$@" -o "$output"
