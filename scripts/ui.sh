#!/usr/bin/env bash
# Builds the web UI into ui/dist, unless it is newer than every source file.
. "$(dirname "$0")/lib.sh"
need_build_tools

cd ui
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  step "fetching the packages of the web UI"
  npm ci --no-audit --no-fund
fi
if [ ! -f dist/index.html ] || [ -n "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer dist/index.html -print -quit)" ]; then
  step "building the web UI"
  npm run --silent build
fi
