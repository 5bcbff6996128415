//! How large a perturbation has to be: the answer of an attack that seeks the nearest point.
//!
//! The budget of such an attack bounds its search. What it found is told as a distance, before and after rounding, and
//! as a curve: the worst mask that was met within each distance.

use serde::Serialize;
use utoipa::ToSchema;

use super::measure::measure;
use super::preference::Preference;
use super::problem::Problem;
use super::saved::Saved;
use super::tracker::{StepRecord, Visited};
use crate::attack::{AttackError, Budget, Echo, Epsilon, Unit};

/// The smallest perturbation that met the criterion of success, in the norm of the budget.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = SmallestPerturbation)]
pub struct Smallest {
    /// Its size before it was rounded to 8 bits; `null` if nothing within the budget met the criterion.
    pub float: Option<Echo>,
    /// The size of the file's perturbation; `null` if the file does not meet the criterion.
    pub file: Option<Echo>,
    /// The worst mask within each distance, as far as it was visited: ascending in distance, each worse than the one
    /// before.
    pub curve: Vec<CurvePoint>,
}

/// The worst mask within a distance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct CurvePoint {
    /// The distance in levels of 255.
    pub pixel255: f64,
    /// DSC against the reference.
    pub dsc: f64,
    /// DSC against the target of a targeted attack.
    pub target_dsc: Option<f64>,
}

impl Smallest {
    pub(super) fn new(
        (problem, preference): (&Problem, &Preference),
        (best, file): (&Visited, &Saved),
        records: &[StepRecord],
    ) -> Result<Self, AttackError> {
        let (setup, lattice) = (problem.setup(), problem.lattice());
        let echo = |value, unit| {
            let epsilon = Epsilon::new(value, unit).ok()?;
            Some(Budget { norm: lattice.norm, epsilon }.echo(&setup.preprocess.std))
        };
        let distance = measure(problem.ball(), &best.x, None)?.distance;
        let found = preference.meets(&best.evaluation);
        let kept = preference.meets(&file.evaluation);
        Ok(Self {
            float: found.then(|| echo(distance, problem.unit())).flatten(),
            file: kept.then(|| echo(lattice.distance(&setup.image, &file.image), Unit::Pixel255)).flatten(),
            curve: curve(records, lattice.levels),
        })
    }
}

/// The records that are worse than all that are nearer; `levels` is what a whole budget is worth.
fn curve(records: &[StepRecord], levels: f64) -> Vec<CurvePoint> {
    let harm = |record: &StepRecord| record.target_dsc.unwrap_or(-record.dsc);
    let mut order: Vec<_> = records.iter().filter_map(|record| Some((record.budget_used?, record))).collect();
    order.sort_by(|(near, a), (far, b)| near.total_cmp(far).then(harm(b).total_cmp(&harm(a))));
    let mut curve = vec![];
    let mut worst = f64::NEG_INFINITY;
    for (used, record) in order {
        if harm(record) > worst {
            worst = harm(record);
            let StepRecord { dsc, target_dsc, .. } = *record;
            curve.push(CurvePoint { pixel255: used * levels, dsc, target_dsc });
        }
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_holds_what_is_worse_than_all_that_is_nearer() {
        let record = |budget_used, dsc| StepRecord {
            restart: 0,
            step: 0,
            loss: 0.,
            dsc,
            target_dsc: None,
            budget_used: Some(budget_used),
            zero_gradient_share: None,
            tried: None,
            prompt: None,
        };
        let records = [(0.5, 0.4), (0., 0.9), (1., 0.1), (0.5, 0.3), (0.25, 0.9), (0.75, 0.3)];
        let found = curve(&records.map(|(used, dsc)| record(used, dsc)), 8.);
        assert_eq!(
            found.iter().map(|point| (point.pixel255, point.dsc)).collect::<Vec<_>>(),
            [(0., 0.9), (4., 0.3), (8., 0.1)]
        );
        assert!(curve(&[], 8.).is_empty());
    }
}
