// Attention for heads of 33 to 64 numbers: a module of its own, as the driver translates whole modules.
#include "attention_mma.cuh"

ATTENTION(float, 64)
ATTENTION_MMA(64)
