//! What a trained perturbation has to beat: noise of its size, and itself with its structure destroyed.

use candle_core::{Device, Result, Tensor};

use crate::attack::harness::random::Stream;

/// Side of the blocks of [`shuffled_blocks`], in pixels of the perturbation.
pub const BLOCK: usize = 16;

/// The controls of a perturbation `[3, h, w]` by their names, each within `epsilon`.
///
/// # Errors
/// A tensor of another shape.
pub fn all(v: &Tensor, epsilon: f64, seed: u64) -> Result<Vec<(&'static str, Tensor)>> {
    let stream = |purpose| Stream::of(seed, purpose, 0);
    Ok(vec![
        ("uniform noise", uniform(v, epsilon, &mut stream("universal uniform"))?),
        ("random corners", corners(v, epsilon, &mut stream("universal corners"))?),
        ("shuffled pixels", shuffled_blocks(v, 1, &mut stream("universal pixels"))?),
        ("shuffled blocks", shuffled_blocks(v, BLOCK, &mut stream("universal blocks"))?),
    ])
}

/// Every value on its own, anywhere within the budget.
///
/// # Errors
/// A device that failed.
pub fn uniform(like: &Tensor, epsilon: f64, stream: &mut Stream) -> Result<Tensor> {
    stream.fill(like, |stream| (2. * stream.uniform() - 1.) * epsilon)
}

/// Every value on its own, at one end of the budget.
///
/// # Errors
/// A device that failed.
pub fn corners(like: &Tensor, epsilon: f64, stream: &mut Stream) -> Result<Tensor> {
    stream.fill(like, |stream| if stream.uniform() < 0.5 { -epsilon } else { epsilon })
}

/// The same pixels in other places: whole squares of `side`, their insides as they were. What does not fill a square at
/// the right and lower edge stays where it is. A side of 1 leaves nothing but the colours.
///
/// # Errors
/// A tensor of another shape.
pub fn shuffled_blocks(v: &Tensor, side: usize, stream: &mut Stream) -> Result<Tensor> {
    let (channels, height, width) = v.dims3()?;
    let values: Vec<f32> = v.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
    let mut shuffled = values.clone();
    let columns = width / side;
    let order = stream.order(columns * (height / side));
    let corner = |block: usize| (block / columns * side, block % columns * side);
    for (to, from) in order.iter().enumerate() {
        let ((to_y, to_x), (from_y, from_x)) = (corner(to), corner(*from));
        for channel in 0..channels {
            for y in 0..side {
                let line = |top: usize, left: usize| (channel * height + top + y) * width + left;
                let (to, from) = (line(to_y, to_x), line(from_y, from_x));
                shuffled[to..to + side].copy_from_slice(&values[from..from + side]);
            }
        }
    }
    Tensor::from_vec(shuffled, (channels, height, width), v.device())
}
