//! A loss as an attack uses it: some depend on more than logits and target.

use candle_core::{Result, Tensor, Var};

use super::{
    Loss, LossError, balanced_masked_ce, bce, boundary_ce, cos_pgd, dice_ce, dice_ce_paper, jsd, margin, masked_ce,
    masked_margin, seg_pgd, soft_dice,
};

/// How far an attack is: the share of its steps that are done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress(f64);

impl Progress {
    /// Before the first step.
    pub const START: Self = Self(0.);
    /// After the last step. Also for questions outside any attack, about the clean image or the finished file.
    pub const END: Self = Self(1.);

    /// When `done` of `steps` steps are done; no attack is further than at its end.
    pub fn after(done: usize, steps: usize) -> Self {
        Self(done.min(steps) as f64 / steps.max(1) as f64)
    }

    /// The share, from 0 to 1.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::END
    }
}

/// A loss at one step of an attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    loss: Loss,
    towards: bool,
    progress: Progress,
}

impl From<Loss> for Term {
    /// The loss of an untargeted attack at its end.
    fn from(loss: Loss) -> Self {
        Self::new(loss, false, Progress::END)
    }
}

impl Term {
    /// `towards` says whether the target is to be reached rather than left. It does not change the sign: the loss is
    /// low near the target in both cases.
    ///
    /// Terms that are always of the same value are equal.
    pub fn new(loss: Loss, towards: bool, progress: Progress) -> Self {
        Self {
            loss,
            towards: towards && loss.chooses_pixels(),
            progress: if loss == Loss::SegPgd { progress } else { Progress::END },
        }
    }

    /// The loss.
    pub fn loss(self) -> Loss {
        self.loss
    }

    /// One value per image: logits and `target` (0 or 1) are `[.., h, w]` of one dtype (f32 or f64),
    /// the answer is `[..]`, a scalar for `[h, w]`. Differentiable in the logits.
    ///
    /// # Errors
    /// Shapes or dtypes that differ.
    pub fn value(self, logits: &Tensor, target: &Tensor) -> Result<Tensor> {
        match self.loss {
            Loss::DiceCe => dice_ce::value(logits, target),
            Loss::DiceCePaper => dice_ce_paper::value(logits, target),
            Loss::Bce => bce::value(logits, target),
            Loss::SoftDice => soft_dice::value(logits, target),
            Loss::SegPgd => seg_pgd::value(logits, target, self.towards, self.progress),
            Loss::CosPgd => cos_pgd::value(logits, target, self.towards),
            Loss::MaskedCe => masked_ce::value(logits, target, self.towards),
            Loss::BalancedMaskedCe => balanced_masked_ce::value(logits, target, self.towards),
            Loss::Jsd => jsd::value(logits, target),
            Loss::Margin => margin::value(logits, target),
            Loss::MaskedMargin => masked_margin::value(logits, target, self.towards),
            Loss::BoundaryCe => boundary_ce::value(logits, target),
        }
    }

    /// The values `[..]` at `logits` `[.., h, w]`, and each value's gradient with respect to its own logits,
    /// `[.., h, w]`. Neither is connected to the graph of `logits`.
    ///
    /// # Errors
    /// [`LossError::NoGradient`] rather than a silent zero; shapes or dtypes that differ.
    pub fn gradient(self, logits: &Tensor, target: &Tensor) -> std::result::Result<(Tensor, Tensor), LossError> {
        let logits = Var::from_tensor(&logits.detach())?;
        let values = self.value(&logits, target)?;
        // `backward` starts from ones: as each value depends on its own logits only, nothing is mixed.
        let gradient = values.backward()?.remove(&logits).ok_or(LossError::NoGradient(self.loss))?;
        Ok((values.detach(), gradient))
    }
}
