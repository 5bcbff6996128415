// What all kernels share: element types, wide loads and stores, sums over lanes.
//
// Numbers are stored as f32 or bf16 and always worked on as f32. No header of the CUDA toolkit is
// used, so that a host compiler can build the same sources (see host/shim.h).
#pragma once

#ifndef __CUDACC__
#include "host/shim.h"
#endif

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// The upper half of an f32.
struct bf16 {
    unsigned short bits;
};

struct alignas(16) float_x4 {
    float v[4];
};

struct alignas(8) bf16_x4 {
    bf16 v[4];
};

__device__ __forceinline__ float widen(float x) { return x; }

__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float(unsigned(x.bits) << 16); }

__device__ __forceinline__ void narrow(float x, float &to) { to = x; }

// Rounds to the nearest bf16, ties to even; NaN stays NaN.
__device__ __forceinline__ void narrow(float x, bf16 &to) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        to.bits = (unsigned short)((bits >> 16) | 0x40u);
    } else {
        to.bits = (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
}

// Reads or writes W neighbouring numbers, four of them in one access. The address of four must be
// aligned to all four.
template <int W> struct Wide;

template <> struct Wide<1> {
    template <typename T> static __device__ __forceinline__ void load(const T *from, float *to) { to[0] = widen(*from); }
    template <typename T> static __device__ __forceinline__ void store(const float *from, T *to) { narrow(from[0], *to); }
};

template <> struct Wide<4> {
    static __device__ __forceinline__ void load(const float *from, float *to) {
        float_x4 x = *reinterpret_cast<const float_x4 *>(from);
        for (int i = 0; i < 4; i++) to[i] = x.v[i];
    }
    static __device__ __forceinline__ void load(const bf16 *from, float *to) {
        bf16_x4 x = *reinterpret_cast<const bf16_x4 *>(from);
        for (int i = 0; i < 4; i++) to[i] = widen(x.v[i]);
    }
    static __device__ __forceinline__ void store(const float *from, float *to) {
        float_x4 x;
        for (int i = 0; i < 4; i++) x.v[i] = from[i];
        *reinterpret_cast<float_x4 *>(to) = x;
    }
    static __device__ __forceinline__ void store(const float *from, bf16 *to) {
        bf16_x4 x;
        for (int i = 0; i < 4; i++) narrow(from[i], x.v[i]);
        *reinterpret_cast<bf16_x4 *>(to) = x;
    }
};

// The sum over each group of LANES neighbouring lanes (a power of two), known to all of them.
template <int LANES> __device__ __forceinline__ float group_sum(float x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) x += __shfl_xor_sync(ALL_LANES, x, step);
    return x;
}

// The largest of each group of LANES neighbouring lanes, known to all of them.
template <int LANES> __device__ __forceinline__ float group_max(float x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, step));
    return x;
}
