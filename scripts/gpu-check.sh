#!/usr/bin/env bash
# Checks and times a CUDA build on a machine with an NVIDIA GPU, in one go and without cargo.
#
#   ./gpu-check.sh [OUT]
#
# It stands in the folder that scripts/cuda-build.sh packs: bin/ with the binaries, models/ with the fixtures,
# bench/ and tests/ with what times PyTorch. OUT (default: gpu-run) keeps the raw figures; the page that goes into
# docs/bench/ is OUT/DATE-CARD.md. It needs a driver for CUDA 13 and Python 3.11 or newer; PyTorch and
# the CUDA libraries come with bench/step/requirements.txt, into OUT/venv, unless GPU_PYTHON names an interpreter
# that has them.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-gpu-run}
mkdir -p "$out/gradients" "$out/segprobe"

python=${GPU_PYTHON:-$out/venv/bin/python}
if [[ ! -x $python ]]; then
    python3 -m venv "$out/venv"
    "$python" -m pip install --quiet -r bench/step/requirements.txt
fi
# PyTorch brings cuBLAS and its companions; the binaries take them from there unless the system has its own
libraries=$("$python" -c 'import glob, os, torch
site = os.path.dirname(os.path.dirname(torch.__file__))
print(":".join(sorted(glob.glob(site + "/nvidia/*/lib"))))')
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

{
    date -u +%Y-%m-%dT%H:%MZ
    nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader
    lscpu | grep 'Model name' || true
    echo "segprobe $(cat commit 2>/dev/null || echo 'of an unknown commit')"
} | tee "$out/machine.txt"

echo "== the layers and the step of the attack on this card, against the CPU in f64"
bin/layer-tests --test-threads 1 tests::cuda:: | tee "$out/layers.txt"
# the filter must have found them
grep -q 'test result: ok. [1-9]' "$out/layers.txt"

# `step MODEL OUT FLAGS...`: one model's figures; the demo model is in the binary
step() {
    local model=() name=$1
    [[ $name == demo ]] || model=(--model "models/$name")
    shift
    bin/segprobe bench "${model[@]}" --steps 0 "$@"
}

echo "== gradients"
for model in demo models/*; do
    model=$(basename "$model")
    mkdir -p "$out/gradients/$model"
    step "$model" --runs 1 --device cpu --dtype f32 --save-gradient "$out/gradients/$model/cpu.npy"
    for dtype in f32 tf32 bf16; do
        step "$model" --runs 1 --device cuda --dtype "$dtype" --save-gradient "$out/gradients/$model/$dtype.npy"
    done
done

echo "== the step beside PyTorch"
checkpoint=$out/checkpoints/full
if [[ ! -d $checkpoint ]]; then
    "$python" -m pip install --quiet --no-deps --target "$out" open-clip-torch==3.3.0
    "$python" bench/step/make_checkpoints.py --out "$out/checkpoints" \
        --clip-vocabulary "$out/open_clip/bpe_simple_vocab_16e6.txt.gz"
fi
for round in 1 2; do
    for dtype in f32 tf32 bf16; do
        bin/segprobe bench --model "$checkpoint" --steps 0 --runs 20 --batch 1,8 --device cuda --dtype "$dtype" \
            --json "$out/segprobe/$dtype-round$round.json"
    done
    "$python" bench/gpu/torch_gpu.py "$checkpoint" --batch 1,8 --runs 20 >"$out/torch-round$round.jsonl"
done
cat "$out"/torch-round*.jsonl >"$out/torch.jsonl"

card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1 | tr ' /' '--')
page=$out/$(date -u +%Y-%m-%d)-$card.md
"$python" bench/gpu/report.py "$out" >"$page"
cat "$page"
echo "put $page into docs/bench/ of the repository"
