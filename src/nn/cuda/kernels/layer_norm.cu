// Layer normalisation over rows of `width` numbers, one warp to a row.
//
// A row is read from memory once; the later passes over it find it in the first-level cache.
#include "common.cuh"

constexpr int ROWS = 4;

__device__ __forceinline__ size_t row_of_warp() { return size_t(blockIdx.x) * ROWS + threadIdx.x / WARP; }

// Mean, and the reciprocal of the standard deviation, of one row.
struct Statistics {
    float mean;
    float scale;
};

template <typename T, int W> __device__ Statistics statistics(const T *x, int width, float epsilon) {
    int lane = threadIdx.x % WARP;
    float v[W], sum = 0.f, squares = 0.f;
    for (int c = lane * W; c < width; c += WARP * W) {
        Wide<W>::load(x + c, v);
        for (int i = 0; i < W; i++) sum += v[i];
    }
    float mean = group_sum<WARP>(sum) / width;
    for (int c = lane * W; c < width; c += WARP * W) {
        Wide<W>::load(x + c, v);
        for (int i = 0; i < W; i++) squares = fmaf(v[i] - mean, v[i] - mean, squares);
    }
    return Statistics{mean, 1.f / sqrtf(group_sum<WARP>(squares) / width + epsilon)};
}

template <typename T, int W>
__device__ void forward(const T *x, const T *weight, const T *bias, T *y, int rows, int width, float epsilon) {
    size_t row = row_of_warp();
    if (row >= size_t(rows)) return;
    x += row * width, y += row * width;
    Statistics s = statistics<T, W>(x, width, epsilon);
    for (int c = (threadIdx.x % WARP) * W; c < width; c += WARP * W) {
        float v[W], w[W], b[W];
        Wide<W>::load(x + c, v);
        Wide<W>::load(weight + c, w);
        Wide<W>::load(bias + c, b);
        for (int i = 0; i < W; i++) v[i] = fmaf((v[i] - s.mean) * s.scale, w[i], b[i]);
        Wide<W>::store(v, y + c);
    }
}

// dx = scale (g - mean(g) - normalised mean(g normalised)) with g = dy weight
template <typename T, int W>
__device__ void backward(const T *x, const T *weight, const T *dy, T *dx, int rows, int width, float epsilon) {
    size_t row = row_of_warp();
    if (row >= size_t(rows)) return;
    x += row * width, dy += row * width, dx += row * width;
    Statistics s = statistics<T, W>(x, width, epsilon);
    int lane = threadIdx.x % WARP;
    float v[W], w[W], d[W], sum = 0.f, along = 0.f;
    for (int c = lane * W; c < width; c += WARP * W) {
        Wide<W>::load(x + c, v);
        Wide<W>::load(weight + c, w);
        Wide<W>::load(dy + c, d);
        for (int i = 0; i < W; i++) {
            sum = fmaf(d[i], w[i], sum);
            along = fmaf(d[i] * w[i], (v[i] - s.mean) * s.scale, along);
        }
    }
    float mean = group_sum<WARP>(sum) / width, slope = group_sum<WARP>(along) / width;
    for (int c = lane * W; c < width; c += WARP * W) {
        Wide<W>::load(x + c, v);
        Wide<W>::load(weight + c, w);
        Wide<W>::load(dy + c, d);
        for (int i = 0; i < W; i++) v[i] = s.scale * (d[i] * w[i] - mean - (v[i] - s.mean) * s.scale * slope);
        Wide<W>::store(v, dx + c);
    }
}

#define LAYER_NORM(T, W)                                                                                              \
    extern "C" __global__ void __launch_bounds__(ROWS *WARP) layer_norm_forward_##T##_##W(                            \
        const T *x, const T *weight, const T *bias, T *y, int rows, int width, float epsilon) {                       \
        forward<T, W>(x, weight, bias, y, rows, width, epsilon);                                                      \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(ROWS *WARP) layer_norm_backward_##T##_##W(                           \
        const T *x, const T *weight, const T *dy, T *dx, int rows, int width, float epsilon) {                        \
        backward<T, W>(x, weight, dy, dx, rows, width, epsilon);                                                      \
    }

LAYER_NORM(float, 1)
LAYER_NORM(float, 4)
LAYER_NORM(bf16, 1)
LAYER_NORM(bf16, 4)
