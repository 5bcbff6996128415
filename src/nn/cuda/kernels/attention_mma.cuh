// Attention in bf16 on tensor cores, for heads up to 64 wide: the algorithm of attention.cuh, with
// every product made of 16 x 8 x 16 pieces.
//
// A warp owns sixteen rows of the result (queries, or keys in the last pass). The registers in which a
// piece comes out are those in which the next product takes its left factor, so scores become
// probabilities and factors without leaving their lane; as factors they are rounded to bf16, sums stay
// f32. What a product sums over must lie side by side in shared memory, so a tile is kept as it lies, or
// transposed, or both. Needs compute capability 8.0.
#pragma once

#include "attention.cuh"

namespace mma {

// Rows of a warp, and of a block.
constexpr int ROWS = 16;
constexpr int BLOCK_ROWS = ROWS * THREADS / WARP;
// Rows of a tile.
constexpr int LENGTH = 32;
// Keeps neighbouring rows of a tile in different banks.
constexpr int PAD = 8;

// A lane's place among the eight rows, and among the four pairs of columns, of a piece.
__device__ __forceinline__ int lane_row() { return threadIdx.x % WARP / 4; }
__device__ __forceinline__ int lane_pair() { return threadIdx.x % 4 * 2; }

// Two neighbouring numbers in one register, the first in its lower half.
__device__ __forceinline__ unsigned pack(float first, float second) {
    bf16 low, high;
    narrow(first, low);
    narrow(second, high);
    return unsigned(low.bits) | unsigned(high.bits) << 16;
}

__device__ __forceinline__ float first_of(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float second_of(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

// c [16, 8] += a [16, 16] b [16, 8], by the whole warp. With g = lane / 4 and t = 2 (lane % 4): c holds
// (g, t), (g, t + 1), (g + 8, t), (g + 8, t + 1); a the pairs at (g, t), (g + 8, t), (g, t + 8),
// (g + 8, t + 8); b the pairs down a column at (t, g), (t + 8, g).
__device__ __forceinline__ void multiply(float *c, const unsigned *a, const unsigned *b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    __trap();
#elif defined(__CUDACC__)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    host::multiply_bf16(c, a, b);
#endif
}

__device__ __forceinline__ unsigned pair_at(const bf16 *x) { return *reinterpret_cast<const unsigned *>(x); }

// A pair of a row of the head, zero outside the matrix.
__device__ __forceinline__ unsigned read_pair(const bf16 *x, const Heads &h, int row, int column) {
    if (row >= h.tokens) return 0;
    x += size_t(row) * h.features() + column;
    if (h.wide && column < h.width) return pair_at(x);
    unsigned low = column < h.width ? x[0].bits : 0, high = column + 1 < h.width ? x[1].bits : 0;
    return low | high << 16;
}

__device__ __forceinline__ void write_pair(bf16 *x, const Heads &h, int row, int column, float first, float second) {
    if (row >= h.tokens) return;
    x += size_t(row) * h.features() + column;
    if (h.wide && column < h.width) {
        *reinterpret_cast<unsigned *>(x) = pack(first, second);
        return;
    }
    if (column < h.width) narrow(first, x[0]);
    if (column + 1 < h.width) narrow(second, x[1]);
}

// A tile as it lies: a row's numbers side by side.
template <int D> struct Rows {
    alignas(16) bf16 v[LENGTH][D + PAD];
};

// A tile transposed: a column's numbers side by side.
template <int D> struct Columns {
    alignas(16) bf16 v[D][LENGTH + PAD];
};

// Fills the tiles with the rows from `row` on; either may be absent.
template <int D>
__device__ void fill(Rows<D> *rows, Columns<D> *columns, const bf16 *x, const Heads &h, int row) {
#pragma unroll 1
    for (int i = threadIdx.x; i < LENGTH * D / 4; i += THREADS) {
        // alone, rows are read along themselves; to transpose them, neighbouring lanes take
        // neighbouring rows, so that they write to different banks
        int r = columns ? i % LENGTH : i * 4 / D;
        int c = columns ? i / LENGTH * 4 : i * 4 % D;
        float values[4];
        read4(x, h, row + r, c, values);
        if (rows) Wide<4>::store(values, &rows->v[r][c]);
        if (columns) {
            for (int j = 0; j < 4; j++) narrow(values[j], columns->v[c + j][r]);
        }
    }
}

// The sixteen rows of this warp as left factors of products over the head's width.
template <int D> struct Left {
    unsigned v[D / 16][4];

    __device__ void read(const bf16 *x, const Heads &h, int first_row) {
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int row = first_row + lane_row() + i % 2 * 8, column = k * 16 + i / 2 * 8 + lane_pair();
                v[k][i] = read_pair(x, h, row, column);
            }
        }
    }

    // The products with eight rows of a tile, [16, 8].
    __device__ void times(const Rows<D> &tile, int row, float *c) const {
#pragma unroll
        for (int i = 0; i < 4; i++) c[i] = 0.f;
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            const bf16 *from = &tile.v[row + lane_row()][k * 16 + lane_pair()];
            unsigned b[2] = {pair_at(from), pair_at(from + 8)};
            multiply(c, v[k], b);
        }
    }

    // This lane's part of the products of the rows with those of `x`; half 1 is the row eight further.
    __device__ float part(const Left &x, int half) const {
        float sum = 0.f;
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
#pragma unroll
            for (int i = half; i < 4; i += 2) {
                sum = fmaf(first_of(v[k][i]), first_of(x.v[k][i]), sum);
                sum = fmaf(second_of(v[k][i]), second_of(x.v[k][i]), sum);
            }
        }
        return sum;
    }
};

// Sixteen rows of a result, [16, D].
template <int D> struct Sums {
    float v[D / 8][4];

    __device__ void zero() {
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) v[n][i] = 0.f;
        }
    }
    __device__ void times(int half, float a) {
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            v[n][half * 2] *= a;
            v[n][half * 2 + 1] *= a;
        }
    }
    // Adds the product of `left` [16, LENGTH], as it came out of products, with a tile.
    __device__ void add(const float (&left)[LENGTH / 8][4], const Columns<D> &tile) {
#pragma unroll
        for (int k = 0; k < LENGTH / 16; k++) {
            const float *near = left[2 * k], *far = left[2 * k + 1];
            unsigned a[4] = {pack(near[0], near[1]), pack(near[2], near[3]), pack(far[0], far[1]), pack(far[2], far[3])};
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                const bf16 *from = &tile.v[n * 8 + lane_row()][k * 16 + lane_pair()];
                unsigned b[2] = {pair_at(from), pair_at(from + 8)};
                multiply(v[n], a, b);
            }
        }
    }
    __device__ void write(bf16 *x, const Heads &h, int first_row) const {
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            int row = first_row + lane_row(), column = n * 8 + lane_pair();
            write_pair(x, h, row, column, v[n][0], v[n][1]);
            write_pair(x, h, row + 8, column, v[n][2], v[n][3]);
        }
    }
};

__device__ __forceinline__ int first_row_of_warp() { return blockIdx.x * BLOCK_ROWS + threadIdx.x / WARP * ROWS; }

// How many keys the queries of this block see together.
__device__ __forceinline__ int keys_seen(const Heads &h) {
    return h.causal ? min(h.tokens, int(blockIdx.x + 1) * BLOCK_ROWS) : h.tokens;
}

template <int D>
__device__ void forward(const bf16 *q, const bf16 *k, const bf16 *v, bf16 *y, float *normaliser, Heads h) {
    __shared__ Rows<D> keys;
    __shared__ Columns<D> values;
    q += h.start(), k += h.start(), v += h.start(), y += h.start();

    int first = first_row_of_warp(), row = first + lane_row();
    Left<D> query;
    query.read(q, h, first);
    Sums<D> sum;
    sum.zero();
    // of the rows `row` and `row + 8`
    float largest[2] = {-INFINITY, -INFINITY}, total[2] = {0.f, 0.f};
    int seen = keys_seen(h);
#pragma unroll 1
    for (int begin = 0; begin < seen; begin += LENGTH) {
        __syncthreads();
        fill<D>(&keys, nullptr, k, h, begin);
        fill<D>(nullptr, &values, v, h, begin);
        __syncthreads();
        float score[LENGTH / 8][4];
#pragma unroll
        for (int n = 0; n < LENGTH / 8; n++) query.times(keys, n * 8, score[n]);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            // a row beyond the end is computed and never written, so it may see what the last one sees
            int seer = min(row + half * 8, h.tokens - 1);
            float best = largest[half];
#pragma unroll
            for (int n = 0; n < LENGTH / 8; n++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float &s = score[n][half * 2 + i];
                    bool visible = h.visible(seer, begin + n * 8 + lane_pair() + i);
                    s = visible ? s * (h.scale * LOG2_E) : -INFINITY;
                    best = fmaxf(best, s);
                }
            }
            // finite from the first tile on: every query sees key 0
            best = group_max<4>(best);
            float shrink = exp2f(largest[half] - best);
            largest[half] = best;
            total[half] *= shrink;
            sum.times(half, shrink);
#pragma unroll
            for (int n = 0; n < LENGTH / 8; n++) {
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float &s = score[n][half * 2 + i];
                    s = exp2f(s - best);
                    total[half] += s;
                }
            }
        }
        sum.add(score, values);
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float all = group_sum<4>(total[half]);
        sum.times(half, 1.f / all);
        if (row + half * 8 < h.tokens && lane_pair() == 0) {
            normaliser[size_t(blockIdx.y) * h.tokens + row + half * 8] = largest[half] + log2f(all);
        }
    }
    sum.write(y, h, first);
}

template <int D>
__device__ void backward_queries(const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *y, const bf16 *dy,
                                 const float *normaliser, bf16 *dq, float *delta, Heads h) {
    __shared__ Rows<D> keys;
    __shared__ Columns<D> keys_across;
    __shared__ Rows<D> values;
    size_t start = h.start(), rows = size_t(blockIdx.y) * h.tokens;
    q += start, k += start, v += start, y += start, dy += start, dq += start;

    int first = first_row_of_warp(), row = first + lane_row();
    Left<D> query, upstream;
    query.read(q, h, first);
    upstream.read(dy, h, first);
    float normal[2], mean[2];
    {
        Left<D> result;
        result.read(y, h, first);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int r = row + half * 8;
            mean[half] = group_sum<4>(result.part(upstream, half));
            normal[half] = r < h.tokens ? normaliser[rows + r] : 0.f;
            if (r < h.tokens && lane_pair() == 0) delta[rows + r] = mean[half];
        }
    }
    Sums<D> sum;
    sum.zero();
    int seen = keys_seen(h);
#pragma unroll 1
    for (int begin = 0; begin < seen; begin += LENGTH) {
        __syncthreads();
        fill<D>(&keys, &keys_across, k, h, begin);
        fill<D>(&values, nullptr, v, h, begin);
        __syncthreads();
        float slope[LENGTH / 8][4];
#pragma unroll
        for (int n = 0; n < LENGTH / 8; n++) {
            float score[4];
            query.times(keys, n * 8, score);
            upstream.times(values, n * 8, slope[n]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                bool visible = h.visible(row + i / 2 * 8, begin + n * 8 + lane_pair() + i % 2);
                float p = visible ? exp2f(score[i] * (h.scale * LOG2_E) - normal[i / 2]) : 0.f;
                slope[n][i] = p * (slope[n][i] - mean[i / 2]);
            }
        }
        sum.add(slope, keys_across);
    }
    sum.times(0, h.scale);
    sum.times(1, h.scale);
    sum.write(dq, h, first);
}

template <int D>
__device__ void backward_keys(const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *dy, const float *normaliser,
                              const float *delta, bf16 *dk, bf16 *dv, Heads h) {
    __shared__ Rows<D> queries;
    __shared__ Columns<D> queries_across;
    __shared__ Rows<D> upstream;
    __shared__ Columns<D> upstream_across;
    __shared__ float normal[LENGTH];
    __shared__ float mean[LENGTH];
    size_t start = h.start(), rows = size_t(blockIdx.y) * h.tokens;
    q += start, k += start, v += start, dy += start, dk += start, dv += start;

    int first = first_row_of_warp(), row = first + lane_row();
    Left<D> key, value;
    key.read(k, h, first);
    value.read(v, h, first);
    Sums<D> key_sum, value_sum;
    key_sum.zero();
    value_sum.zero();
    // queries before the block's first key see none of it
    int begin = h.causal ? int(blockIdx.x) * BLOCK_ROWS : 0;
#pragma unroll 1
    for (; begin < h.tokens; begin += LENGTH) {
        __syncthreads();
        fill<D>(&queries, &queries_across, q, h, begin);
        fill<D>(&upstream, &upstream_across, dy, h, begin);
        if (threadIdx.x < LENGTH) {
            int query = begin + threadIdx.x;
            normal[threadIdx.x] = query < h.tokens ? normaliser[rows + query] : 0.f;
            mean[threadIdx.x] = query < h.tokens ? delta[rows + query] : 0.f;
        }
        __syncthreads();
        float p[LENGTH / 8][4], slope[LENGTH / 8][4];
#pragma unroll
        for (int n = 0; n < LENGTH / 8; n++) {
            key.times(queries, n * 8, p[n]);
            value.times(upstream, n * 8, slope[n]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int at = n * 8 + lane_pair() + i % 2;
                bool visible = h.visible(begin + at, row + i / 2 * 8);
                p[n][i] = visible ? exp2f(p[n][i] * (h.scale * LOG2_E) - normal[at]) : 0.f;
                slope[n][i] = p[n][i] * (slope[n][i] - mean[at]);
            }
        }
        value_sum.add(p, upstream_across);
        key_sum.add(slope, queries_across);
    }
    key_sum.times(0, h.scale);
    key_sum.times(1, h.scale);
    key_sum.write(dk, h, first);
    value_sum.write(dv, h, first);
}

} // namespace mma

#define ATTENTION_MMA(D)                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_forward_mma_##D(                                  \
        const bf16 *q, const bf16 *k, const bf16 *v, bf16 *y, float *normaliser, int tokens, int heads, int width,    \
        int wide, int causal, float scale) {                                                                          \
        mma::forward<D>(q, k, v, y, normaliser, Heads{tokens, heads, width, wide, causal, scale});                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_backward_queries_mma_##D(                         \
        const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *y, const bf16 *dy, const float *normaliser,          \
        bf16 *dq, float *delta, int tokens, int heads, int width, int wide, int causal, float scale) {                \
        Heads h{tokens, heads, width, wide, causal, scale};                                                           \
        mma::backward_queries<D>(q, k, v, y, dy, normaliser, dq, delta, h);                                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_backward_keys_mma_##D(                            \
        const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *dy, const float *normaliser, const float *delta,     \
        bf16 *dk, bf16 *dv, int tokens, int heads, int width, int wide, int causal, float scale) {                    \
        Heads h{tokens, heads, width, wide, causal, scale};                                                           \
        mma::backward_keys<D>(q, k, v, dy, normaliser, delta, dk, dv, h);                                             \
    }
