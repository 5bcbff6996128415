//! FGSM: the fast gradient sign method.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attack, AttackError, Problem, Tracker};
use crate::oracle::{Measure, Oracle};

/// One step of the whole budget along the sign of the gradient, `x + epsilon sign(grad)`, or along the
/// gradient itself for L2. Goodfellow, Shlens and Szegedy 2015, arXiv 1412.6572.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fgsm {}

impl Attack for Fgsm {
    fn points(&self) -> u64 {
        2
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let mut x = match log.resume() {
            Some([x]) => x,
            None => ball.clean().clone(),
        };
        for step in log.step()..1 {
            log.keep([&x]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, 1))?;
            log.visit(&x, &answer)?;
            x = ball.advance(&x, &answer.gradient, ball.radius())?;
        }
        log.keep([&x]);
        log.finish(&x, oracle)
    }
}
