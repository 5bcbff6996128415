// Attention for heads of 1 to 16 numbers: a module of its own, as the driver translates whole modules.
#include "attention.cuh"

ATTENTION(float, 16)
ATTENTION(bf16, 16)
