#!/usr/bin/env bash
# Measures this node beside Prometheus and VictoriaMetrics on this machine: same data, same sender, one after another.
# Then log lines: what taking, keeping and finding them costs, beside programs at addresses that are given.
# Then traces by OTLP: what taking, keeping and finding spans costs.
# Then four clusters and a hub over mutual TLS: what a global sum moves, and how long it takes beside one cluster.
#   SCALE=smoke|full       three minutes that show that it works (the default), or what claims are made from
#   ORRERY_BINARY PROMETHEUS_BINARY VICTORIA_METRICS_BINARY    other binaries than the usual ones
#   ONLY=peers|logs|traces|fleet  one of them
#   BENCH_ARGS LOGS_ARGS TRACES_ARGS FLEET_ARGS    further arguments of `orrery bench peers`, `… logs`, `… traces` and `… fleet`
#   BENCH_DIR              where the programs keep their data meanwhile; tables, bench.json, logs.json, traces.json and fleet.json stay there
. "$(dirname "$0")/lib.sh"
binary="${ORRERY_BINARY:-$CARGO_TARGET_DIR/fast/orrery}"
dir="${BENCH_DIR:-$cache/bench}"
mkdir -p "$dir"
[ -x "$binary" ] || die "$binary is missing: make build"

programs=()
# peer NAME PATH PACKAGE: measured when it is there, installed when that is allowed, else named as missing.
peer() {
  local path="$2"
  if ! [ -x "$path" ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get install -y --no-install-recommends "$3" > "$dir/install.log" 2>&1 || true
  fi
  if [ -x "$path" ]; then
    programs+=(--program "$1=$path")
  else
    printf 'not measured: %s is missing at %s (Debian: apt-get install %s)\n' "$1" "$path" "$3" >&2
  fi
}

programs() {
  programs=(--program "orrery=$binary")
  peer prometheus "${PROMETHEUS_BINARY:-/usr/bin/prometheus}" prometheus
  peer victoria-metrics "${VICTORIA_METRICS_BINARY:-/usr/bin/victoria-metrics}" victoria-metrics
}

# shellcheck disable=SC2086 # Arguments are meant to be several.
peers() {
  "$binary" bench peers "${programs[@]}" --scale "${SCALE:-smoke}" --dir "$dir" \
    --json-file "$dir/bench.json" ${BENCH_ARGS:-} | tee "$dir/table.txt"
  printf 'figures: %s\n' "$dir/bench.json"
}

# shellcheck disable=SC2086
fleet() {
  "$binary" bench fleet --scale "${SCALE:-smoke}" --dir "$dir/fleet" \
    --json-file "$dir/fleet.json" ${FLEET_ARGS:-} | tee "$dir/fleet.txt"
  printf 'figures: %s\n' "$dir/fleet.json"
}

# shellcheck disable=SC2086
logs() {
  "$binary" bench logs --scale "${SCALE:-smoke}" --dir "$dir/logs" \
    --json-file "$dir/logs.json" ${LOGS_ARGS:-} | tee "$dir/logs.txt"
  printf 'figures: %s\n' "$dir/logs.json"
}

# shellcheck disable=SC2086
traces() {
  "$binary" bench traces --scale "${SCALE:-smoke}" --dir "$dir/traces" \
    --json-file "$dir/traces.json" ${TRACES_ARGS:-} | tee "$dir/traces.txt"
  printf 'figures: %s\n' "$dir/traces.json"
}

case "${ONLY:-all}" in
  all) programs; peers; logs; traces; fleet ;;
  peers) programs; peers ;;
  logs) logs ;;
  traces) traces ;;
  fleet) fleet ;;
  *) die "ONLY is $ONLY, it must be peers, logs, traces or fleet" ;;
esac
