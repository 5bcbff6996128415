#!/usr/bin/env bash
# Checks the feature `cuda` without a GPU: our kernels compile for every kind of card that is supported,
# and the Rust code around them compiles and is free of warnings.
#
# What the kernels compute is checked by `cargo test`, which runs them on the host.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cuda/toolkit.sh

echo "== our kernels, by nvcc"
kernels=$(mktemp -d)
trap 'rm -rf "$kernels"' EXIT
for architecture in 75 80 90; do
    for source in src/nn/cuda/kernels/*.cu; do
        name=$(basename "$source" .cu)
        "$CUDA_HOME/bin/nvcc" --ptx -std=c++17 -O3 --Werror all-warnings -arch="sm_$architecture" \
            "$source" -o "$kernels/$name.ptx"
        # what the driver does when it loads them; a kernel that spills registers is a mistake
        "$CUDA_HOME/bin/ptxas" -arch="sm_$architecture" --warn-on-spills --warning-as-error \
            "$kernels/$name.ptx" -o "$kernels/$name.cubin"
    done
    echo "sm_$architecture: $(ls "$kernels"/*.cubin | wc -l) modules"
done

echo "== the Rust code with the feature"
# candle compiles its kernels in a build script; to check types they may be empty
nvcc=$(cuda_wrapper empty <<'WRAPPER'
#!/usr/bin/env bash
# Stands in for nvcc where only types are checked: every object and every PTX file is empty.
set -euo pipefail
out='' folder=. ptx='' last=''
while (($#)); do
    case $1 in
        --version | --list-gpu-code) exec "$CUDA_HOME/bin/nvcc" "$@" ;;
        -o) out=$2; shift ;;
        --output-directory) folder=$2; shift ;;
        --ptx) ptx=yes ;;
        *) last=$1 ;;
    esac
    shift
done
if [[ -n $ptx ]]; then
    : >"$folder/$(basename "$last" .cu).ptx"
else
    rm -f "$out"
    ar cr "$out"
fi
WRAPPER
)
# a folder of its own, so that the empty kernels never get into a real build; CUDA_CHECK_TARGET names another one, for
# who has checked without the feature there and will build nothing with it
NVCC=$nvcc PATH=$(dirname "$nvcc"):$PATH CUDA_COMPUTE_CAP=80 CARGO_TARGET_DIR=${CUDA_CHECK_TARGET:-target/cuda-check} \
    cargo clippy --locked --features cuda --all-targets -- -D warnings
