//! DAG: dense adversary generation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attack::steps::{at_least_one, refused, walks};
use crate::attack::{Attack, AttackError, Epsilon, Problem, Seeks, Tracker, Unit};
use crate::loss::Loss;
use crate::oracle::{Measure, Oracle};

/// Below this a gradient counts as zero.
const SMALLEST: f64 = 1e-30;

/// Short steps that lower the margin of those pixels alone that are still right, each scaled so that its largest value
/// is `gamma`, until the criterion of success is met. Xie et al. 2017, arXiv 1703.08603, algorithm 1; the paper
/// stops once all pixels are wrong, which a criterion near 0 repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dag {
    /// Most gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// The largest change of a step.
    pub gamma: Epsilon,
}

impl Default for Dag {
    fn default() -> Self {
        let gamma = Epsilon::new(0.003, Unit::Unit01).expect("a positive constant");
        Self { steps: 200, gamma }
    }
}

impl Attack for Dag {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("steps", self.steps, "take at least one step")?;
        let gamma = self.gamma.value();
        if gamma > 0. { Ok(()) } else { Err(refused("gamma", gamma, "a step has to go somewhere: use more than 0")) }
    }

    fn seeks(&self) -> Seeks {
        Seeks::Nearest
    }

    fn points(&self) -> u64 {
        walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let (ball, gamma) = (problem.ball(), problem.length(self.gamma));
        let measure = Measure { loss: Some(Loss::MaskedMargin), ..Measure::default() };
        let mut x = match log.resume() {
            Some([x]) => x,
            None => ball.clean().clone(),
        };
        while log.step() < self.steps && !log.has_met() {
            log.keep([&x]);
            let answer = oracle.gradient_by(&x, &measure)?;
            log.visit(&x, &answer)?;
            let gradient = ball.allowed(answer.gradient)?;
            let largest = gradient.abs()?.max_all()?.maximum(SMALLEST)?;
            x = ball.project(&(x + (gradient.broadcast_div(&largest)? * gamma)?)?)?;
        }
        log.keep([&x]);
        log.finish_by(&x, &measure, oracle)
    }
}
