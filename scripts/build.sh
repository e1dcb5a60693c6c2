#!/usr/bin/env bash
# Builds the web UI and the binary that `make run` starts.
. "$(dirname "$0")/lib.sh"
need_build_tools
scripts/ui.sh
step "building orrery (the first time takes some minutes)"
cargo build --profile fast --package orrery
