#!/usr/bin/env bash
# Runs every fuzz target for a while. SECONDS_EACH bounds one (default 60).
. "$(dirname "$0")/lib.sh"
need cargo-fuzz "cargo install cargo-fuzz, with a nightly toolchain"
export CARGO_TARGET_DIR="$cache/fuzz"
for target in $(cargo +nightly fuzz list); do
  step "fuzzing $target"
  cargo +nightly fuzz run "$target" -- -max_total_time="${SECONDS_EACH:-60}" -rss_limit_mb=2048
done
