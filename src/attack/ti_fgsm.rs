//! TI-FGSM: the translation-invariant attack.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::momentum::{Place, Walk};
use super::{Attack, AttackError, Epsilon, Problem, Tracker, steps};
use crate::nn::{Frame, Gaussian};
use crate::oracle::{Measure, Oracle};

/// Largest radius of the kernel: a kernel of 127 pixels blurs any gradient to nothing.
const LARGEST_RADIUS: usize = 63;

/// Steps along the blurred gradient: nearly the mean gradient of all shifted copies of the image, so the perturbation
/// does not rely on where exactly the model looks.
///
/// Dong et al. 2019 (CVPR), arXiv 1904.02884. As in the published code the Gaussian kernel ends at three standard
/// deviations; momentum, which the paper combines it with, is `decay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TiFgsm {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; `epsilon / steps` unless set.
    pub alpha: Option<Epsilon>,
    /// What is left of the sum of gradients after a step; 0 for no momentum.
    #[schema(minimum = 0, maximum = 1)]
    pub decay: f64,
    /// Radius of the kernel in pixels of the submitted image: the paper's 15x15 is 7, and 0 does not blur.
    #[schema(minimum = 0, maximum = 63)]
    pub radius: usize,
}

impl Default for TiFgsm {
    fn default() -> Self {
        Self { steps: 10, alpha: None, decay: 0., radius: 7 }
    }
}

impl TiFgsm {
    fn walk(&self) -> Walk {
        Walk { steps: self.steps, alpha: self.alpha, decay: self.decay }
    }
}

impl Attack for TiFgsm {
    fn check(&self) -> Result<(), AttackError> {
        if self.radius > LARGEST_RADIUS {
            return Err(steps::refused("radius", self.radius, "use at most 63 pixels"));
        }
        self.walk().check()
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        self.walk().notes(problem)
    }

    fn points(&self) -> u64 {
        steps::walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let kernel = Gaussian::within(self.radius);
        self.walk().run(problem, oracle, log, |Place { step, x, .. }, oracle, log| {
            let answer = oracle.gradient_by(x, &Measure::after(step, self.steps))?;
            log.visit(x, &answer)?;
            Ok(kernel.blur(&answer.gradient, Frame::Zero)?)
        })
    }
}
