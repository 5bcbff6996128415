// Multi-head softmax attention without the matrix of probabilities.
//
// The forward pass reads the keys in tiles and keeps a running maximum and sum for each query
// ("online softmax", Milakov and Gimelshein 2018; Dao et al. 2022); of each row of probabilities it
// keeps only the logarithm of its normaliser. The backward pass makes each probability again from
// that. It runs twice over the scores, once by query and once by key, so that every sum has one
// owner and a fixed order: no atomics, and the same bits on each run.
//
// Operands are [batch, tokens, heads * width]. A group of G lanes owns a query (or key) and spreads
// its D numbers over its lanes, sixteen to a lane; each group owns ROWS of them, so that a tile's
// numbers are used several times once they are in registers. D is the head's width rounded up to a
// power of two; what is beyond the width is zero. Scores are in units of ln 2, as `exp2` is what
// the hardware has.
#pragma once

#include "common.cuh"

constexpr int THREADS = 128;
// Numbers of a tile in shared memory (times two tiles).
constexpr int TILE = 2048;
constexpr int PER_LANE = 16;
constexpr float LOG2_E = 1.44269504088896340736f;

struct Heads {
    int tokens;
    int heads;
    int width;
    // width is a multiple of four and all operands are aligned for it
    int wide;
    int causal;
    float scale;

    __device__ int features() const { return heads * width; }
    // Where the head of this block begins in its item.
    __device__ size_t start() const {
        int item = blockIdx.y / heads, head = blockIdx.y % heads;
        return size_t(item) * tokens * features() + size_t(head) * width;
    }
    __device__ bool visible(int query, int key) const {
        return query < tokens && key < tokens && (!causal || key <= query);
    }
};

// The four numbers of a row from `column` on, zero outside the matrix.
template <typename T>
__device__ __forceinline__ void read4(const T *x, const Heads &h, int row, int column, float *to) {
    if (row < h.tokens && h.wide && column < h.width) {
        Wide<4>::load(x + size_t(row) * h.features() + column, to);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        bool inside = row < h.tokens && column + i < h.width;
        to[i] = inside ? widen(x[size_t(row) * h.features() + column + i]) : 0.f;
    }
}

// Fills a tile with the rows from `row` on.
template <typename T, int D> __device__ void fill(float *tile, const T *x, const Heads &h, int row) {
#pragma unroll 1
    for (int at = threadIdx.x * 4; at < TILE; at += THREADS * 4) {
        float values[4];
        read4(x, h, row + at / D, at % D, values);
        Wide<4>::store(values, tile + at);
    }
}

// One row, spread over a group of lanes: four numbers of every 4 * G, so that the lanes of a group
// read neighbouring addresses.
template <int D> struct Spread {
    static constexpr int G = D / PER_LANE;
    float v[PER_LANE];

    static __device__ int lane() { return threadIdx.x % G; }

    template <typename T> __device__ void read(const T *x, const Heads &h, int row) {
#pragma unroll
        for (int i = 0; i < PER_LANE; i += 4) read4(x, h, row, i * G + 4 * lane(), v + i);
    }
    __device__ void read_tile(const float *tile, int row) {
#pragma unroll
        for (int i = 0; i < PER_LANE; i += 4) Wide<4>::load(tile + row * D + i * G + 4 * lane(), v + i);
    }
    template <typename T> __device__ void write(T *x, const Heads &h, int row) const {
        if (row >= h.tokens) return;
#pragma unroll
        for (int i = 0; i < PER_LANE; i += 4) {
            int column = i * G + 4 * lane();
            T *to = x + size_t(row) * h.features() + column;
            if (h.wide && column < h.width) {
                Wide<4>::store(v + i, to);
            } else {
                for (int j = 0; j < 4; j++) {
                    if (column + j < h.width) narrow(v[i + j], to[j]);
                }
            }
        }
    }
    __device__ void zero() {
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) v[i] = 0.f;
    }
    __device__ void times(float a) {
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) v[i] *= a;
    }
    __device__ void add(float a, const Spread &x) {
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) v[i] = fmaf(a, x.v[i], v[i]);
    }
    // This lane's part of the product; `group_sum<G>` makes it whole.
    __device__ float part(const Spread &x) const {
        float sum = 0.f;
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) sum = fmaf(v[i], x.v[i], sum);
        return sum;
    }
};

// The row of a group's `r`-th query or key in this block.
template <int D, int ROWS> __device__ __forceinline__ int owned_row(int r) {
    constexpr int GROUPS = THREADS / Spread<D>::G;
    return (blockIdx.x * ROWS + r) * GROUPS + threadIdx.x / Spread<D>::G;
}

template <int D, int ROWS> __device__ __forceinline__ int first_row() {
    return blockIdx.x * ROWS * (THREADS / Spread<D>::G);
}

// y = softmax(q k^T scale) v, and log2 of each row's normaliser, [batch * heads, tokens].
template <typename T, int D, int ROWS>
__device__ void forward(const T *q, const T *k, const T *v, T *y, float *normaliser, Heads h) {
    constexpr int G = Spread<D>::G, KEYS = TILE / D, CHUNK = 4;
    alignas(16) __shared__ float key_tile[TILE];
    alignas(16) __shared__ float value_tile[TILE];
    q += h.start(), k += h.start(), v += h.start(), y += h.start();

    Spread<D> query[ROWS], sum[ROWS];
    float largest[ROWS], total[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        query[r].read(q, h, owned_row<D, ROWS>(r));
        query[r].times(h.scale * LOG2_E);
        sum[r].zero();
        largest[r] = -INFINITY;
        total[r] = 0.f;
    }
    // keys after the block's last query are hidden from all of it
    int seen = h.causal ? min(h.tokens, first_row<D, ROWS>() + ROWS * (THREADS / G)) : h.tokens;
    for (int begin = 0; begin < seen; begin += KEYS) {
        __syncthreads();
        fill<T, D>(key_tile, k, h, begin);
        fill<T, D>(value_tile, v, h, begin);
        __syncthreads();
#pragma unroll 1
        for (int at = 0; at < KEYS && begin + at < seen; at += CHUNK) {
            float score[ROWS][CHUNK];
#pragma unroll
            for (int c = 0; c < CHUNK; c++) {
                Spread<D> key;
                key.read_tile(key_tile, at + c);
#pragma unroll
                for (int r = 0; r < ROWS; r++) score[r][c] = group_sum<G>(query[r].part(key));
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float before = largest[r];
#pragma unroll
                for (int c = 0; c < CHUNK; c++) {
                    // a row beyond the end is computed and never written, so it may see all keys
                    int row = min(owned_row<D, ROWS>(r), h.tokens - 1);
                    if (!h.visible(row, begin + at + c)) score[r][c] = -INFINITY;
                    largest[r] = fmaxf(largest[r], score[r][c]);
                }
                // finite from the first chunk on: every query sees key 0
                float shrink = exp2f(before - largest[r]);
                total[r] *= shrink;
                sum[r].times(shrink);
#pragma unroll
                for (int c = 0; c < CHUNK; c++) {
                    score[r][c] = exp2f(score[r][c] - largest[r]);
                    total[r] += score[r][c];
                }
            }
#pragma unroll
            for (int c = 0; c < CHUNK; c++) {
                Spread<D> value;
                value.read_tile(value_tile, at + c);
#pragma unroll
                for (int r = 0; r < ROWS; r++) sum[r].add(score[r][c], value);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int row = owned_row<D, ROWS>(r);
        sum[r].times(1.f / total[r]);
        sum[r].write(y, h, row);
        if (row < h.tokens && Spread<D>::lane() == 0) {
            normaliser[size_t(blockIdx.y) * h.tokens + row] = largest[r] + log2f(total[r]);
        }
    }
}

// The gradient of the queries, and for each of them `delta`, the mean of dp under p, which is dy y.
template <typename T, int D, int ROWS>
__device__ void backward_queries(const T *q, const T *k, const T *v, const T *y, const T *dy, const float *normaliser,
                                 T *dq, float *delta, Heads h) {
    constexpr int G = Spread<D>::G, KEYS = TILE / D;
    alignas(16) __shared__ float key_tile[TILE];
    alignas(16) __shared__ float value_tile[TILE];
    size_t start = h.start(), rows = size_t(blockIdx.y) * h.tokens;
    q += start, k += start, v += start, y += start, dy += start, dq += start;

    Spread<D> query[ROWS], upstream[ROWS], sum[ROWS];
    float normal[ROWS], mean[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int row = owned_row<D, ROWS>(r);
        query[r].read(q, h, row);
        query[r].times(h.scale * LOG2_E);
        upstream[r].read(dy, h, row);
        sum[r].read(y, h, row);
        mean[r] = group_sum<G>(sum[r].part(upstream[r]));
        sum[r].zero();
        normal[r] = row < h.tokens ? normaliser[rows + row] : 0.f;
        if (row < h.tokens && Spread<D>::lane() == 0) delta[rows + row] = mean[r];
    }
    int seen = h.causal ? min(h.tokens, first_row<D, ROWS>() + ROWS * (THREADS / G)) : h.tokens;
    for (int begin = 0; begin < seen; begin += KEYS) {
        __syncthreads();
        fill<T, D>(key_tile, k, h, begin);
        fill<T, D>(value_tile, v, h, begin);
        __syncthreads();
#pragma unroll 1
        for (int at = 0; at < KEYS && begin + at < seen; at++) {
            Spread<D> key, value;
            key.read_tile(key_tile, at);
            value.read_tile(value_tile, at);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float score = group_sum<G>(query[r].part(key));
                float dp = group_sum<G>(upstream[r].part(value));
                bool visible = h.visible(owned_row<D, ROWS>(r), begin + at);
                float p = visible ? exp2f(score - normal[r]) : 0.f;
                sum[r].add(p * (dp - mean[r]), key);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        sum[r].times(h.scale);
        sum[r].write(dq, h, owned_row<D, ROWS>(r));
    }
}

// The gradients of the keys and values; `delta` is what `backward_queries` wrote.
template <typename T, int D, int ROWS>
__device__ void backward_keys(const T *q, const T *k, const T *v, const T *dy, const float *normaliser,
                              const float *delta, T *dk, T *dv, Heads h) {
    constexpr int G = Spread<D>::G, QUERIES = TILE / D;
    alignas(16) __shared__ float query_tile[TILE];
    alignas(16) __shared__ float upstream_tile[TILE];
    __shared__ float normal_tile[QUERIES];
    __shared__ float mean_tile[QUERIES];
    size_t start = h.start(), rows = size_t(blockIdx.y) * h.tokens;
    q += start, k += start, v += start, dy += start, dk += start, dv += start;

    Spread<D> key[ROWS], value[ROWS], key_sum[ROWS], value_sum[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int row = owned_row<D, ROWS>(r);
        key[r].read(k, h, row);
        key[r].times(h.scale * LOG2_E);
        value[r].read(v, h, row);
        key_sum[r].zero();
        value_sum[r].zero();
    }
    // queries before the block's first key see none of it
    int first = h.causal ? first_row<D, ROWS>() / QUERIES * QUERIES : 0;
    for (int begin = first; begin < h.tokens; begin += QUERIES) {
        __syncthreads();
        fill<T, D>(query_tile, q, h, begin);
        fill<T, D>(upstream_tile, dy, h, begin);
        for (int i = threadIdx.x; i < QUERIES; i += THREADS) {
            bool inside = begin + i < h.tokens;
            normal_tile[i] = inside ? normaliser[rows + begin + i] : 0.f;
            mean_tile[i] = inside ? delta[rows + begin + i] : 0.f;
        }
        __syncthreads();
#pragma unroll 1
        for (int at = 0; at < QUERIES && begin + at < h.tokens; at++) {
            Spread<D> query, upstream;
            query.read_tile(query_tile, at);
            upstream.read_tile(upstream_tile, at);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float score = group_sum<G>(query.part(key[r]));
                float dp = group_sum<G>(upstream.part(value[r]));
                bool visible = h.visible(begin + at, owned_row<D, ROWS>(r));
                float p = visible ? exp2f(score - normal_tile[at]) : 0.f;
                value_sum[r].add(p, upstream);
                key_sum[r].add(p * (dp - mean_tile[at]), query);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        key_sum[r].times(h.scale);
        key_sum[r].write(dk, h, owned_row<D, ROWS>(r));
        value_sum[r].write(dv, h, owned_row<D, ROWS>(r));
    }
}

// How many queries or keys a group owns; `plan.rs` divides the tokens by the same numbers.
constexpr int FORWARD_ROWS = 4;
constexpr int BACKWARD_ROWS = 2;

#define ATTENTION(T, D)                                                                                               \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_forward_##T##_##D(                                \
        const T *q, const T *k, const T *v, T *y, float *normaliser, int tokens, int heads, int width, int wide,      \
        int causal, float scale) {                                                                                    \
        forward<T, D, FORWARD_ROWS>(q, k, v, y, normaliser, Heads{tokens, heads, width, wide, causal, scale});        \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_backward_queries_##T##_##D(                       \
        const T *q, const T *k, const T *v, const T *y, const T *dy, const float *normaliser, T *dq, float *delta,    \
        int tokens, int heads, int width, int wide, int causal, float scale) {                                        \
        Heads h{tokens, heads, width, wide, causal, scale};                                                           \
        backward_queries<T, D, BACKWARD_ROWS>(q, k, v, y, dy, normaliser, dq, delta, h);                              \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS) attention_backward_keys_##T##_##D(                          \
        const T *q, const T *k, const T *v, const T *dy, const float *normaliser, const float *delta, T *dk, T *dv,   \
        int tokens, int heads, int width, int wide, int causal, float scale) {                                        \
        Heads h{tokens, heads, width, wide, causal, scale};                                                           \
        backward_keys<T, D, BACKWARD_ROWS>(q, k, v, dy, normaliser, delta, dk, dv, h);                                \
    }
