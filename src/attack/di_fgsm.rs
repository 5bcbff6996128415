//! DI-FGSM: the attack with diverse inputs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::diversity::Moved;
use super::harness::random::Draw;
use super::momentum::{Place, Walk};
use super::{Attack, AttackError, Epsilon, Problem, Tracker, steps};
use crate::oracle::{Answer, Measure, Oracle};

/// Smallest copy, as a share of the image's sides.
const SMALLEST_SCALE: f64 = 0.1;

/// Now and then takes the gradient at a randomly shrunk and shifted copy of the image, so that the perturbation does
/// not rely on one scale and place.
///
/// Xie et al. 2019 (CVPR), arXiv 1803.06978; with `decay` it is the paper's M-DI2-FGSM. The model segments the copy,
/// so the mask it is compared with moves along. Such a step asks about the image itself too, to record it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiFgsm {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; `epsilon / steps` unless set.
    pub alpha: Option<Epsilon>,
    /// What is left of the sum of gradients after a step; 0 for no momentum.
    #[schema(minimum = 0, maximum = 1)]
    pub decay: f64,
    /// How often a copy is used.
    #[schema(minimum = 0, maximum = 1)]
    pub probability: f64,
    /// The smallest copy, as a share of the image's sides; the frame around it is 0.
    #[schema(minimum = 0.1, maximum = 1)]
    pub scale: f64,
}

impl Default for DiFgsm {
    fn default() -> Self {
        Self { steps: 10, alpha: None, decay: 0., probability: 0.5, scale: 0.9 }
    }
}

impl DiFgsm {
    fn walk(&self) -> Walk {
        Walk { steps: self.steps, alpha: self.alpha, decay: self.decay }
    }
}

impl Attack for DiFgsm {
    fn check(&self) -> Result<(), AttackError> {
        steps::share("probability", self.probability, "use 0 (never) to 1 (in every step)")?;
        if !(SMALLEST_SCALE..=1.).contains(&self.scale) {
            return Err(steps::refused("scale", self.scale, "use 0.1 to 1 of the image's sides"));
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
        self.walk().run(problem, oracle, log, |Place { step, x, .. }, oracle, log| {
            let draw = Draw { restart: log.restart(), step, purpose: "diversity" };
            let mut stream = problem.random().stream(draw);
            let mut measure = Measure::after(step, self.steps);
            if stream.uniform() >= self.probability {
                let answer = oracle.gradient_by(x, &measure)?;
                log.visit(x, &answer)?;
                return Ok(answer.gradient);
            }
            let (loss, logits) = oracle.loss_by(x, &measure)?;
            let moved = Moved::draw(x, self.scale, &mut stream)?;
            measure.target = Some(problem.target(&moved.mask(&problem.aim().mask))?);
            let gradient = moved.pull_back(&oracle.gradient_by(&moved.image(x)?, &measure)?.gradient)?;
            log.visit(x, &Answer { loss, gradient: gradient.clone(), logits })?;
            Ok(gradient)
        })
    }
}
