//! Random sizes: an attack cannot know which one the model will see.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resize::{there_and_back, transposed};
use super::{DefenceError, Transformation};
use crate::drawing::Draws;
use crate::model::Resize;

/// Made smaller by a random factor and larger again, several times; the answers are averaged.
///
/// With `pad` the smaller picture is not made larger again but put at a random place of a black frame, as Xie et al. 2018,
/// arXiv 1711.01991, do. That moves the structure, which does not matter to a class and does to a mask: the logits
/// are cut out of the frame and enlarged, and the loss of a draw is that of the frame against the mask moved along.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = RandomResizeDefence)]
pub struct RandomResize {
    /// The smallest factor, above 0 and below 1; the largest is 1.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub lowest: f64,
    /// Draws for each answer.
    #[schema(minimum = 2, maximum = 64)]
    pub samples: usize,
    /// Whether the smaller picture is padded at a random place; the paper's factors are 0.9 to 1.
    pub pad: bool,
}

impl Default for RandomResize {
    fn default() -> Self {
        Self { lowest: 0.4, samples: 8, pad: false }
    }
}

impl RandomResize {
    fn scale(&self, draws: &mut Draws) -> f64 {
        f64::from(draws.range(self.lowest as f32, 1.))
    }

    /// Where the smaller picture lies in a frame of `height` and `width`.
    fn place(&self, (height, width): (usize, usize), draws: &mut Draws) -> Place {
        let scale = self.scale(draws);
        let small = |side: usize| ((side as f64 * scale).round() as usize).clamp(1, side);
        let (rows, columns) = (small(height), small(width));
        Place {
            rows: Span { from: draws.count(0, height - rows), length: rows, of: height },
            columns: Span { from: draws.count(0, width - columns), length: columns, of: width },
        }
    }
}

/// A rectangle of a frame.
struct Place {
    rows: Span,
    columns: Span,
}

/// A part of a side.
#[derive(Clone, Copy)]
struct Span {
    from: usize,
    length: usize,
    of: usize,
}

impl Span {
    /// The same part of a side of another length.
    fn on(self, side: usize) -> Self {
        let at = |place: usize| (place * side + self.of / 2) / self.of;
        let from = at(self.from).min(side - 1);
        Self { from, length: at(self.from + self.length).clamp(from + 1, side) - from, of: side }
    }

    fn rest(self) -> usize {
        self.of - self.from - self.length
    }
}

impl Place {
    /// The same place in a frame of another size.
    fn on(&self, (height, width): (usize, usize)) -> Self {
        Self { rows: self.rows.on(height), columns: self.columns.on(width) }
    }

    /// From the frame's size to the rectangle's.
    fn shrinking(&self, x: &Tensor) -> Result<Resize> {
        Resize::new((self.rows.of, self.columns.of), (self.rows.length, self.columns.length), x.device())
    }

    /// `x` `[c, h, w]` in the rectangle, 0 around it.
    fn put(&self, x: &Tensor) -> Result<Tensor> {
        let Self { rows, columns } = self;
        let small = self.shrinking(x)?.forward(x)?;
        small.pad_with_zeros(1, rows.from, rows.rest())?.pad_with_zeros(2, columns.from, columns.rest())
    }

    /// The rectangle of `x` `[c, h, w]`.
    fn cut(&self, x: &Tensor) -> Result<Tensor> {
        let Self { rows, columns } = self;
        x.narrow(1, rows.from, rows.length)?.narrow(2, columns.from, columns.length)?.contiguous()
    }
}

impl Transformation for RandomResize {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let between = self.lowest > 0. && self.lowest < 1.;
        DefenceError::unless(between, "lowest", self.lowest, "use more than 0 and less than 1")?;
        DefenceError::unless((2..=64).contains(&self.samples), "samples", self.samples, "use 2 to 64")
    }

    fn apply(&self, x: &Tensor, draws: &mut Draws) -> Result<Tensor> {
        if self.pad { self.place(frame(x)?, draws).put(x) } else { there_and_back(x, self.scale(draws)) }
    }

    fn pull_back(&self, gradient: &Tensor, draws: &mut Draws) -> Result<Tensor> {
        if !self.pad {
            return transposed(gradient, self.scale(draws));
        }
        let place = self.place(frame(gradient)?, draws);
        place.shrinking(gradient)?.pull_back(&place.cut(gradient)?)
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn samples(&self) -> usize {
        self.samples
    }

    fn moved(&self, target: &Tensor, frame: (usize, usize), draws: &mut Draws) -> Result<Option<Tensor>> {
        if !self.pad {
            return Ok(None);
        }
        let moved = self.place(frame, draws).on(target.dims2()?).put(&target.unsqueeze(0)?)?.squeeze(0)?;
        moved.gt(0.5)?.to_dtype(target.dtype()).map(Some)
    }

    fn moved_back(&self, logits: Tensor, frame: (usize, usize), draws: &mut Draws) -> Result<Tensor> {
        if !self.pad {
            return Ok(logits);
        }
        let size = logits.dims2()?;
        let inside = self.place(frame, draws).on(size).cut(&logits.unsqueeze(0)?)?;
        let (_, rows, columns) = inside.dims3()?;
        Resize::new((rows, columns), size, logits.device())?.forward(&inside)?.squeeze(0)
    }
}

/// Height and width of `[3, h, w]`.
fn frame(x: &Tensor) -> Result<(usize, usize)> {
    let (_, height, width) = x.dims3()?;
    Ok((height, width))
}
