//! A universal perturbation, applied: one question, no gradient.
//!
//! Who trained the perturbation saw other images. Applying it needs neither the model nor its answers, so it is what an
//! attacker could do who can only add a fixed pattern: on a cable, on a screen, in a viewer.

mod file;
mod perturbation;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::steps::refused;
use super::{Attack, AttackError, AttackSpec, Problem, Tracker};
use crate::oracle::Oracle;

pub use file::{MOST_BYTES, PerturbationError};
pub use perturbation::{About, FORMAT_VERSION, MadeOn, Measured, Source, UniversalPerturbation};

/// Room for sums in 32 bits before a perturbation counts as larger than its budget.
const ROUNDING: f64 = 1e-5;

/// `P(x + v)`, where `v` is a perturbation that was trained on other images and comes with the request, resized
/// bilinearly to this image. Moosavi-Dezfooli et al. 2017, arXiv 1610.08401.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Universal {}

impl Attack for Universal {
    fn points(&self) -> u64 {
        1
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let Some(perturbation) = &problem.setup().perturbation else { return Err(missing()) };
        let ball = problem.ball();
        let image = &problem.setup().image;
        let v = perturbation.resized((image.height(), image.width()), ball.clean().device())?;
        let beyond = (ball.clean() + problem.change(&v)?)?;
        remark(perturbation, &beyond, problem, log)?;
        let visited = log.score(&ball.project(&beyond)?, oracle)?;
        log.settle(visited, oracle)
    }
}

/// What the reader should know about this perturbation on this problem.
fn remark(
    perturbation: &UniversalPerturbation,
    x: &candle_core::Tensor,
    problem: &Problem,
    log: &mut Tracker,
) -> Result<(), AttackError> {
    let setup = problem.setup();
    let (distance, radius) = (problem.ball().distance(x)?.to_scalar::<f64>()?, problem.ball().radius());
    if distance > radius * (1. + ROUNDING) {
        let share = 100. * radius / distance;
        log.remark(format!(
            "the universal perturbation is larger than the budget, which holds {share:.0} % of it: it was cut, and what \
             was applied is not what was trained"
        ));
    }
    if setup.region.is_some() {
        log.remark("the universal perturbation was applied inside the allowed region alone".into());
    }
    let prompts = perturbation.about().prompts();
    if !setup.prompt.is_empty() && !prompts.is_empty() && !prompts.contains(&setup.prompt.as_str()) {
        log.remark(format!(
            "the universal perturbation was trained under {}: it has never seen this prompt",
            prompts.iter().map(|prompt| format!("{prompt:?}")).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

/// Refuses the method `universal` without a perturbation, and a perturbation with any other method.
///
/// # Errors
/// [`AttackError::Parameter`] with the name `perturbation`.
pub fn check_perturbation(spec: &AttackSpec, given: bool) -> Result<(), AttackError> {
    match (matches!(spec, AttackSpec::Universal(_)), given) {
        (true, false) => Err(missing()),
        (false, true) => Err(refused("perturbation", "given", "only the method universal takes one: leave it out")),
        (true, true) | (false, false) => Ok(()),
    }
}

fn missing() -> AttackError {
    refused(
        "perturbation",
        "missing",
        "the method universal applies one: give a file that segprobe universal has written",
    )
}
