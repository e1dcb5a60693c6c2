#!/usr/bin/env bash
# Installs what the tests need, or says what is missing, then runs all of them.
#
#   scripts/test.sh            everything
#   scripts/test.sh rust       unit, property, language, API and process tests
#   scripts/test.sh browser    the web UI in headless Chromium against a real node
. "$(dirname "$0")/lib.sh"
what="${1:-all}"
need_build_tools

packages() {
  local missing=()
  command -v chromium >/dev/null || missing+=(chromium)
  { command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
  command -v prometheus-node-exporter >/dev/null || missing+=(prometheus-node-exporter)
  { command -v victoria-metrics && command -v vmagent; } >/dev/null || missing+=(victoria-metrics)
  command -v python3 >/dev/null || missing+=(python3)
  [ -e /usr/lib/rsyslog/omelasticsearch.so ] || compgen -G '/usr/lib/*/rsyslog/omelasticsearch.so' >/dev/null ||
    missing+=(rsyslog rsyslog-elasticsearch)
  command -v ip >/dev/null || missing+=(iproute2)
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    step "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    die "the tests need ${missing[*]}; on Debian: apt-get install ${missing[*]}"
  fi
}

# The Python environment of the named requirements; prints its directory of programs.
python_environment() {
  local env="$cache/$1-$(sha256sum "tests/peers/$2" | cut -c1-12)"
  if [ ! -f "$env/.complete" ]; then
    step "preparing the Python environment of tests/peers/$2" >&2
    rm -rf "$env"
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet --disable-pip-version-check --pre -r "tests/peers/$2" >&2
    touch "$env/.complete"
  fi
  echo "$env/bin"
}

# The OpenTelemetry SDK and clients of Loki and Elasticsearch, as their users install them. The exporters for Jaeger
# ended with an SDK of 2023, so that they and what goes with them stand apart.
python_peers() {
  ORRERY_PEERS_PYTHON="$(python_environment peers requirements.txt)"
  ORRERY_SPAN_PEERS_PYTHON="$(python_environment span-peers spans-requirements.txt)"
  export ORRERY_PEERS_PYTHON ORRERY_SPAN_PEERS_PYTHON
}

rust_tests() {
  packages
  python_peers
  export ORRERY_PEERS=required
  step "checking layers, documents and formatting"
  cargo xtask tidy
  cargo fmt --all --check
  step "Rust tests (the first time builds everything)"
  cargo test --workspace --no-fail-fast
}

browser_tests() {
  packages
  python_peers
  export ORRERY_PEERS=required
  step "unit tests of the web UI"
  (cd ui && npm run --silent check && npm run --silent format && npm run --silent licenses && npm test --silent)
  step "browser tests"
  scripts/browser.sh
}

case "$what" in
  # The process tests have built the node that the browser looks at; building it by itself would compile half
  # of the dependencies again, with fewer features.
  all) scripts/ui.sh; rust_tests; browser_tests; step "all tests passed" ;;
  rust) scripts/ui.sh; rust_tests ;;
  browser)
    scripts/ui.sh
    step "building the node the browser looks at"
    cargo build --package orrery
    browser_tests
    ;;
  *) die "unknown part $what, use all, rust or browser" ;;
esac
