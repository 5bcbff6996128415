//! APGD: PGD without a step length to choose.

mod climb;
mod schedule;
mod sparse;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attack, AttackError, Norm, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle};
use climb::Climb;

/// Larger balls that a run with radius reduction goes through first: their radius in epsilons, and their share of
/// the steps.
const REDUCTION: [(f64, f64); 2] = [(2., 0.3), (1.5, 0.3)];

/// As [`REDUCTION`], for L1.
const REDUCTION_L1: [(f64, f64); 2] = [(3., 0.3), (2., 0.3)];

/// Gradient steps with momentum whose length begins at twice epsilon and halves where the loss stops to rise, each
/// time from the best point again.
///
/// Croce and Hein 2020 (ICML), arXiv 2003.01690. As in Croce, Singh and Hein 2024 (ECCV), arXiv 2306.12941, the
/// gradient is that of the loss, while length and best point go by the plain cross-entropy: losses that choose their
/// pixels may fall while the attack succeeds.
///
/// In L1 it is L1-APGD, Croce and Hein 2021 (ICML), arXiv 2103.01208: a step moves few entries, and how many follows
/// from how many the best point has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Apgd {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Whether to start at a random point of the budget rather than at the clean image.
    pub random_start: bool,
    /// How often to begin anew from another random point.
    #[schema(minimum = 1, maximum = 5000)]
    pub restarts: usize,
    /// Whether to spend the first 60 % of the steps in larger budgets, of 2 and 1.5 epsilon (3 and 2 in L1), and to
    /// bring what was found there into the budget. Needs at least 4 steps.
    pub radius_reduction: bool,
}

impl Default for Apgd {
    fn default() -> Self {
        Self { steps: 100, random_start: true, restarts: 1, radius_reduction: false }
    }
}

/// One ball and the steps in it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Phase {
    /// In epsilons.
    radius: f64,
    steps: usize,
}

impl Apgd {
    /// The balls of a run, the budget itself last.
    fn phases(&self, norm: Norm) -> Vec<Phase> {
        let larger = match norm {
            _ if !self.radius_reduction => &[][..],
            Norm::Linf | Norm::L2 => &REDUCTION,
            Norm::L1 => &REDUCTION_L1,
        };
        let mut phases: Vec<Phase> = larger
            .iter()
            .map(|(radius, share)| Phase { radius: *radius, steps: (share * self.steps as f64) as usize })
            .collect();
        let spent: usize = phases.iter().map(|phase| phase.steps).sum();
        phases.push(Phase { radius: 1., steps: self.steps.saturating_sub(spent) });
        phases
    }

    /// Points that one restart visits: every ball has a start.
    pub(super) fn points_of_a_restart(&self) -> usize {
        self.steps.saturating_add(if self.radius_reduction { 1 + REDUCTION.len() } else { 1 })
    }
}

impl Attack for Apgd {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")?;
        steps::restarts(self.restarts, self.random_start)?;
        // The shares of the steps are the same in every norm.
        if self.phases(Norm::Linf).iter().any(|phase| phase.steps == 0) {
            return Err(steps::refused("steps", self.steps, "radius reduction needs at least 4 steps"));
        }
        Ok(())
    }

    fn norms(&self) -> &'static [Norm] {
        &Norm::ALL
    }

    fn restarts(&self) -> usize {
        self.restarts
    }

    fn points(&self) -> u64 {
        (self.points_of_a_restart() as u64).saturating_mul(self.restarts as u64)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let phases = self.phases(problem.ball().norm());
        let all = self.points_of_a_restart() - 1;
        let mut climb = match log.resume() {
            Some(state) => Climb::from_state(state)?,
            None if self.random_start => Climb::begin(0, problem.random().start(problem.ball(), log.restart())?),
            None => Climb::begin(0, problem.ball().clean().clone()),
        };
        for (number, Phase { radius, steps }) in phases.iter().copied().enumerate().skip(climb.phase) {
            let radius = radius * problem.ball().radius();
            let ball = problem.ball().with_radius(radius)?;
            if climb.phase != number {
                climb = Climb::begin(number, ball.project(climb.best())?);
            }
            let last = number + 1 == phases.len();
            loop {
                log.keep(climb.to_state()?.each_ref());
                let measure = Measure::after(log.step(), all);
                if last && climb.done == steps {
                    return log.finish_by(&climb.x, &measure, oracle);
                }
                let answer = oracle.gradient_by(&climb.x, &measure)?;
                if last {
                    log.visit(&climb.x, &answer)?;
                } else {
                    log.pass(&climb.x, &answer)?;
                }
                let tracked = f64::from(problem.tracked(&answer.logits)?);
                let gradient = climb.judge(answer.gradient, tracked, (steps, &ball))?;
                if climb.done == steps {
                    break;
                }
                climb.step(&gradient, &ball)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radius_reduction_spends_three_three_and_four_tenths() {
        let phases = |steps, norm| {
            let apgd = Apgd { steps, radius_reduction: true, ..Apgd::default() };
            apgd.phases(norm).iter().map(|phase| (phase.radius, phase.steps)).collect::<Vec<_>>()
        };
        for norm in [Norm::Linf, Norm::L2] {
            assert_eq!(phases(300, norm), [(2., 90), (1.5, 90), (1., 120)]);
            assert_eq!(phases(7, norm), [(2., 2), (1.5, 2), (1., 3)]);
        }
        assert_eq!(phases(300, Norm::L1), [(3., 90), (2., 90), (1., 120)]);
        assert_eq!(Apgd::default().phases(Norm::L1), [Phase { radius: 1., steps: 100 }]);
        let few = |steps| Apgd { steps, radius_reduction: true, ..Apgd::default() }.check();
        assert!(few(3).unwrap_err().to_string().contains("at least 4 steps"));
        few(4).unwrap();
    }
}
