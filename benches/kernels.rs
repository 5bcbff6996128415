//! The kernels of a step, each on the sizes of the full model (rd64-refined at 352 px) and of a small one.
//!
//! ```text
//! cargo bench --bench kernels                       # all
//! cargo bench --bench kernels -- 'attention/full'   # some
//! ```
//! *backward* is the gradient to the input, with the forward pass that it needs; weights are frozen, as in an attack.
//! Matrix products report elements per second, an element being one multiply-add: twice as many FLOP/s.

use std::hint::black_box;
use std::time::Duration;

use candle_core::{Device, Result, Tensor, Var};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segprobe::nn::{Activation, LayerNorm, Linear, attention, conv3x3, patchify, transposed_convolution};

/// The sizes that decide what a kernel costs.
struct Shape {
    name: &'static str,
    tokens: usize,
    width: usize,
    inner: usize,
    heads: usize,
}

const FULL: Shape = Shape { name: "full", tokens: 485, width: 768, inner: 3072, heads: 12 };
const SMALL: Shape = Shape { name: "small", tokens: 197, width: 192, inner: 768, heads: 3 };
/// The decoder of the full model.
const DECODER: Shape = Shape { name: "decoder", tokens: 485, width: 64, inner: 2048, heads: 4 };
const SHAPES: [Shape; 3] = [FULL, SMALL, DECODER];
const BATCHES: [usize; 2] = [1, 4];

type Function<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;

fn noise(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1., shape, &Device::Cpu).expect("room for the operands")
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    let weight = (noise(&[outputs, inputs]) * (inputs as f64).powf(-0.5)).expect("scaled");
    Linear::new(&weight, Some(&noise(&[outputs]))).expect("fitting shapes")
}

fn layer_norm(width: usize) -> LayerNorm {
    LayerNorm::new(noise(&[width]), noise(&[width]), 1e-5)
}

/// Times `f` at a point, and its gradient there.
fn both_ways(group: &mut BenchmarkGroup<WallTime>, name: &str, shape: &[usize], f: Function) {
    let x = noise(shape);
    let forward = || black_box(f(&x).expect("forward"));
    group.bench_function(BenchmarkId::new("forward", name), |bencher| bencher.iter(forward));
    let x = Var::from_tensor(&x).expect("a variable");
    let backward = || black_box(f(x.as_tensor()).and_then(|y| y.backward()).expect("backward"));
    group.bench_function(BenchmarkId::new("backward", name), |bencher| bencher.iter(backward));
}

fn matmul(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    for Shape { name, tokens, width, inner, .. } in SHAPES {
        for (inputs, outputs) in [(width, width), (width, inner), (inner, width)] {
            let layer = linear(inputs, outputs);
            for batch in BATCHES {
                group.throughput(Throughput::Elements((batch * tokens * inputs * outputs) as u64));
                let x = noise(&[batch, tokens, inputs]);
                let id = BenchmarkId::new(name, format!("{batch}x{tokens}x{inputs}x{outputs}"));
                group.bench_function(id, |bencher| bencher.iter(|| black_box(layer.forward(&x).expect("product"))));
            }
        }
    }
}

fn softmax_attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention");
    for Shape { name, tokens, width, heads, .. } in SHAPES {
        let x = || noise(&[1, tokens, width]);
        let (key, value) = (x(), x());
        // Only the query is a variable, but the kernel makes all three gradients.
        both_ways(&mut group, name, &[1, tokens, width], &|query| attention(query, &key, &value, heads, false));
    }
}

fn norm(c: &mut Criterion) {
    let mut group = c.benchmark_group("layer_norm");
    for Shape { name, tokens, width, .. } in SHAPES {
        let layer = layer_norm(width);
        both_ways(&mut group, name, &[1, tokens, width], &|x| layer.forward(x));
    }
}

fn activation(c: &mut Criterion) {
    for (kind, name) in [(Activation::QuickGelu, "quick_gelu"), (Activation::Relu, "relu")] {
        let mut group = c.benchmark_group(name);
        for Shape { name, tokens, inner, .. } in SHAPES {
            both_ways(&mut group, name, &[1, tokens, inner], &|x| kind.forward(x));
        }
    }
}

fn convolution(c: &mut Criterion) {
    let mut group = c.benchmark_group("convolution");
    let (patch, gather, up) = (linear(3 * 16 * 16, 768), linear(9 * 64, 64), linear(64, 32 * 4 * 4));
    both_ways(&mut group, "patches", &[1, 3, 352, 352], &|x| patch.forward(&patchify(x, 16)?));
    both_ways(&mut group, "3x3", &[1, 22, 22, 64], &|x| conv3x3(x, &gather));
    both_ways(&mut group, "transposed", &[1, 22, 22, 64], &|x| transposed_convolution(x, &up, 4));
}

/// A whole block of CLIP's towers, from its parts.
fn block(c: &mut Criterion) {
    let mut group = c.benchmark_group("block");
    for Shape { name, tokens, width, inner, heads } in [FULL, SMALL] {
        let [query, key, value, out] = [(); 4].map(|()| linear(width, width));
        let (expand, contract) = (linear(width, inner), linear(inner, width));
        let (norm1, norm2) = (layer_norm(width), layer_norm(width));
        let forward = |x: &Tensor| {
            let y = norm1.forward(x)?;
            let y = attention(&query.forward(&y)?, &key.forward(&y)?, &value.forward(&y)?, heads, false)?;
            let x = (x + out.forward(&y)?)?;
            let y = Activation::QuickGelu.forward(&expand.forward(&norm2.forward(&x)?)?)?;
            x + contract.forward(&y)?
        };
        for batch in BATCHES {
            both_ways(&mut group, &format!("{name}, batch {batch}"), &[batch, tokens, width], &forward);
        }
    }
}

fn configuration() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(500), Duration::from_secs(2));
    Criterion::default().sample_size(20).warm_up_time(warm_up).measurement_time(measurement)
}

criterion_group! {
    name = kernels;
    config = configuration();
    targets = matmul, softmax_attention, norm, activation, convolution, block
}
criterion_main!(kernels);
