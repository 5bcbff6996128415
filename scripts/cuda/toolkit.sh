# Sourced by the CUDA scripts: a CUDA compiler from Python wheels, where no toolkit is installed.
#
# Sets CUDA_HOME, which has bin/nvcc. The wheels (about 270 MB) are fetched once, into out/cuda. An
# installed toolkit can be named in CUDA_HOME instead.

# 13.0 works with drivers from 580 on; a newer toolkit would make PTX that they refuse
CUDA_WHEELS=(
    nvidia-cuda-nvcc==13.0.88
    nvidia-cuda-crt==13.0.88
    nvidia-nvvm==13.0.88
    nvidia-cuda-runtime==13.0.96
    nvidia-cuda-cccl==13.0.85
)

if [[ -z ${CUDA_HOME:-} ]]; then
    CUDA_SITE=$PWD/out/cuda/wheels
    if [[ ! -e $CUDA_SITE/complete ]]; then
        rm -rf "$CUDA_SITE"
        python3 -m pip install --quiet --root-user-action ignore --no-deps --only-binary :all: --target "$CUDA_SITE" "${CUDA_WHEELS[@]}"
        touch "$CUDA_SITE/complete"
    fi
    CUDA_HOME=$CUDA_SITE/nvidia/cu13
    chmod +x "$CUDA_HOME"/bin/* "$CUDA_HOME"/nvvm/bin/*
fi
export CUDA_HOME

# Where a wrapper is written that stands in for nvcc: out/cuda/NAME/nvcc.
cuda_wrapper() {
    mkdir -p "out/cuda/$1"
    cat >"out/cuda/$1/nvcc"
    chmod +x "out/cuda/$1/nvcc"
    echo "$PWD/out/cuda/$1/nvcc"
}
