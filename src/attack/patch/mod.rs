//! A patch: some pixels, chosen freely, that fool the model about all the others.
//!
//! There is no epsilon: the budget is an area. Neither the loss nor any score looks at what lies under the patch, or
//! covering the lesion would count as an attack; what is measured is how far the patch reaches.

mod placement;
mod view;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::random::Draw;
use super::momentum::unit_mean;
use super::{Attack, AttackError, Epsilon, Norm, Problem, Tracker, Unit, steps};
use crate::imaging::Mask;
use crate::oracle::{Measure, Oracle};

pub use placement::{Named, Place, Placement, Rectangle};
use view::{Variation, View};

/// The name under which the grey patch of the same place is recorded.
pub const GREY: &str = "grey_patch";

/// Most views of a patch that one gradient is the mean of.
const MOST_SAMPLES: usize = 100;
/// Most gradients of one attack.
const MOST_GRADIENTS: usize = 10_000;
const MOST_TRANSLATION: usize = 1000;

/// Steps along the sign of a running sum of gradients, in the patch alone and within black and white, from uniform noise:
/// `G <- decay G + g / mean |g|`, `x <- clip(x + alpha sign G)`. `g` is the mean gradient over `samples` views of the
/// patch, of which the first is the patch as it stands and the others are moved, scaled and lightened.
///
/// Brown et al. 2017, arXiv 1712.09665, equation 1; scored outside the patch alone as in Nesti et al. 2022, arXiv
/// 2108.06179.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9998)]
    pub steps: usize,
    /// Length of a step, with its unit.
    pub alpha: Epsilon,
    /// What is left of the sum of gradients after a step; 0 for no momentum.
    #[schema(minimum = 0, maximum = 1)]
    pub decay: f64,
    /// Views of the patch that each gradient is the mean of (expectation over transformations); 1 takes the patch as it
    /// stands.
    #[schema(minimum = 1, maximum = 100)]
    pub samples: usize,
    /// How far views are moved along each axis at most, in pixels.
    #[schema(maximum = 1000)]
    pub translation_px: usize,
    /// The smallest view, as a share of the patch's sides; the largest is its reciprocal.
    #[schema(minimum = 0.1, maximum = 1)]
    pub scale: f64,
    /// By what share views are lighter or darker at most.
    #[schema(minimum = 0, maximum = 1)]
    pub brightness: f64,
    /// Where the patch lies. If left out, it takes the allowed region, or, if there is none either, a twentieth of the
    /// image in its lower right corner.
    pub placement: Option<Placement>,
}

impl Default for Patch {
    fn default() -> Self {
        let alpha = Epsilon::new(0.05, Unit::Unit01).expect("a positive constant");
        Self {
            steps: 100,
            alpha,
            decay: 0.9,
            samples: 1,
            translation_px: 4,
            scale: 0.9,
            brightness: 0.1,
            placement: None,
        }
    }
}

impl Patch {
    /// The patch's pixels in an image of `frame` (width and height) of which `region` may change.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] if it does not fit, or leaves nothing to score.
    pub fn pixels(&self, frame: (usize, usize), region: Option<&Mask>) -> Result<Mask, AttackError> {
        placement::pixels(self.placement.as_ref(), frame, region)
    }

    fn variation(&self) -> Variation {
        Variation { translation_px: self.translation_px, scale: self.scale, brightness: self.brightness }
    }

    /// The sum of the gradients at the other views of the patch in `x`.
    fn others(
        &self,
        step: usize,
        (x, pixels): (&Tensor, &Mask),
        (problem, oracle): (&Problem, &mut dyn Oracle),
    ) -> Result<Option<Tensor>, AttackError> {
        let draw = Draw { restart: 0, step, purpose: "patch" };
        let mut stream = problem.random().stream(draw);
        let mut sum: Option<Tensor> = None;
        for _ in 1..self.samples {
            let view = View::draw(pixels, self.variation(), x, &mut stream)?;
            let counted = problem.counted_outside(&view.mask)?;
            let measure = Measure { counted, ..Measure::after(step, self.steps) };
            let answer = oracle.gradient_by(&view.image(x, problem.ball().clean())?, &measure)?;
            let gradient = view.pull_back(&answer.gradient, x)?;
            sum = Some(match sum {
                None => gradient,
                Some(sum) => (sum + gradient)?,
            });
        }
        Ok(sum)
    }
}

impl Attack for Patch {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")?;
        if self.alpha.in_unit(self.alpha.unit(), &[1.; 3]) <= 0. {
            return Err(steps::refused("alpha", 0, "a step has to go somewhere: use more than 0"));
        }
        steps::share("decay", self.decay, "use 0 (no momentum) to 1 (all gradients count alike)")?;
        if !(1..=MOST_SAMPLES).contains(&self.samples) {
            return Err(steps::refused("samples", self.samples, "use 1 (the patch as it stands) to 100"));
        }
        if self.steps.saturating_mul(self.samples) > MOST_GRADIENTS {
            return Err(steps::refused("samples", self.samples, "take at most 10000 steps times samples"));
        }
        if self.translation_px > MOST_TRANSLATION {
            return Err(steps::refused("translation_px", self.translation_px, "use at most 1000 pixels"));
        }
        if !(0.1..=1.).contains(&self.scale) {
            return Err(steps::refused("scale", self.scale, "use 0.1 to 1 (views are as large as the patch)"));
        }
        steps::share("brightness", self.brightness, "use 0 (views are as light as the patch) to 1")?;
        self.placement.as_ref().map_or(Ok(()), Placement::check)
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn points(&self) -> u64 {
        (self.steps as u64).saturating_add(2)
    }

    fn variant(&self) -> Option<String> {
        self.placement.as_ref().map(ToString::to_string)
    }

    fn placement(&self, frame: (usize, usize), region: Option<&Mask>) -> Result<Option<Mask>, AttackError> {
        self.pixels(frame, region).map(Some)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let Some(pixels) = problem.setup().ignored.as_ref() else {
            return Err(steps::refused("placement", "missing", "a patch has to know where it lies"));
        };
        let (ball, alpha) = (problem.ball(), problem.length(self.alpha));
        let [mut x, mut sum] = match log.resume() {
            Some(state) => state,
            None => {
                let grey = ball.project(&ball.clean().affine(0., 0.5)?)?;
                log.compare(GREY, &grey, oracle)?;
                let mut stream = problem.random().stream(Draw { restart: 0, step: 0, purpose: "start" });
                let noise = stream.fill(ball.clean(), |stream| stream.uniform())?;
                [ball.project(&noise)?, noise.zeros_like()?]
            }
        };
        // The grey patch was the first record.
        for step in log.step() - 1..self.steps {
            log.keep([&x, &sum]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, self.steps))?;
            let gradient = match self.others(step, (&x, pixels), (problem, &mut *oracle))? {
                None => answer.gradient.clone(),
                Some(others) => (&answer.gradient + others)?,
            };
            log.visit(&x, &answer)?;
            sum = ((sum * self.decay)? + unit_mean(ball, gradient)?)?;
            x = ball.project(&(x + (ball.direction(&sum)? * alpha)?)?)?;
        }
        log.keep([&x, &sum]);
        log.finish(&x, oracle)
    }
}
