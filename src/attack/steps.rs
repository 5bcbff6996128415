//! What methods have in common that take a given number of steps.

use super::{AttackError, Epsilon, Problem};

/// Refuses a number that has to be at least one.
pub(super) fn at_least_one(name: &'static str, value: usize, rule: &'static str) -> Result<(), AttackError> {
    at_least(1, name, value, rule)
}

/// Refuses a number that has to be at least `least`.
pub(super) fn at_least(least: usize, name: &'static str, value: usize, rule: &'static str) -> Result<(), AttackError> {
    if value < least { Err(refused(name, value, rule)) } else { Ok(()) }
}

/// Refuses no restart at all, and several that would all be the same.
pub(super) fn restarts(restarts: usize, random_start: bool) -> Result<(), AttackError> {
    at_least_one("restarts", restarts, "1 runs the attack once")?;
    if restarts > 1 && !random_start {
        return Err(refused("restarts", restarts, "without a random start all restarts are the same: use 1"));
    }
    Ok(())
}

/// Points that walks of so many steps visit: each has a start.
pub(super) fn walks(steps: usize, walks: usize) -> u64 {
    (steps as u64).saturating_add(1).saturating_mul(walks as u64)
}

/// Refuses a share that is not in [0, 1].
pub(super) fn share(name: &'static str, value: f64, rule: &'static str) -> Result<(), AttackError> {
    if (0. ..=1.).contains(&value) { Ok(()) } else { Err(refused(name, value, rule)) }
}

/// The error for a parameter that makes no sense.
pub(super) fn refused(name: &'static str, value: impl ToString, rule: &'static str) -> AttackError {
    AttackError::Parameter { name, value: value.to_string(), rule }
}

/// The length of a step in the space the attack works in: `alpha`, or a share of epsilon if none is given.
pub(super) fn length(alpha: Option<Epsilon>, default_share: f64, problem: &Problem) -> f64 {
    alpha.map_or_else(|| problem.ball().radius() * default_share, |alpha| problem.length(alpha))
}

/// Says so if all steps together are shorter than the budget.
pub(super) fn unused_budget(steps: usize, alpha: f64, problem: &Problem) -> Vec<String> {
    let (reach, radius) = (alpha * steps as f64, problem.ball().radius());
    // Room for an alpha that was computed as epsilon / steps.
    if reach >= radius * (1. - 1e-6) {
        return vec![];
    }
    let share = 100. * reach / radius;
    vec![format!("{steps} steps of alpha reach {share:.0} % of epsilon: this attack cannot use its budget")]
}
