#!/usr/bin/env bash
# Measures a step beside PyTorch, in one run, and writes docs/bench-step.md.
#
#   bench/compare.sh [OUT] [-- --quick | --rounds N --runs N --sizes full small --only trunc "segprobe f32" ...]
#
# OUT (default: out/bench-step) keeps the Python environment, the checkpoints (700 MB) and the raw figures. BENCH_PYTHON
# names an interpreter that has requirements.txt already, CLIP_VOCABULARY CLIP's bpe_simple_vocab_16e6.txt.gz. Needs Linux
# and a C++ compiler (torch.compile); takes about 25 minutes on two cores, which should have nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."
out=out/bench-step
if [ $# -gt 0 ] && [ "$1" != -- ]; then out=$1; shift; fi
[ "${1:-}" != -- ] || shift
mkdir -p "$out"

python=${BENCH_PYTHON:-$(realpath "$out")/venv/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv "$out/venv"
    "$python" -m pip install --quiet -r bench/step/requirements.txt
fi
# The vocabulary is a file of the open-clip-torch package, which needs nothing of the package's code.
vocabulary=${CLIP_VOCABULARY:-$out/open_clip/bpe_simple_vocab_16e6.txt.gz}
if [ ! -f "$vocabulary" ]; then
    "$python" -m pip install --quiet --no-deps --target "$out" open-clip-torch==3.3.0
fi
"$python" bench/step/make_checkpoints.py --out "$out" --clip-vocabulary "$vocabulary"
cargo build --release --locked --bin segprobe

PYTHONPATH=scripts:bench "$python" -m step --segprobe target/release/segprobe --python "$python" --out "$out" "$@"
