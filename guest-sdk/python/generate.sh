#!/bin/sh
# Makes the files that are committed but not written by hand: the copy of the contract that the package carries, and the bindings
# that componentize-py makes of it. Run it after a change of wit/world.wit.
#
#     pip install -r guest-sdk/python/build-requirements.txt
#     guest-sdk/python/generate.sh
set -eu

cd "$(dirname "$0")"
package=src/kennel_projection
COMPONENTIZE_PY_VERSION=$(sed -n 's/^componentize-py==\([^ ]*\).*/\1/p' build-requirements.txt)

found=$(componentize-py --version)
if [ "$found" != "componentize-py $COMPONENTIZE_PY_VERSION" ]; then
    echo "generate.sh: found $found; it takes: pip install componentize-py==$COMPONENTIZE_PY_VERSION" >&2
    exit 1
fi

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

cp ../../wit/world.wit "$package/wit/world.wit"
componentize-py --quiet --wit-path "$package/wit" --world projection --world-module kennel_projection._bindings \
    bindings "$made/out"
rm -rf "$package/_bindings"
cp -R "$made/out/kennel_projection/_bindings" "$package/_bindings"
# White space at the ends of lines is none of our style.
find "$package/_bindings" -name '*.py' -exec sed -i -e 's/[ \t]*$//' {} +
