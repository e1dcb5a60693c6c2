# Two commands matter: `make run` starts Orrery, `make test` proves it. See README.md.

# Outside the checkout, so that a fresh clone reuses what an earlier one built.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/orrery/target

.PHONY: run demo build test ui unit browser interop tidy lint fuzz bench bench-logs bench-traces clean

run: build
	@exec "$(CARGO_TARGET_DIR)/fast/orrery" run $(ARGS)

# Three clusters and a traced shop on this machine; ARGS="--ports 19500" where 9500 and on are taken.
demo: build
	@exec "$(CARGO_TARGET_DIR)/fast/orrery" demo $(ARGS)

build:
	@scripts/build.sh

test:
	@scripts/test.sh

ui:
	@scripts/ui.sh

tidy:
	@cargo xtask tidy

lint:
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

# Needs the nightly toolchain and cargo-fuzz; SECONDS bounds each target.
fuzz:
	@scripts/fuzz.sh

# Beside Prometheus and VictoriaMetrics, log lines, traces, and a fleet; SCALE=smoke (some minutes) or full, ONLY=peers,
# logs, traces or fleet.
bench: build
	@scripts/bench.sh

# Log lines alone; LOGS_ARGS="--peer loki=http://127.0.0.1:3100" measures another program beside.
bench-logs: build
	@ONLY=logs scripts/bench.sh

# Traces alone; TRACES_ARGS="--spans 1000000" sends so many spans.
bench-traces: build
	@ONLY=traces scripts/bench.sh

clean:
	rm -rf ui/dist ui/node_modules "$(CARGO_TARGET_DIR)"
