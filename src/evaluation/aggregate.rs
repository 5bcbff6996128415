//! What the rows of a grid amount to: means per data set and attack, with intervals.
//!
//! Scores are means over images. An image with any failed row is left out of every mean, so that two columns
//! always speak of the same images.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::checklist::{Check, checks};
use super::row::{Attacked, Column, GridRow, RowScores, left_out};
use crate::metric::statistics::{ConfidenceInterval, bootstrap_mean_interval, mean};

/// The method of rows without an attack.
pub const CLEAN: &str = "none";

/// Seed of the bootstrap: the same rows give the same interval.
const BOOTSTRAP_SEED: u64 = 0;

/// The summary of a grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// One entry for every data set, in the order of the rows.
    pub sets: Vec<SetSummary>,
    /// All images together, each with the same weight.
    pub all: SetSummary,
    /// Whether the attacks behave as working attacks do.
    pub checks: Vec<Check>,
    /// The images that are left out, as `set/image`, with the reason.
    pub left_out: BTreeMap<String, String>,
}

/// Means over the images of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetSummary {
    /// Name of the data set.
    pub set: String,
    /// Images that count.
    pub images: usize,
    /// DSC of the clean images; `None` without images.
    pub clean_dsc: Option<Estimate>,
    /// IoU of the clean images; `None` without images.
    pub clean_iou: Option<Estimate>,
    /// One entry for every attack, in the order of the grid.
    pub attacks: Vec<AttackSummary>,
}

/// Means of one attack over the images of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackSummary {
    /// The method.
    pub method: &'static str,
    /// What tells attacks of one method apart that have no epsilon, such as `gaussian_noise 3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Its epsilon; `None` for a method that has no budget.
    pub epsilon: Option<f64>,
    /// DSC on the adversarial files; `None` without images.
    pub dsc: Option<Estimate>,
    /// IoU on the adversarial files; `None` without images.
    pub iou: Option<Estimate>,
    /// DSC of the adversarial files' predictions against the target; `None` without a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsc_to_target: Option<Estimate>,
    /// Mean DSC of a defended model under the attack that does not know the defence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oblivious_dsc: Option<f64>,
    /// Share of the images whose adversarial file meets the success criterion; `None` without images.
    pub success_share: Option<f64>,
    /// How often the model was asked for an image, on average; `None` without images.
    pub queries: Option<f64>,
    /// Largest change of any file, in levels of 255.
    pub largest_linf_levels: u8,
}

/// A mean over images and its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over images.
    pub mean: f64,
    /// 95 % bootstrap interval of the mean.
    pub interval: ConfidenceInterval,
}

impl Estimate {
    /// That of some values; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Some(Self { mean: mean(values)?, interval: bootstrap_mean_interval(values, BOOTSTRAP_SEED)? })
    }
}

impl Summary {
    /// Summarises rows as [`super::run_grid`] gives them.
    pub fn new(rows: &[GridRow]) -> Self {
        let left_out = left_out(rows);
        let kept: Vec<(&GridRow, &RowScores)> = rows
            .iter()
            .filter(|row| !left_out.contains_key(&row.place()))
            .filter_map(|row| Some((row, row.scores.as_ref().ok()?)))
            .collect();
        let mut seen = BTreeSet::new();
        let names = rows.iter().map(|row| row.set.as_str()).filter(|set| seen.insert(*set));
        let columns = columns(rows);
        let sets = names
            .map(|name| {
                let rows: Vec<_> = kept.iter().copied().filter(|(row, _)| row.set == name).collect();
                SetSummary::new(name, &rows, &columns)
            })
            .collect();
        let all = SetSummary::new("all", &kept, &columns);
        Self { sets, checks: checks(&all, &kept), all, left_out }
    }
}

impl SetSummary {
    fn new(set: &str, rows: &[(&GridRow, &RowScores)], columns: &[Column]) -> Self {
        let clean: Vec<&RowScores> = rows.iter().filter(|(row, _)| row.method == CLEAN).map(|(_, s)| *s).collect();
        let each = |score: fn(&RowScores) -> f64| clean.iter().map(|s| score(s)).collect::<Vec<_>>();
        Self {
            set: set.into(),
            images: clean.len(),
            clean_dsc: Estimate::of(&each(|s| s.clean_dsc)),
            clean_iou: Estimate::of(&each(|s| s.clean_iou)),
            attacks: columns.iter().map(|column| AttackSummary::new(column, rows)).collect(),
        }
    }
}

impl AttackSummary {
    fn new(column: &Column, rows: &[(&GridRow, &RowScores)]) -> Self {
        let mine = rows.iter().filter(|(row, _)| Column::of(row) == *column);
        let scores: Vec<_> = mine.filter_map(|(_, s)| s.attacked).collect();
        let each = |score: fn(&Attacked) -> f64| scores.iter().map(score).collect::<Vec<_>>();
        Self {
            method: column.method,
            variant: column.variant.map(str::to_owned),
            epsilon: column.epsilon,
            dsc: Estimate::of(&each(|s| s.dsc)),
            iou: Estimate::of(&each(|s| s.iou)),
            dsc_to_target: Estimate::of(&scores.iter().filter_map(|s| s.dsc_to_target).collect::<Vec<_>>()),
            oblivious_dsc: mean(&scores.iter().filter_map(|s| s.oblivious_dsc).collect::<Vec<_>>()),
            success_share: mean(&each(|s| f64::from(u8::from(s.success)))),
            queries: mean(&each(|s| s.queries as f64)),
            largest_linf_levels: scores.iter().map(|s| s.linf_levels).max().unwrap_or(0),
        }
    }
}

/// The attacks, in the order of the rows of the first image.
fn columns(rows: &[GridRow]) -> Vec<Column<'_>> {
    let Some(first) = rows.first() else { return vec![] };
    rows.iter()
        .take_while(|row| (&row.set, &row.image) == (&first.set, &first.image))
        .filter(|row| row.method != CLEAN)
        .map(Column::of)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(image: &str, clean: f64, attacks: &[(&'static str, f64, f64)]) -> Vec<GridRow> {
        let row = |method, epsilon, attacked| GridRow {
            set: image[..1].into(),
            image: image.into(),
            method,
            variant: None,
            epsilon,
            scores: Ok(RowScores { clean_dsc: clean, clean_iou: clean / 2., attacked }),
        };
        let mut rows = vec![row("none", None, None)];
        for (method, epsilon, dsc) in attacks {
            let attacked = Attacked {
                dsc: *dsc,
                iou: dsc / 2.,
                linf_levels: 8,
                dsc_to_target: None,
                oblivious_dsc: None,
                success: *dsc < 0.5,
                queries: 3,
            };
            rows.push(row(method, Some(*epsilon), Some(attacked)));
        }
        rows
    }

    #[test]
    fn means_are_over_images_and_failures_are_left_out_everywhere() {
        let mut all = rows("a1", 0.9, &[("fgsm", 2., 0.6), ("pgd", 2., 0.2)]);
        all.extend(rows("a2", 0.7, &[("fgsm", 2., 0.4), ("pgd", 2., 0.1)]));
        all.extend(rows("b1", 0.5, &[("fgsm", 2., 0.5), ("pgd", 2., 0.3)]));
        let mut bad = rows("b2", 0.1, &[("fgsm", 2., 0.0), ("pgd", 2., 0.0)]);
        bad[2].scores = Err("cut off".into());
        all.extend(bad);
        let summary = Summary::new(&all);
        let close = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-12, "{a:?}, wanted {b}");
        assert_eq!(summary.sets.iter().map(|s| (s.set.as_str(), s.images)).collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
        close(summary.sets[0].clean_dsc.map(|e| e.mean), 0.8);
        close(summary.all.clean_dsc.map(|e| e.mean), 0.7);
        close(summary.all.clean_iou.map(|e| e.mean), 0.35);
        close(summary.all.attacks[1].dsc.map(|e| e.mean), 0.2);
        close(summary.all.attacks[0].success_share, 1. / 3.);
        assert_eq!(summary.left_out, BTreeMap::from([("b/b2".into(), "cut off".into())]));
    }

    #[test]
    fn attacks_without_an_epsilon_are_told_apart_by_their_variant() {
        let mut all = rows("a1", 0.9, &[("corruption", 0., 0.6), ("corruption", 0., 0.2)]);
        for (row, variant) in all[1..].iter_mut().zip(["hair 1", "hair 5"]) {
            (row.variant, row.epsilon) = (Some(variant.into()), None);
        }
        let attacks = Summary::new(&all).all.attacks;
        let found: Vec<_> = attacks.iter().map(|a| (a.variant.as_deref(), a.dsc.map(|dsc| dsc.mean))).collect();
        assert_eq!(found, [(Some("hair 1"), Some(0.6)), (Some("hair 5"), Some(0.2))]);
        assert_eq!(Summary::new(&all).all.images, 1);
    }

    #[test]
    fn nothing_has_no_means() {
        let mut bad = rows("a1", 0.9, &[("pgd", 2., 0.2)]);
        bad[0].scores = Err("no such file".into());
        let summary = Summary::new(&bad);
        assert_eq!((summary.all.images, summary.all.clean_dsc, summary.all.attacks[0].dsc), (0, None, None));
        assert_eq!(Summary::new(&[]).sets, []);
    }
}
