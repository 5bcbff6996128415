// Kernels that treat each number by itself: quick GELU, the bias of a linear layer, and the step of
// an attack.
#include "common.cuh"

constexpr int THREADS = 256;

// The first of the W numbers of this thread.
template <int W> __device__ __forceinline__ size_t place() { return (size_t(blockIdx.x) * THREADS + threadIdx.x) * W; }

__device__ __forceinline__ float gate(float x) { return 1.f / (1.f + expf(-1.702f * x)); }

template <typename T, int W> __device__ void quick_gelu(const T *x, T *y, int count) {
    size_t at = place<W>();
    if (at >= size_t(count)) return;
    float v[W];
    Wide<W>::load(x + at, v);
    for (int i = 0; i < W; i++) v[i] *= gate(v[i]);
    Wide<W>::store(v, y + at);
}

template <typename T, int W> __device__ void quick_gelu_gradient(const T *x, const T *dy, T *dx, int count) {
    size_t at = place<W>();
    if (at >= size_t(count)) return;
    float v[W], d[W];
    Wide<W>::load(x + at, v);
    Wide<W>::load(dy + at, d);
    for (int i = 0; i < W; i++) {
        float g = gate(v[i]);
        v[i] = d[i] * g * (1.f + 1.702f * v[i] * (1.f - g));
    }
    Wide<W>::store(v, dx + at);
}

// Adds `bias` [columns] to every row of `y`, in place.
template <typename T, int W> __device__ void add_bias(const T *bias, T *y, int count, int columns) {
    size_t at = place<W>();
    if (at >= size_t(count)) return;
    float v[W], b[W];
    Wide<W>::load(y + at, v);
    Wide<W>::load(bias + at % columns, b);
    for (int i = 0; i < W; i++) v[i] += b[i];
    Wide<W>::store(v, y + at);
}

#define POINTWISE(T, W)                                                                                               \
    extern "C" __global__ void __launch_bounds__(THREADS) quick_gelu_forward_##T##_##W(const T *x, T *y, int count) { \
        quick_gelu<T, W>(x, y, count);                                                                                \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) quick_gelu_backward_##T##_##W(const T *x, const T *dy,      \
                                                                                        T *dx, int count) {           \
        quick_gelu_gradient<T, W>(x, dy, dx, count);                                                                  \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) add_bias_##T##_##W(const T *bias, T *y, int count,          \
                                                                             int columns) {                           \
        add_bias<T, W>(bias, y, count, columns);                                                                      \
    }

POINTWISE(float, 1)
POINTWISE(float, 4)
POINTWISE(bf16, 1)
POINTWISE(bf16, 4)

// x + alpha sign(gradient), cut to the reach of the budget around `clean` and to [low, high].
//
// Comparisons are written so that NaN and signed zeros come out as on the CPU. `region` (0 or 1) is
// read only if `masked`; with 0 and 1 every product is exact, so a fused multiply-add changes nothing.
extern "C" __global__ void __launch_bounds__(THREADS)
    advance_linf(const float *x, const float *gradient, const float *clean, const float *region, float *to, int count,
                 int masked, float alpha, float radius, float low, float high) {
    size_t at = place<1>();
    if (at >= size_t(count)) return;
    float allowed = masked ? region[at] : 1.f;
    float g = masked ? gradient[at] * allowed : gradient[at];
    float sign = float(g > 0.f) - float(g < 0.f);
    float reach = allowed * radius;
    float from = clean[at] - reach, until = clean[at] + reach;
    float moved = x[at] + sign * alpha;
    moved = moved < from ? from : moved;
    moved = moved > until ? until : moved;
    moved = moved < low ? low : moved;
    moved = moved > high ? high : moved;
    to[at] = moved;
}
