#!/usr/bin/env bash
#
# Everything that can be said about the code without running it. Stops at the first complaint.
set -euo pipefail
# shellcheck source=.ci/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
.ci/setup.sh lint

say "rustfmt"
cargo fmt --all --check
cargo fmt --manifest-path examples/Cargo.toml --all --check
rustfmt --check --edition 2024 guest-sdk/rust/template/src/lib.rs

say "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

say "clippy on the examples"
cargo clippy --manifest-path examples/Cargo.toml --workspace --all-targets --locked \
  --target-dir "${CARGO_TARGET_DIR:-target}/examples" -- -D warnings

say "rustdoc"
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

say "typos"
"$python_tools/bin/typos"

say "shellcheck"
shellcheck=$python_tools/bin/shellcheck
[[ -x $shellcheck ]] || shellcheck=$(command -v shellcheck || true)
if [[ -n $shellcheck ]]; then
  "$shellcheck" --external-sources .ci/*.sh .ci/run
else
  say "shellcheck: NOT CHECKED, it is not installed and PyPI has none for this machine"
fi

say "Kubernetes manifests"
PYTHONPATH=$python_tools python3 .ci/manifests.py

# Both workspaces go by the one deny.toml; its exceptions are the main workspace's.
deny() {
  "$cargo_deny" --locked check --hide-inclusion-graph -D unmatched-skip -D unnecessary-skip "$@"
  (cd examples && "$cargo_deny" --locked --config ../deny.toml check --hide-inclusion-graph \
    -A unmatched-skip -A unnecessary-skip -A unmatched-skip-root -A license-not-encountered \
    -A license-exception-not-encountered "$@")
}

say "cargo deny: licences, duplicates, sources"
deny licenses bans sources

# The advisories are in a git repository: where it cannot be reached, say so instead of passing.
if timeout 120 "$cargo_deny" --config deny.toml fetch db >/dev/null 2>&1; then
  say "cargo deny: advisories"
  deny --disable-fetch advisories
else
  say "cargo deny: advisories NOT CHECKED, the advisory database cannot be fetched from here"
fi

print_times
say "lint: all is well"
