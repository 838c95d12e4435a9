#!/usr/bin/env bash
#
# Builds the example and the conformance guest of each SDK that is not Rust's into target/guests/LANGUAGE/NAME.wasm, with
# `kennel build`, which fetches the compilers that are missing. KENNEL_BINARY names the `kennel` that builds.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for folder in guest-sdk/{c,go,python,typescript}/{conformance,examples/order-summary} guest-sdk/c/examples/order-summary-{cpp,zig}; do
  language=${folder#guest-sdk/}
  guest=target/guests/${language%%/*}/${folder##*/}.wasm
  mkdir -p "${guest%/*}"
  code=0
  "$KENNEL_BINARY" build "$folder" --output "$guest" || code=$?
  [[ $code -ne 0 ]] || continue
  rm -f "$guest"
  # 7: a tool is missing.
  [[ $code -eq 7 && ${CI:-} != true ]] || die "$guest cannot be built: see above"
  printf '%s\n' "$guest cannot be built: its tests are left out"
done
