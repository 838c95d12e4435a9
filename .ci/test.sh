#!/usr/bin/env bash
#
# Every test there is: the host's, the SDKs' and the examples', on components built here. Ends with the totals and with
# how long each part took.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
.ci/setup.sh test

say "guests"
.ci/guests.sh

results=$(mktemp)
trap 'rm -f "$results"' EXIT
failed=false

run_tests() {
  say "cargo test $*"
  cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$results" || failed=true
}

# The tests of the command use the one that is built with them, instead of asking cargo for another.
export KENNEL_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/debug/kennel
# Where the tests of metrics find `prometheus` and `promtool`. Empty where there are none.
KENNEL_PROMETHEUS_BIN=$(prometheus_folder || true)
export KENNEL_PROMETHEUS_BIN
# Where the tests of push and pull find `docker-registry`. Empty where it is missing.
KENNEL_REGISTRY_BIN=$(registry_folder || true)
export KENNEL_REGISTRY_BIN
# Where the test that fuzzes the API finds `schemathesis`.
KENNEL_FUZZ_BIN=$(fuzz_folder)/bin
export KENNEL_FUZZ_BIN

say "compile the tests"
cargo test --locked --no-run --workspace
say "guests of other languages"
.ci/language-guests.sh
run_tests --workspace
run_tests --manifest-path examples/Cargo.toml --workspace --target-dir "${CARGO_TARGET_DIR:-target}/examples"

# The SDKs of other languages have tests of their own, natively and without wasm: a folder, a program that they need,
# and what to run there.
run_natively() {
  say "$1: $3"
  if ! have "$2"; then
    [[ ${CI:-} != true ]] || die "$2 is missing: CI must run the tests of every SDK"
    printf '%s\n' "$2 is missing: these tests are left out"
    return
  fi
  (cd "$1" && PYTHONDONTWRITEBYTECODE=1 bash -c "$3") || failed=true
}
use_tools_of_kennel
run_natively guest-sdk/c cc './test.sh tests/*.c && tests/readme.sh'
run_natively guest-sdk/c/examples/order-summary cc '../../test.sh *.c'
run_natively guest-sdk/c/examples/order-summary-cpp c++ '../../test.sh *.cpp ../order-summary/order_summary_test.c'
run_natively guest-sdk/python python3 'PYTHONPATH=src python3 -m unittest discover -s tests'
run_natively guest-sdk/python/examples/order-summary python3 'PYTHONPATH=../../src python3 -m unittest'
# shellcheck disable=SC2016 # bash -c expands it
run_natively guest-sdk/go go 'test -z "$(gofmt -l .)" && go vet ./... && go test ./...'
run_natively guest-sdk/typescript npm 'npm ci --no-audit --no-fund --prefer-offline && npm test'

# "test result: ok. 12 passed; 0 failed; 1 ignored; ..." once per test binary.
read -r passed broken ignored < <(
  awk '/test result:/ {
         for (i = 2; i <= NF; i++) {
           if ($i ~ /^passed/) passed += $(i - 1)
           if ($i ~ /^failed/) broken += $(i - 1)
           if ($i ~ /^ignored/) ignored += $(i - 1)
         }
       }
       END { print passed + 0, broken + 0, ignored + 0 }' "$results"
)
print_times
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$broken" "$ignored"
[[ $failed == false && $broken -eq 0 ]] || die "tests failed: see above"
[[ $passed -gt 0 ]] || die "no test was run"
