//! Checks that compare attacks on the same image at the same epsilon.

use std::collections::BTreeMap;

use super::super::aggregate::CLEAN;
use super::super::row::{GridRow, RowScores};
use super::Check;
use crate::attack::catalogue::{self, ThreatModel};

/// Method of every attack on one image at one epsilon, and what it has left.
type Attempts = Vec<(&'static str, f64)>;

/// Checks the rows that have scores.
pub(super) fn checks(rows: &[(&GridRow, &RowScores)]) -> Vec<Check> {
    let groups = groups(rows);
    vec![
        on_average(
            "PGD is at least as strong as FGSM on average at every epsilon",
            &groups,
            (|method| method == "pgd", |method| method == "fgsm"),
            "needs FGSM and PGD at one epsilon",
        ),
        on_average(
            "APGD is at least as strong as PGD on average at every epsilon",
            &groups,
            (|method| method == "apgd", |method| method == "pgd"),
            "needs APGD and PGD at one epsilon",
        ),
        strongest_is_strongest(&groups),
        on_average(
            "the best attack by gradients is at least as strong as the best by answers alone",
            &groups,
            (by_gradients, by_answers),
            "needs attacks of both kinds at one epsilon",
        ),
        on_average(
            "the best attack by answers alone is at least as strong as random noise",
            &groups,
            (by_answers, |method| method == NOISE),
            "needs noise and another attack by answers at one epsilon",
        ),
    ]
}

/// The control: random points of the budget, which any attack has to beat.
const NOISE: &str = "noise";

fn by_gradients(method: &str) -> bool {
    catalogue::threat_model(method) == Some(ThreatModel::WhiteBox)
}

fn by_answers(method: &str) -> bool {
    let model = catalogue::threat_model(method);
    method != NOISE && matches!(model, Some(ThreatModel::Score | ThreatModel::Decision))
}

/// The attempts at each epsilon, image by image. The bits of positive numbers are in the order of the numbers.
fn groups(rows: &[(&GridRow, &RowScores)]) -> BTreeMap<u64, Vec<Attempts>> {
    let mut images: BTreeMap<(u64, &str, &str), Attempts> = BTreeMap::new();
    for (row, scores) in rows.iter().filter(|(row, _)| row.method != CLEAN && row.variant.is_none()) {
        if let (Some(epsilon), Some(attacked)) = (row.epsilon, scores.attacked) {
            let place = (epsilon.to_bits(), row.set.as_str(), row.image.as_str());
            images.entry(place).or_default().push((row.method, attacked.left()));
        }
    }
    let mut groups: BTreeMap<u64, Vec<Attempts>> = BTreeMap::new();
    for ((epsilon, ..), attempts) in images {
        groups.entry(epsilon).or_default().push(attempts);
    }
    groups
}

fn strongest_is_strongest(groups: &BTreeMap<u64, Vec<Attempts>>) -> Check {
    let parts = groups.iter().filter_map(|(epsilon, images)| {
        let gaps: Vec<_> = images.iter().filter_map(beaten).collect();
        let worst = gaps.iter().copied().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        let beaten = gaps.iter().filter(|(gap, _)| *gap > 0.).count();
        let epsilon = f64::from_bits(*epsilon);
        let figures = match beaten {
            0 => format!("epsilon {epsilon}: on all {} images", gaps.len()),
            beaten => {
                let (gap, by) = worst;
                format!("epsilon {epsilon}: not on {beaten} of {} images, by at most {gap:.3} ({by})", gaps.len())
            }
        };
        Some((beaten == 0, figures))
    });
    Check::of(
        "strongest is at least as strong as every other attack on every image",
        parts,
        "needs strongest and another attack at one epsilon",
    )
}

/// By how much the best of the other attacks is stronger than `strongest`, and which.
fn beaten(attempts: &Attempts) -> Option<(f64, &'static str)> {
    let (_, strongest) = attempts.iter().find(|(method, _)| *method == "strongest")?;
    let others = attempts.iter().filter(|(method, _)| *method != "strongest");
    let (by, dsc) = others.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    Some((strongest - dsc, by))
}

/// Which methods count.
type Which = fn(&str) -> bool;

/// Compares the means of each image's best among two kinds of attacks.
fn on_average(
    name: &'static str,
    groups: &BTreeMap<u64, Vec<Attempts>>,
    (first, second): (Which, Which),
    needs: &str,
) -> Check {
    let best = |attempts: &Attempts, which: Which| {
        attempts.iter().filter(|(method, _)| which(method)).map(|(_, dsc)| *dsc).min_by(f64::total_cmp)
    };
    let parts = groups.iter().filter_map(|(epsilon, images)| {
        let pairs: Vec<_> = images.iter().filter_map(|a| Some((best(a, first)?, best(a, second)?))).collect();
        let count = pairs.len() as f64;
        let (one, other) = pairs.iter().fold((0., 0.), |(one, other), pair| (one + pair.0, other + pair.1));
        let weaker = pairs.iter().filter(|(one, other)| one > other).count();
        let sign = if one <= other { "<=" } else { ">" };
        let epsilon = f64::from_bits(*epsilon);
        (!pairs.is_empty()).then(|| {
            let figures = format!(
                "epsilon {epsilon}: {:.3} {sign} {:.3}, weaker on {weaker} of {count} images",
                one / count,
                other / count
            );
            (one <= other, figures)
        })
    });
    Check::of(name, parts, needs)
}

#[cfg(test)]
mod tests {
    use super::super::super::row::Attacked;
    use super::*;
    use crate::evaluation::Verdict;

    fn rows(image: &str, attacks: &[(&'static str, f64, f64)]) -> Vec<GridRow> {
        let row = |(method, epsilon, dsc): &(&'static str, f64, f64)| {
            let attacked = Attacked {
                dsc: *dsc,
                iou: 0.,
                linf_levels: 1,
                dsc_to_target: None,
                oblivious_dsc: None,
                success: false,
                queries: 1,
            };
            GridRow {
                set: "a".into(),
                image: image.into(),
                method,
                variant: None,
                epsilon: Some(*epsilon),
                scores: Ok(RowScores { clean_dsc: 0.9, clean_iou: 0.8, attacked: Some(attacked) }),
            }
        };
        attacks.iter().map(row).collect()
    }

    fn verdicts(rows: &[GridRow]) -> Vec<Check> {
        checks(&rows.iter().map(|row| (row, row.scores.as_ref().unwrap())).collect::<Vec<_>>())
    }

    #[test]
    fn attacks_are_compared_image_by_image_at_one_epsilon() {
        let mut all = rows("1", &[("pgd", 2., 0.4), ("apgd", 2., 0.3), ("strongest", 2., 0.3), ("square", 2., 0.6)]);
        all.extend(rows("2", &[("pgd", 2., 0.2), ("apgd", 2., 0.3), ("strongest", 2., 0.1), ("square", 2., 0.15)]));
        let found = verdicts(&all);
        let verdicts_of = |found: &[Check]| found.iter().map(|check| check.verdict).collect::<Vec<_>>();
        let (passed, none) = (Verdict::Pass, Verdict::NotApplicable);
        assert_eq!(verdicts_of(&found), [none, passed, passed, passed, none], "{found:?}");
        let [_, apgd, strongest, gradients, _] = [0, 1, 2, 3, 4].map(|n| found[n].figures.as_str());
        assert_eq!(apgd, "epsilon 2: 0.300 <= 0.300, weaker on 1 of 2 images");
        assert_eq!(strongest, "epsilon 2: on all 2 images");
        assert_eq!(gradients, "epsilon 2: 0.200 <= 0.375, weaker on 0 of 2 images");
        all.extend(rows("3", &[("pgd", 2., 0.1), ("strongest", 2., 0.25), ("square", 8., 0.)]));
        let found = verdicts(&all);
        assert_eq!(found[1].figures, "epsilon 2: 0.300 <= 0.300, weaker on 1 of 2 images", "image 3 has no APGD");
        assert_eq!(found[2].verdict, Verdict::Fail);
        assert_eq!(found[2].figures, "epsilon 2: not on 1 of 3 images, by at most 0.150 (pgd)");
    }

    #[test]
    fn one_step_must_not_beat_many_and_answers_have_to_beat_noise() {
        let mut all = rows("1", &[("fgsm", 1., 0.7), ("pgd", 1., 0.71), ("noise", 1., 0.8), ("square", 1., 0.75)]);
        all.extend(rows("1", &[("fgsm", 2., 0.6), ("pgd", 2., 0.2), ("noise", 2., 0.7), ("square", 2., 0.75)]));
        let found = verdicts(&all);
        assert_eq!(found[0].verdict, Verdict::Fail);
        assert_eq!(
            found[0].figures,
            "epsilon 1: 0.710 > 0.700, weaker on 1 of 1 images; epsilon 2: 0.200 <= 0.600, weaker on 0 of 1 images"
        );
        assert_eq!(found[4].verdict, Verdict::Fail);
        assert!(found[4].figures.contains("epsilon 1: 0.750 <= 0.800") && found[4].figures.contains("0.750 > 0.700"));
    }

    #[test]
    fn a_black_box_attack_that_is_stronger_than_gradients_is_reported() {
        let found = verdicts(&rows("1", &[("pgd", 4., 0.5), ("square_mask", 4., 0.2)]));
        assert_eq!((found[2].verdict, found[3].verdict), (Verdict::NotApplicable, Verdict::Fail));
    }
}
