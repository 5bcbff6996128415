use candle_core::{DType, Result, Tensor, Var};

use super::*;
use crate::nn::attention;
use crate::nn::testing::{gradient_error, noise};

const WIDTH: usize = 12;
const INNER: usize = 20;
const NARROW: usize = 5;

fn linear(seed: u64, inner: usize, out: usize, dtype: DType) -> Result<Linear> {
    let weight = (noise(seed, &[out, inner])? * 0.7)?.to_dtype(dtype)?;
    Linear::new(&weight, Some(&noise(seed + 1, &[out])?.to_dtype(dtype)?))
}

fn layers(dtype: DType) -> Result<BlockLayers> {
    let norm = |seed| -> Result<LayerNorm> {
        let (weight, bias) = (noise(seed, &[WIDTH])?.to_dtype(dtype)?, noise(seed + 1, &[WIDTH])?.to_dtype(dtype)?);
        Ok(LayerNorm::new(weight, bias, 1e-5))
    };
    Ok(BlockLayers {
        qkv: linear(10, WIDTH, 3 * WIDTH, dtype)?,
        out: linear(20, WIDTH, WIDTH, dtype)?,
        expand: linear(30, WIDTH, INNER, dtype)?,
        contract: linear(40, INNER, WIDTH, dtype)?,
        norm1: norm(50)?,
        norm2: norm(60)?,
    })
}

fn layouts() -> Vec<BlockLayout> {
    let mut all = vec![];
    for (norm_first, activation) in [(true, Activation::QuickGelu), (false, Activation::Relu)] {
        for causal in [false, true] {
            all.push(BlockLayout { heads: 3, causal, activation, norm_first });
        }
    }
    all
}

/// The same from separate layers.
fn composed(l: &BlockLayers, layout: BlockLayout, x: &Tensor, adapters: [Option<AdapterLayers>; 2]) -> Result<Tensor> {
    let adapted = |adapter: Option<AdapterLayers>, b: Tensor| match adapter {
        Some((down, up)) => &b + up.forward(&down.forward(&b)?.relu()?)?.relu()?,
        None => Ok(b),
    };
    let attend = |x: &Tensor| {
        let qkv = l.qkv.forward(x)?;
        let part = |i: usize| qkv.narrow(2, i * WIDTH, WIDTH);
        l.out.forward(&attention(&part(0)?, &part(1)?, &part(2)?, layout.heads, layout.causal)?)
    };
    let mlp = |x: &Tensor| l.contract.forward(&layout.activation.forward(&l.expand.forward(x)?)?);
    if layout.norm_first {
        let x = (x + adapted(adapters[0], attend(&l.norm1.forward(x)?)?)?)?;
        &x + adapted(adapters[1], mlp(&l.norm2.forward(&x)?)?)?
    } else {
        let x = l.norm1.forward(&(x + attend(x)?)?)?;
        l.norm2.forward(&(&x + mlp(&x)?)?)
    }
}

fn adapters(dtype: DType) -> Result<[(Linear, Linear); 2]> {
    let one =
        |seed| -> Result<_> { Ok((linear(seed, WIDTH, NARROW, dtype)?, linear(seed + 5, NARROW, WIDTH, dtype)?)) };
    Ok([one(70)?, one(80)?])
}

fn largest(x: &Tensor) -> Result<f64> {
    x.abs()?.max_all()?.to_dtype(DType::F64)?.to_scalar()
}

#[test]
fn the_operation_agrees_with_its_layers_in_value_and_gradient() -> Result<()> {
    let layers = layers(DType::F64)?;
    let adapters = adapters(DType::F64)?;
    let x = Var::from_tensor(&noise(1, &[2, 70, WIDTH])?)?;
    for layout in layouts() {
        let block = FusedBlock::new(&layers, layout)?.expect("frozen");
        for with_adapters in [false, true] {
            if with_adapters && !layout.norm_first {
                continue;
            }
            let some = |i: usize| with_adapters.then_some((&adapters[i].0, &adapters[i].1));
            let both = [some(0), some(1)];
            let (found, wanted) = (block.forward(&x, both, None)?, composed(&layers, layout, &x, both)?);
            assert!(largest(&(&found - &wanted)?)? < 1e-11, "{layout:?}");
            let seed = noise(2, &[2, 70, WIDTH])?;
            let gradient = |y: &Tensor| -> Result<Tensor> {
                let mut all = (y * &seed)?.sum_all()?.backward()?;
                Ok(all.remove(&x).expect("a gradient"))
            };
            let (found, wanted) = (gradient(&found)?, gradient(&wanted)?);
            assert!(largest(&(&found - &wanted)?)? < 1e-10 * largest(&wanted)?, "{layout:?}, adapters {with_adapters}");
        }
    }
    Ok(())
}

#[test]
fn gradients_agree_with_finite_differences() -> Result<()> {
    let layers = layers(DType::F64)?;
    let x = Var::from_tensor(&noise(1, &[2, 7, WIDTH])?)?;
    for layout in layouts() {
        let block = FusedBlock::new(&layers, layout)?.expect("frozen");
        let error = gradient_error(&x, || block.forward(&x, [None, None], None))?;
        assert!(error < 1e-6, "{layout:?}: relative error {error}");
    }
    Ok(())
}

#[test]
fn an_item_does_not_depend_on_its_batch() -> Result<()> {
    let layers = layers(DType::F32)?;
    let x = noise(1, &[3, 150, WIDTH])?.to_dtype(DType::F32)?;
    let step = |x: &Tensor| -> Result<(Vec<f32>, Vec<f32>)> {
        let block = FusedBlock::new(&layers, layouts()[0])?.expect("frozen");
        let x = Var::from_tensor(x)?;
        let y = block.forward(&x, [None, None], None)?;
        let gradient = y.sqr()?.sum_all()?.backward()?.remove(&x).expect("a gradient");
        Ok((y.flatten_all()?.to_vec1()?, gradient.flatten_all()?.to_vec1()?))
    };
    let (together, gradients) = step(&x)?;
    let (alone, gradient) = step(&x.narrow(0, 1, 1)?.contiguous()?)?;
    let item = 150 * WIDTH..2 * 150 * WIDTH;
    assert_eq!(alone, together[item.clone()]);
    assert_eq!(gradient, gradients[item]);
    Ok(())
}

#[test]
fn weights_that_may_change_are_not_fused() -> Result<()> {
    let mut layers = layers(DType::F64)?;
    let weight = Var::from_tensor(&noise(1, &[WIDTH, WIDTH])?)?;
    layers.out = Linear::new(weight.as_tensor(), None)?;
    assert!(FusedBlock::new(&layers, layouts()[0])?.is_none());
    assert!(!FusedBlock::takes(Some((&layers.out, &layers.out))));
    Ok(())
}

#[test]
fn a_second_gradient_of_one_pass_is_an_error() -> Result<()> {
    let block = FusedBlock::new(&layers(DType::F64)?, layouts()[0])?.expect("frozen");
    let x = Var::from_tensor(&noise(1, &[1, 4, WIDTH])?)?;
    let y = block.forward(&x, [None, None], None)?.sum_all()?;
    assert!(y.backward()?.get(&x).is_some());
    assert!(y.backward().is_err());
    Ok(())
}
