#!/usr/bin/env bash
#
# Simulates the engine with fresh seeds until it is stopped (Ctrl-C) or a seed breaks a promise. The failing seed is
# printed with the command that runs it again.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
.ci/setup.sh build

count=1000
first=$(($(date +%s) * 1000))
cargo test --locked -p kennel-tests --test simulation --no-run
while true; do
  say "seeds $first to $((first + count - 1))"
  KENNEL_SIM_FIRST=$first KENNEL_SIM_COUNT=$count \
    cargo test --quiet --locked -p kennel-tests --test simulation -- the_promises
  first=$((first + count))
done
