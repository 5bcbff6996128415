//! A model that is known completely: each logit is a fixed mix of its pixel's three channels.

use candle_core::{Device, Tensor, Var};

use crate::attack::Problem;
use crate::attack::protocol::Space;
use crate::imaging::{Image, Mask};
use crate::loss::{Loss, Term};
use crate::model::Preprocess;
use crate::oracle::{Answer, Measure, Oracle, OracleError, Text};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    CancelAfter(usize),
    NoGradient,
    NanGradient,
    ZeroGradient,
    WrongShape,
    NanLoss,
}

/// The oracle of the toy model.
pub struct Toy<'a> {
    problem: &'a Problem,
    fault: Fault,
    loss: Loss,
    asked: usize,
    /// Every point that was asked about.
    pub seen: Vec<Tensor>,
    /// What the present prompt adds to every logit.
    shift: f64,
}

impl<'a> Toy<'a> {
    pub fn new(problem: &'a Problem, fault: Fault) -> Self {
        Self { problem, fault, loss: Loss::Bce, asked: 0, seen: vec![], shift: 0. }
    }

    /// The same model with another loss than binary cross-entropy.
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// The objective as a scalar tensor, and the logits.
    fn objective(&mut self, x: &Tensor, measure: &Measure) -> Result<(Tensor, Tensor), OracleError> {
        self.asked += 1;
        self.seen.push(x.detach());
        if self.fault == Fault::CancelAfter(self.asked) {
            return Err(OracleError::Cancelled);
        }
        let logits = self.logits(x)?;
        let towards = self.problem.aim().towards;
        let target = match &measure.target {
            Some(target) => target.clone(),
            None => self.problem.aim().mask.to_tensor(x.device()).expect("fits the CPU"),
        };
        if let Some(weights) = &measure.weights {
            return Ok(((&logits * weights)?.sum_all()?, logits.detach()));
        }
        let term = Term::new(measure.loss.unwrap_or(self.loss), towards, measure.progress);
        let loss = match measure.counted.as_ref().or(self.problem.counted()) {
            None => term.value(&logits, &target)?,
            Some(counted) => counted.value(term, &logits, &target)?,
        };
        let loss = if towards { loss.neg()? } else { loss };
        let loss = if self.fault == Fault::NanLoss { (loss * f64::NAN)? } else { loss };
        Ok((loss, logits.detach()))
    }
}

impl Oracle for Toy<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        let (loss, logits) = self.objective(x, measure)?;
        Ok((loss.to_scalar()?, logits))
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let x = Var::from_tensor(x)?;
        let (loss, logits) = self.objective(&x, measure)?;
        let gradient = match self.fault {
            Fault::NoGradient => None,
            _ => loss.backward()?.remove(&x),
        };
        let gradient = gradient.ok_or(OracleError::Gradient("missing".into()))?;
        let gradient = match self.fault {
            Fault::NanGradient => (gradient * f64::NAN)?,
            Fault::ZeroGradient => (gradient * 0.)?,
            Fault::WrongShape => gradient.sum(0)?,
            _ => gradient,
        };
        Ok(Answer { loss: loss.to_scalar()?, gradient, logits })
    }

    /// Every letter that a prompt has more than `polyp` makes all pixels a little less likely; an empty one is refused.
    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.shift = shift(text)?;
        let answer = self.loss_by(x, measure);
        self.shift = 0.;
        answer
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.shift = shift(text)?;
        let answer = self.gradient_by(x, measure);
        self.shift = 0.;
        answer
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        let shift = self.shift;
        let shifted = |logits: Tensor| logits + shift;
        Ok(shifted(match self.problem.setup().choices.space {
            Space::Pixel => logits(x)?,
            Space::Normalised => logits(&self.problem.setup().preprocess.denormalise(x)?)?,
        })?)
    }
}

/// What a text adds to every logit.
fn shift(text: &Text) -> Result<f64, OracleError> {
    match text.prompt() {
        Some("") => Err(OracleError::Prompt("is empty".into())),
        Some(prompt) => Ok(0.4 * (5. - prompt.chars().count() as f64)),
        None => Err(OracleError::Prompt("the toy reads letters only".into())),
    }
}

/// `[h, w]` of `[3, h, w]`: opposite channels and a ripple that makes the gradient depend on `x`.
fn logits(x: &Tensor) -> candle_core::Result<Tensor> {
    let mix = Tensor::new(&[9f32, -6., 4.], x.device())?.reshape((3, 1, 1))?;
    let ripple = ((x * 60.)?.sin()? * 0.2)?;
    ((x - 0.5)?.broadcast_mul(&mix)? + ripple)?.sum(0)
}

/// What the toy model says about an image.
pub fn mask(image: &Image) -> Mask {
    Mask::from_logits(&logits(&image.to_tensor(&Device::Cpu).unwrap()).unwrap()).unwrap()
}

/// A picture of moderate contrast, with some pixels at both ends of the range.
pub fn image(width: usize, height: usize, seed: u64) -> Image {
    let level = |i: u64| {
        let hash = (i + 1).wrapping_mul(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) >> 40;
        if hash.is_multiple_of(17) { if hash.is_multiple_of(2) { 0 } else { 255 } } else { (108 + hash % 40) as u8 }
    };
    Image::new(width, height, (0..(width * height * 3) as u64).map(level).collect()).unwrap()
}

/// ImageNet's normalisation at this size.
pub fn preprocess(width: usize, height: usize) -> Preprocess {
    Preprocess { height, width, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
}
