// The part of CUDA C++ that the kernels use, for a host compiler: one block at a time, each of its
// threads a fibre. A fibre runs until it meets a barrier or exchanges a value with its warp, then the
// next one runs. The order in which they run can be chosen: a kernel whose result depends on it has
// a race.
//
// It shows that the arithmetic, the indices and the barriers are right. It says nothing about speed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(threads)

using std::min;

struct Position {
    unsigned x = 1, y = 1, z = 1;
};

namespace host {

constexpr int WARP_SIZE = 32;
constexpr size_t STACK = 1 << 17;

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    unsigned thread = 0;
    bool done = false;
    // barriers this fibre has reached, of the block and of its warp
    unsigned long block_barriers = 0, warp_barriers = 0;
};

struct Block {
    std::vector<Fibre> fibres;
    ucontext_t scheduler;
    Fibre *running = nullptr;
    std::vector<float> exchanged;
    // the factors of a product of matrices: four registers of the left one, two of the right one
    struct Factors {
        unsigned a[4], b[2];
    };
    std::vector<Factors> factors;
    std::function<void()> body;
    // which fibre runs next: 0 upwards, 1 downwards, otherwise the seed of a shuffle
    unsigned order = 0;
};

inline Block block;
inline Position block_index, block_size, grid_size;

[[noreturn]] inline void fail(const char *what) {
    fprintf(stderr, "%s in thread %u of block (%u, %u)\n", what, block.running->thread, block_index.x, block_index.y);
    exit(3);
}

inline void yield() { swapcontext(&block.running->context, &block.scheduler); }

// Waits until every fibre of [first, last) has reached as many barriers of this kind as this one. A
// fibre that has ended will never come: on the device that is undefined, so it is an error here.
inline void wait(unsigned first, unsigned last, unsigned long Fibre::*barriers) {
    Fibre *me = block.running;
    unsigned long mine = ++(me->*barriers);
    for (;;) {
        bool all = true;
        for (unsigned i = first; i < last; i++) {
            if (block.fibres[i].*barriers >= mine) continue;
            if (block.fibres[i].done) fail("a barrier that another thread of the block never reaches");
            all = false;
        }
        if (all) return;
        yield();
    }
}

inline void warp_wait() {
    unsigned first = block.running->thread / WARP_SIZE * WARP_SIZE;
    wait(first, std::min<unsigned>(first + WARP_SIZE, block.fibres.size()), &Fibre::warp_barriers);
}

// mma.m16n8k16 of bf16 with sums in f32, from the fragment layouts of the PTX manual: element (row, k) of
// the left factor is in lane 4 (row % 8) + k % 8 / 2, in register (row >= 8) + 2 (k >= 8); (k, column) of
// the right one in lane 4 column + k % 8 / 2, in register k >= 8; odd k in the upper half.
inline void multiply_bf16(float *c, const unsigned *a, const unsigned *b) {
    unsigned me = block.running->thread, lane = me % WARP_SIZE, warp = me - lane;
    std::copy_n(a, 4, block.factors[me].a);
    std::copy_n(b, 2, block.factors[me].b);
    warp_wait();
    auto half = [](unsigned pair, int k) {
        unsigned bits = k % 2 ? pair & 0xffff0000u : pair << 16;
        float x;
        memcpy(&x, &bits, sizeof x);
        return x;
    };
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) {
            unsigned left = block.factors[warp + row % 8 * 4 + k % 8 / 2].a[(row >= 8) + 2 * (k >= 8)];
            unsigned right = block.factors[warp + column * 4 + k % 8 / 2].b[k >= 8];
            c[i] += half(left, k) * half(right, k);
        }
    }
    warp_wait();
}

inline void enter() {
    block.body();
    block.running->done = true;
    for (;;) yield();
}

// Runs `body` once for each thread of one block.
inline void run_block(unsigned threads, unsigned order, std::function<void()> body) {
    block.fibres.clear();
    block.fibres.resize(threads);
    block.exchanged.assign(threads, NAN);
    block.factors.assign(threads, {});
    block.body = std::move(body);
    std::vector<unsigned> turns(threads);
    for (unsigned i = 0; i < threads; i++) {
        Fibre &fibre = block.fibres[i];
        fibre.thread = i;
        fibre.stack = std::make_unique<char[]>(STACK);
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.get();
        fibre.context.uc_stack.ss_size = STACK;
        makecontext(&fibre.context, enter, 0);
        turns[i] = order == 1 ? threads - 1 - i : i;
    }
    uint64_t random = order;
    for (bool busy = true; busy;) {
        for (unsigned i = threads - 1; order > 1 && i > 0; i--) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            std::swap(turns[i], turns[(random >> 33) % (i + 1)]);
        }
        busy = false;
        for (unsigned i : turns) {
            if (block.fibres[i].done) continue;
            busy = true;
            block.running = &block.fibres[i];
            swapcontext(&block.scheduler, &block.fibres[i].context);
        }
    }
}

} // namespace host

#define threadIdx (Position{host::block.running->thread, 0, 0})
#define blockIdx host::block_index
#define blockDim host::block_size
#define gridDim host::grid_size

inline void __syncthreads() { host::wait(0, host::block.fibres.size(), &host::Fibre::block_barriers); }

inline float __shfl_xor_sync(unsigned lanes, float value, int step) {
    if (lanes != 0xffffffffu) host::fail("a shuffle of part of a warp");
    unsigned me = host::block.running->thread;
    host::block.exchanged[me] = value;
    host::warp_wait();
    float other = host::block.exchanged[me ^ unsigned(step)];
    host::warp_wait();
    return other;
}

inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
