#!/usr/bin/env bash
# Measures this node on this machine: starts one on free ports, writes and queries as fast as it answers.
# PEER=http://host:port measures a Prometheus- or Loki-compatible peer in the same run.
. "$(dirname "$0")/lib.sh"
binary="${ORRERY_BINARY:-$CARGO_TARGET_DIR/fast/orrery}"
duration="${DURATION:-20s}"
home=$(mktemp -d)
trap 'kill "${node:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$home"' EXIT
cat > "$home/orrery.yaml" <<YAML
data_dir: data
listen: {http: "127.0.0.1:0", otlp_grpc: off, otlp_http: off}
collect: {host: {enabled: false}, files: {paths: []}, pods: {path: ""}, traces: {enabled: false}, defaults: false}
YAML
"$binary" run --config "$home/orrery.yaml" > "$home/out" 2> "$home/err" &
node=$!
for _ in $(seq 100); do
  url=$(sed -n 's/.*ready: \(http[^ ]*\)\/$/\1/p' "$home/out")
  [ -n "$url" ] && break
  sleep 0.1
done
[ -n "$url" ] || die "the node did not start: $(cat "$home/err")"
printf 'machine: %s, %s cores; orrery %s\n' "$(uname -srm)" "$(nproc)" "$("$binary" --version)"
for to in "$url" ${PEER:+"$PEER"}; do
  for protocol in remote-write loki otlp-http; do
    step "write $protocol to $to"
    "$binary" bench write --to "$to" --protocol "$protocol" --duration "$duration"
  done
  step "query $to"
  "$binary" bench query --to "$to" --duration "$duration"
done
