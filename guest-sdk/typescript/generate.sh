#!/usr/bin/env bash
# Copies the contract into the package, so that developers need nothing but the package, and pins the packages of the
# templates. The bindings themselves (src/bindings.d.ts and the shapes in src/sys.ts) are written by hand: 3 interfaces,
# which a tool would only repeat.
set -euo pipefail
cd "$(dirname "$0")"
cp ../../wit/world.wit wit/world.wit

project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
for template in template template-javascript; do
  mkdir -p "$project/$template/sdk"
  cp "$template/package.json" "$project/$template/"
  cp "$template/npmrc" "$project/$template/.npmrc"
  cp package.json "$project/$template/sdk/"
  (cd "$project/$template" && npm install --package-lock-only --no-audit --no-fund --loglevel=error)
  cp "$project/$template/package-lock.json" "$template/"
done
