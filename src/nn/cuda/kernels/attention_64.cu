// Attention for heads of 33 to 64 numbers: a module of its own, as the driver translates whole modules.
#include "attention.cuh"

ATTENTION(float, 64)
ATTENTION(bf16, 64)
