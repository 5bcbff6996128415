#!/usr/bin/env bash
# Measures the service against the bare engine and against the same attack behind FastAPI and PyTorch, in one run, and
# writes docs/bench-service.md.
#
#   bench/service/service.sh [OUT] [-- --attacks N --rounds N]
#
# OUT (default: out/bench-service) keeps the Python environment and the raw figures. BENCH_PYTHON names an interpreter that
# has requirements.txt already. Needs Linux, Python 3.10 and wrk (Debian: apt-get install wrk); takes about 20 minutes on
# two cores. The machine should have nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=out/bench-service
if [ $# -gt 0 ] && [ "$1" != -- ]; then out=$1; shift; fi
[ "${1:-}" != -- ] || shift
mkdir -p "$out"

python=${BENCH_PYTHON:-$(realpath "$out")/venv/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv "$out/venv"
    "$python" -m pip install --quiet -r bench/service/requirements.txt
fi
command -v wrk >/dev/null || { echo "needs wrk" >&2; exit 1; }
cargo build --release --locked --bin segprobe --example bare_engine

# Both sides get the same number of threads.
export THREADS=${THREADS:-2}
PYTHONPATH=scripts:bench python3 -m service --target target/release --python "$python" --out "$out" "$@"
