//! Whether attacks behave as working attacks do (Carlini et al. 2019, arXiv 1902.06705, section 5).
//!
//! An attack that fails one of these checks may be broken, and then the model looks better than it is.

mod per_image;

use serde::Serialize;

use super::aggregate::{AttackSummary, SetSummary};
use super::row::{GridRow, RowScores};

/// PGD at its largest epsilon has to leave less than this share of the clean DSC.
const LEFT: f64 = 1. / 3.;

/// One check and its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// The figures, or why the check does not apply.
    pub figures: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As a working attack does.
    Pass,
    /// Not as a working attack does.
    Fail,
    /// The grid does not hold what the check compares.
    NotApplicable,
}

/// Checks means over all images, and attacks on the same image.
///
/// With a target, what is missing to it (1 - DSC to the target) stands in place of the DSC.
pub(super) fn checks(all: &SetSummary, rows: &[(&GridRow, &RowScores)]) -> Vec<Check> {
    let left = |attack: &AttackSummary| {
        let missing = attack.dsc_to_target.map(|to_target| 1. - to_target.mean);
        Some((attack.epsilon?, missing.or(Some(attack.dsc?.mean))?))
    };
    let curve = |method: &str| {
        let mut points: Vec<_> =
            all.attacks.iter().filter(|a| a.method == method && a.variant.is_none()).filter_map(left).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let targeted = all.attacks.iter().any(|attack| attack.dsc_to_target.is_some());
    let (fgsm, pgd) = (curve("fgsm"), curve("pgd"));
    let mut checks = vec![
        monotone("FGSM: mean DSC does not rise with epsilon", &fgsm),
        monotone("PGD: mean DSC does not rise with epsilon", &pgd),
        breaks(all.clean_dsc.filter(|_| !targeted).map(|clean| clean.mean), &pgd),
    ];
    checks.extend(per_image::checks(rows));
    checks
}

/// Epsilon and mean DSC, ascending in epsilon.
type Curve = [(f64, f64)];

fn monotone(name: &'static str, curve: &Curve) -> Check {
    let steps = curve.windows(2).map(|pair| {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        (after <= before, format!("epsilon {from} to {to}: {before:.3} to {after:.3}"))
    });
    Check::of(name, steps, "needs two epsilons")
}

fn breaks(clean: Option<f64>, pgd: &Curve) -> Check {
    let last = clean.zip(pgd.last()).map(|(clean, (epsilon, dsc))| {
        let bound = clean * LEFT;
        let sign = if *dsc < bound { "<" } else { ">=" };
        (*dsc < bound, format!("epsilon {epsilon}: {dsc:.3} {sign} {bound:.3}, a third of {clean:.3}"))
    });
    Check::of(
        "PGD at its largest epsilon leaves less than a third of the clean DSC",
        last.into_iter(),
        "needs PGD without a target",
    )
}

impl Check {
    fn of(name: &'static str, parts: impl Iterator<Item = (bool, String)>, needs: &str) -> Self {
        let (passed, figures): (Vec<bool>, Vec<String>) = parts.unzip();
        let verdict = match passed.as_slice() {
            [] => return Self { name, verdict: Verdict::NotApplicable, figures: needs.into() },
            parts if parts.iter().all(|passed| *passed) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        Self { name, verdict, figures: figures.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(check: &Check) -> Verdict {
        check.verdict
    }

    #[test]
    fn a_working_attack_passes_and_a_broken_one_is_named() {
        let fgsm = [(1., 0.7), (2., 0.6)];
        let rises = monotone("", &[(1., 0.7), (2., 0.71)]);
        assert_eq!((rises.verdict, rises.figures.as_str()), (Verdict::Fail, "epsilon 1 to 2: 0.700 to 0.710"));
        assert_eq!(verdict(&monotone("", &fgsm)), Verdict::Pass);
        assert_eq!(verdict(&breaks(Some(0.9), &[(1., 0.8), (8., 0.29)])), Verdict::Pass);
        assert_eq!(verdict(&breaks(Some(0.9), &[(1., 0.1), (8., 0.30)])), Verdict::Fail);
    }

    #[test]
    fn what_is_not_there_is_not_judged() {
        let one = [(1., 0.5)];
        for check in [monotone("", &one), breaks(None, &one), breaks(Some(1.), &[])] {
            assert_eq!(check.verdict, Verdict::NotApplicable);
            assert!(check.figures.starts_with("needs"));
        }
    }
}
