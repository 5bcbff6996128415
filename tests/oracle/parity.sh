#!/usr/bin/env bash
# Compares Segprobe with transformers on small and full-size checkpoints and rewrites docs/parity.md.
#
#   bash tests/oracle/parity.sh [SCRATCH_FOLDER]
#
# The scratch folder (default: out/parity) keeps the Python environment and 1.2 GB of full-size weights between runs.
# PARITY_PYTHON names an interpreter that has requirements.txt already.
# References are kept too: delete a folder of the scratch folder to make it again.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=${1:-out/parity}
mkdir -p "$scratch"

python=${PARITY_PYTHON:-$scratch/venv/bin/python}
if [ ! -x "$python" ]; then
    python3 -m venv "$scratch/venv"
    "$python" -m pip install --quiet -r tests/oracle/requirements.txt
fi

# CLIP's own vocabulary is a file of the open-clip-torch package, which needs nothing of the package's code.
vocabulary=$scratch/open_clip/bpe_simple_vocab_16e6.txt.gz
if [ ! -f "$vocabulary" ]; then
    "$python" -m pip install --quiet --no-deps --target "$scratch" open-clip-torch==3.3.0
fi

for size in full full-simple; do
    if [ ! -f "$scratch/$size/reference.json" ]; then
        "$python" tests/oracle/make_parity_fixtures.py --out "$scratch" --sizes "$size" --clip-vocabulary "$vocabulary"
    fi
done

fixtures=tests/fixtures/parity
cargo run --release --quiet --example parity -- "$fixtures/tiny" "$fixtures/tiny-simple" "$scratch/full" "$scratch/full-simple" >"$scratch/parity.md"
mkdir -p docs
cp "$scratch/parity.md" docs/parity.md
