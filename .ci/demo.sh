#!/usr/bin/env bash
#
# Builds host and guests and runs `kennel demo`; arguments are passed on.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What the demo prints may be read by a program (--json): everything before goes to standard error.
{
  .ci/setup.sh build
  say "guests"
  .ci/guests.sh
  say "kennel"
  cargo build --release --locked -p kennel-cli
} >&2

exec "${CARGO_TARGET_DIR:-target}/release/kennel" demo "$@"
