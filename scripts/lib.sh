# Shared by the scripts beside it: where things are, and how to say what is missing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# Without a login shell neither need be set as rustup left them.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
command -v cargo >/dev/null || export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/orrery"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
# A progress line even where the output is not a terminal of known width.
export CARGO_TERM_PROGRESS_WHEN="${CARGO_TERM_PROGRESS_WHEN:-always}" CARGO_TERM_PROGRESS_WIDTH="${CARGO_TERM_PROGRESS_WIDTH:-80}"

step() { printf '\n==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need COMMAND HINT: stops with the hint when the command is not there.
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }

need_build_tools() {
  need cargo "install Rust with rustup, https://rustup.rs"
  need cc "install a C compiler, on Debian: apt-get install gcc"
  need node "install Node.js 20.19 or later"
  need npm "install npm with Node.js"
  node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)' ||
    die "Node.js $(node --version) is too old, 20.19 or later is needed"
}
