// Attention for heads of 17 to 32 numbers: a module of its own, as the driver translates whole modules.
#include "attention_mma.cuh"

ATTENTION(float, 32)
ATTENTION_MMA(32)
