// Attention for heads of 65 to 128 numbers: a module of its own, as the driver translates whole modules.
#include "attention.cuh"

ATTENTION(float, 128)
ATTENTION(bf16, 128)
