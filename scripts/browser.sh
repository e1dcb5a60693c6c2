#!/usr/bin/env bash
# Starts a node on free ports, seeds it with telemetry, and runs the browser tests against it.
. "$(dirname "$0")/lib.sh"
binary="${ORRERY_BINARY:-$CARGO_TARGET_DIR/debug/orrery}"
[ -x "$binary" ] || die "$binary is not built"

home=$(mktemp -d)
trap 'kill "${node:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$home"' EXIT
cat > "$home/orrery.yaml" <<YAML
data_dir: data
listen: {http: "127.0.0.1:0", otlp_grpc: off, otlp_http: off}
collect:
  host: {interval: 1s}
# Samples are sent once, and are to be there however long the tests take.
query: {lookback: 1h}
YAML
"$binary" run --config "$home/orrery.yaml" > "$home/out" 2> "$home/err" &
node=$!
for _ in $(seq 100); do
  url=$(sed -n 's/.*ready: \(http[^ ]*\)\/$/\1/p' "$home/out")
  [ -n "$url" ] && break
  kill -0 "$node" 2>/dev/null || { cat "$home/err" >&2; die "the node did not start"; }
  sleep 0.1
done
[ -n "$url" ] || die "the node did not say its address"
seed() { "$binary" bench write --to "$url" --seed 1 --duration 3s "$@" > /dev/null 2>&1; }
seed --protocol remote-write --targets 2 --batch 400 --rate 4000
seed --protocol loki --batch 50 --rate 500
seed --protocol otlp-http --signal traces --batch 50 --rate 300
cd ui
ORRERY_URL="$url" ORRERY_BINARY="$binary" npm run --silent e2e -- "$@"
