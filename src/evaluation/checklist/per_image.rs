//! Checks that compare attacks on the same image at the same epsilon.

use std::collections::BTreeMap;

use super::super::aggregate::CLEAN;
use super::super::grid::{GridRow, RowScores};
use super::Check;
use crate::attack::catalogue::{self, ThreatModel};

/// Method and DSC of every attack on one image at one epsilon.
type Attempts = Vec<(&'static str, f64)>;

/// Checks the rows that have scores.
pub(super) fn checks(rows: &[(&GridRow, &RowScores)]) -> Vec<Check> {
    let groups = groups(rows);
    vec![
        strongest_is_strongest(&groups),
        on_average(
            "APGD is at least as strong as PGD on average at every epsilon",
            &groups,
            (|method| method == "apgd", |method| method == "pgd"),
            "needs APGD and PGD at one epsilon",
        ),
        on_average(
            "the best attack by gradients is at least as strong as the best by answers alone",
            &groups,
            (
                |method| is(method, ThreatModel::WhiteBox),
                |method| is(method, ThreatModel::Score) || is(method, ThreatModel::Decision),
            ),
            "needs attacks of both kinds at one epsilon",
        ),
    ]
}

/// The attempts at each epsilon, image by image. The bits of positive numbers are in the order of the numbers.
fn groups(rows: &[(&GridRow, &RowScores)]) -> BTreeMap<u64, Vec<Attempts>> {
    let mut images: BTreeMap<(u64, &str, &str), Attempts> = BTreeMap::new();
    for (row, scores) in rows.iter().filter(|(row, _)| row.method != CLEAN && row.variant.is_none()) {
        if let (Some(epsilon), Some(attacked)) = (row.epsilon, scores.attacked) {
            let place = (epsilon.to_bits(), row.set.as_str(), row.image.as_str());
            images.entry(place).or_default().push((row.method, attacked.dsc));
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

fn is(method: &str, model: ThreatModel) -> bool {
    catalogue::threat_model(method) == Some(model)
}

#[cfg(test)]
mod tests {
    use super::super::super::grid::Attacked;
    use super::*;
    use crate::evaluation::Verdict;

    fn rows(image: &str, attacks: &[(&'static str, f64, f64)]) -> Vec<GridRow> {
        let row = |(method, epsilon, dsc): &(&'static str, f64, f64)| {
            let attacked =
                Attacked { dsc: *dsc, iou: 0., linf_levels: 1, oblivious_dsc: None, success: false, queries: 1 };
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
        assert_eq!(found.iter().map(|check| check.verdict).collect::<Vec<_>>(), [Verdict::Pass; 3], "{found:?}");
        assert_eq!(found[0].figures, "epsilon 2: on all 2 images");
        assert_eq!(found[1].figures, "epsilon 2: 0.300 <= 0.300, weaker on 1 of 2 images");
        assert_eq!(found[2].figures, "epsilon 2: 0.200 <= 0.375, weaker on 0 of 2 images");
        all.extend(rows("3", &[("pgd", 2., 0.1), ("strongest", 2., 0.25), ("square", 8., 0.)]));
        let found = verdicts(&all);
        assert_eq!(found[0].verdict, Verdict::Fail);
        assert_eq!(found[0].figures, "epsilon 2: not on 1 of 3 images, by at most 0.150 (pgd)");
        assert_eq!(found[1].figures, "epsilon 2: 0.300 <= 0.300, weaker on 1 of 2 images", "image 3 has no APGD");
    }

    #[test]
    fn a_black_box_attack_that_is_stronger_than_gradients_is_reported() {
        let found = verdicts(&rows("1", &[("pgd", 4., 0.5), ("square_mask", 4., 0.2)]));
        assert_eq!((found[0].verdict, found[2].verdict), (Verdict::NotApplicable, Verdict::Fail));
    }
}
