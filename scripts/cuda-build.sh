#!/usr/bin/env bash
# Builds the CUDA binaries on a machine without a GPU and packs what a GPU machine needs into
# out/cuda/segprobe-cuda.tar.gz: `segprobe`, the tests of the layers, gpu-check.sh, the models of the
# parity tests, and what times PyTorch beside it.
#
# CUDA_COMPUTE_CAP (80 unless set) is the oldest card it shall run on; newer ones run it too. At run
# time it needs a driver for CUDA 13 (580 or newer), libcublas.so.13, libcublasLt.so.13,
# libcurand.so.10, libnvrtc.so.13 and libcudart.so.13.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cuda/toolkit.sh
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
work=$PWD/out/cuda

# The libraries of a GPU machine are not needed to link, only their names and what they define.
python3 scripts/cuda/stub_libraries.py "$work/stubs" "$CUDA_HOME"

# candle also compiles kernels for quantised and mixture-of-experts models, ten minutes of work and
# thirty megabytes for what this program never calls. The wrapper leaves them out; should one be called
# all the same, it ends the process and says why.
export STUB_OBJECT=$work/stubs/quantised.o
nvcc=$(cuda_wrapper build <<'WRAPPER'
#!/usr/bin/env bash
# Stands in for nvcc: leaves candle's kernels for quantised models out, hands everything else on.
set -euo pipefail
out='' folder='' ptx='' last=''
arguments=("$@")
while (($#)); do
    case $1 in
        -o) out=$2; shift ;;
        --output-directory) folder=$2; shift ;;
        --ptx) ptx=yes ;;
        --lib) rm -f "${arguments[2]}"; exec ar crs "${arguments[2]}" "$STUB_OBJECT" ;;
        *) last=$1 ;;
    esac
    shift
done
case $last in
    */quantized.cu | quantized.cu) if [[ -n $ptx ]]; then : >"$folder/quantized.ptx"; exit; fi ;;
    *moe_*.cu | *mmvq_*.cu | *mmq_*.cu) : >"$out"; exit ;;
esac
exec "$CUDA_HOME/bin/nvcc" "${arguments[@]}"
WRAPPER
)
export NVCC=$nvcc PATH=$(dirname "$nvcc"):$PATH CARGO_TARGET_DIR=$PWD/target/cuda
export RUSTFLAGS="-L native=$work/stubs ${RUSTFLAGS:-}"

cargo build --locked --release --features cuda --bins
tests=$(cargo test --locked --release --features cuda --lib --no-run --message-format=json |
    python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])')

bundle=$work/segprobe-cuda
rm -rf "$bundle"
mkdir -p "$bundle/bin" "$bundle/tests"
cp target/cuda/release/segprobe "$bundle/bin/segprobe"
cp "$tests" "$bundle/bin/layer-tests"
strip "$bundle"/bin/*
cp scripts/gpu-check.sh "$bundle/"
cp -r bench samples "$bundle/"
cp -r tests/oracle "$bundle/tests/"
cp -r tests/fixtures/parity "$bundle/models"
rm "$bundle"/models/*.safetensors
git rev-parse HEAD >"$bundle/commit" 2>/dev/null || true
tar -C "$work" -czf "$work/segprobe-cuda.tar.gz" segprobe-cuda
ls -l "$bundle/bin" "$work/segprobe-cuda.tar.gz"
