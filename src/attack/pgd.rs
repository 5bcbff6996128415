//! PGD: projected gradient descent, and BIM, which is PGD without a random start.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attack, AttackError, Epsilon, Norm, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle};

/// The usual 2/255 for a budget of 8/255.
const DEFAULT_SHARE: f64 = 0.25;

/// Steps of length `alpha` along the sign of the gradient (along the gradient itself for L2, along the signs of its
/// largest hundredth for L1), each projected back into the budget.
///
/// Madry et al. 2018, arXiv 1706.06083; without the random start it is BIM, Kurakin et al. 2017,
/// arXiv 1607.02533. For L1 it is SLIDE, Tramèr and Boneh 2019, arXiv 1904.13000.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pgd {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; a quarter of epsilon unless set, or
    /// `2.5 epsilon / steps` if that is more: few steps have to be long ones. In L1 the whole epsilon.
    pub alpha: Option<Epsilon>,
    /// Whether to start at a random point of the budget rather than at the clean image.
    pub random_start: bool,
    /// How often to begin anew from another random point.
    #[schema(minimum = 1, maximum = 5000)]
    pub restarts: usize,
}

impl Default for Pgd {
    fn default() -> Self {
        Self { steps: 40, alpha: None, random_start: true, restarts: 1 }
    }
}

impl Pgd {
    /// The length of a step in the space the attack works in.
    pub(super) fn alpha(&self, problem: &Problem) -> f64 {
        let share = match problem.ball().norm() {
            // A step is shared by a hundredth of the entries; shorter ones left a higher DSC at the same cost.
            Norm::L1 => 1.,
            Norm::Linf | Norm::L2 => DEFAULT_SHARE.max(2.5 / self.steps as f64),
        };
        steps::length(self.alpha, share, problem)
    }
}

impl Attack for Pgd {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")?;
        steps::restarts(self.restarts, self.random_start)
    }

    fn norms(&self) -> &'static [Norm] {
        &Norm::ALL
    }

    fn restarts(&self) -> usize {
        self.restarts
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        steps::unused_budget(self.steps, self.alpha(problem), problem)
    }

    fn points(&self) -> u64 {
        steps::walks(self.steps, self.restarts)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let alpha = self.alpha(problem);
        let mut x = match log.resume() {
            Some([x]) => x,
            None if self.random_start => problem.random().start(ball, log.restart())?,
            None => ball.clean().clone(),
        };
        for step in log.step()..self.steps {
            log.keep([&x]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, self.steps))?;
            log.visit(&x, &answer)?;
            x = ball.advance(&x, &answer.gradient, alpha)?;
        }
        log.keep([&x]);
        log.finish(&x, oracle)
    }
}
