// Attention for heads of 1 to 16 numbers: a module of its own, as the driver translates whole modules.
#include "attention_mma.cuh"

ATTENTION(float, 16)
ATTENTION_MMA(16)
