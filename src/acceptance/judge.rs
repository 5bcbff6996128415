//! The rows of an evaluation, held against criteria.

use std::collections::BTreeMap;

use serde::Serialize;

use super::criteria::{Criteria, Limit, Measure, Over, Requirement};
use crate::evaluation::{Check, Column, Estimate, GridRow, RowScores, Summary, Verdict};
use crate::metric::statistics::{mean, share_interval};

/// What criteria make of an evaluation, or a limit of what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Every limit is kept, and the evidence reaches that far.
    Accepted,
    /// A limit is broken.
    Rejected,
    /// No limit is broken, but the evidence does not reach for an acceptance.
    Undecided,
}

/// What an evaluation amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Acceptance {
    /// Rejected if any finding is, otherwise undecided if any finding is.
    pub judgement: Judgement,
    /// What was asked.
    pub criteria: Criteria,
    /// One for every limit of a requirement, every attack it is about and every group of images.
    pub findings: Vec<Finding>,
}

/// One limit, held against one attack on one group of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Name of the requirement.
    pub requirement: String,
    /// The data set, several of them, or `all`.
    pub set: String,
    /// The method; `none` for the clean images.
    pub method: String,
    /// Which of several attacks of that method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Its epsilon, in the unit of the evaluation; `None` for a method that has no budget.
    pub epsilon: Option<f64>,
    /// The limit.
    pub limit: Limit,
    /// Images that count.
    pub images: usize,
    /// The value that is held against the limit; `None` without images.
    pub measured: Option<Measured>,
    /// What comes of it.
    pub judgement: Judgement,
    /// Why it is not accepted; empty if it is.
    pub reasons: Vec<String>,
}

/// What a limit is held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// A mean over images, or a share of them, with its 95 % interval.
    Mean(Estimate),
    /// The image that comes closest to the limit or breaks it most.
    Worst {
        /// Its name, as `set/image`.
        image: String,
        /// Its value.
        value: f64,
    },
}

impl Judgement {
    /// That of many.
    fn of(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::Accepted, |so_far, next| match (so_far, next) {
            (Self::Rejected, _) | (_, Self::Rejected) => Self::Rejected,
            (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
            (Self::Accepted, Self::Accepted) => Self::Accepted,
        })
    }
}

impl Criteria {
    /// Judges the rows of an evaluation and what its summary says of them. Where a check of the attacks failed, or none
    /// applies, no attack that has a budget can prove that a limit is kept. An image that the summary leaves out counts
    /// nowhere, and its group is not accepted.
    pub fn judge(&self, rows: &[GridRow], summary: &Summary) -> Acceptance {
        let Summary { left_out, checks, .. } = summary;
        let evidence = Evidence { rows, left_out, doubts: doubts(checks), images_at_least: self.images_at_least };
        let findings: Vec<Finding> = self.require.iter().flat_map(|one| evidence.findings(one)).collect();
        let judgement = Judgement::of(findings.iter().map(|finding| finding.judgement));
        Acceptance { judgement, criteria: self.clone(), findings }
    }
}

/// What was measured, and what it is worth.
struct Evidence<'a> {
    rows: &'a [GridRow],
    /// Images with a failed row, by [`GridRow::place`].
    left_out: &'a BTreeMap<String, String>,
    /// Why attacks that have a budget may be weaker than they should be.
    doubts: Vec<String>,
    images_at_least: usize,
}

impl Evidence<'_> {
    fn findings(&self, requirement: &Requirement) -> Vec<Finding> {
        let wanted = |set: &str| requirement.sets.is_empty() || requirement.sets.iter().any(|name| name == set);
        let about = |row: &GridRow| {
            requirement.is_about(row.method, row.variant.as_deref())
                && requirement.budget.is_none_or(|budget| row.epsilon == Some(budget.epsilon.value()))
        };
        let mine: Vec<&GridRow> = self.rows.iter().filter(|row| wanted(&row.set) && about(row)).collect();
        let columns = distinct(mine.iter().map(|row| Column::of(row)));
        let sets: Vec<Option<&str>> = match requirement.over {
            Over::EachSet => distinct(mine.iter().map(|row| Some(row.set.as_str()))),
            Over::AllImages | Over::EachImage => vec![None],
        };
        if mine.is_empty() {
            return requirement.limits().map(|limit| self.finding(requirement, limit, None, &[])).collect();
        }
        let mut findings = vec![];
        for of in &columns {
            for set in &sets {
                let group = mine.iter().filter(|row| Column::of(row) == *of && set.is_none_or(|set| row.set == set));
                let group: Vec<&GridRow> = group.copied().collect();
                findings.extend(requirement.limits().map(|limit| self.finding(requirement, limit, *set, &group)));
            }
        }
        findings
    }

    /// Holds the rows of one attack against a limit.
    fn finding(&self, requirement: &Requirement, limit: Limit, set: Option<&str>, group: &[&GridRow]) -> Finding {
        let (kept, left_out): (Vec<&GridRow>, Vec<&GridRow>) =
            group.iter().partition(|row| !self.left_out.contains_key(&row.place()));
        let values: Vec<(f64, &GridRow)> =
            kept.iter().filter_map(|row| Some((value(limit.measure, row.scores.as_ref().ok()?)?, *row))).collect();
        let measured = match requirement.over {
            Over::EachImage => worst(limit, &values),
            Over::AllImages | Over::EachSet => average(limit.measure, &values),
        };
        let first = group.first();
        let (epsilon, images) = (first.and_then(|row| row.epsilon), values.len());
        let (judgement, reasons) = if let Some(broken) = measured.as_ref().and_then(|it| it.breaks(limit)) {
            (Judgement::Rejected, vec![broken])
        } else {
            let mut missing = self.missing(images, left_out.len());
            missing.extend(measured.as_ref().and_then(|it| it.doubts(limit)));
            missing.extend(self.doubts.iter().filter(|_| epsilon.is_some()).cloned());
            (if missing.is_empty() { Judgement::Accepted } else { Judgement::Undecided }, missing)
        };
        let together = if requirement.sets.is_empty() { "all".into() } else { requirement.sets.join(", ") };
        Finding {
            requirement: requirement.name.clone(),
            set: set.map_or(together, str::to_owned),
            method: requirement.attack.clone(),
            variant: first.and_then(|row| row.variant.clone()),
            epsilon,
            limit,
            images,
            measured,
            judgement,
            reasons,
        }
    }

    /// Why so many images are too few.
    fn missing(&self, images: usize, left_out: usize) -> Vec<String> {
        let mut reasons = vec![];
        match left_out {
            0 => {}
            1 => reasons.push("1 image could not be measured".into()),
            many => reasons.push(format!("{many} images could not be measured")),
        }
        if images < self.images_at_least {
            reasons.push(format!("{images} images, and images_at_least is {}", self.images_at_least));
        }
        reasons
    }
}

fn doubts(checks: &[Check]) -> Vec<String> {
    if checks.iter().all(|check| check.verdict == Verdict::NotApplicable) {
        return vec![
            "no check of the attacks applies: measure fgsm and pgd too, up to an epsilon that breaks the model".into(),
        ];
    }
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail);
    failed.map(|Check { name, figures, .. }| format!("a check of the attacks failed: {name} ({figures})")).collect()
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(vec![], |mut seen, next| {
        if !seen.contains(&next) {
            seen.push(next);
        }
        seen
    })
}

/// What a row has to say about a measure; `None` if nothing.
fn value(measure: Measure, scores: &RowScores) -> Option<f64> {
    let RowScores { clean_dsc, clean_iou, attacked } = scores;
    Some(match (measure, attacked) {
        (Measure::DscAtLeast, attacked) => attacked.map_or(*clean_dsc, |attacked| attacked.dsc),
        (Measure::IouAtLeast, attacked) => attacked.map_or(*clean_iou, |attacked| attacked.iou),
        (Measure::DscDropAtMost, Some(attacked)) => clean_dsc - attacked.dsc,
        (Measure::IouDropAtMost, Some(attacked)) => clean_iou - attacked.iou,
        (Measure::SuccessAtMost, Some(attacked)) => f64::from(u8::from(attacked.success)),
        (Measure::DscToTargetAtMost, Some(attacked)) => attacked.dsc_to_target?,
        (_, None) => return None,
    })
}

fn average(measure: Measure, values: &[(f64, &GridRow)]) -> Option<Measured> {
    let values: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    if measure == Measure::SuccessAtMost {
        // Resamples of images that all failed all fail: that interval would have no length.
        let met = values.iter().filter(|value| **value == 1.).count();
        let interval = share_interval(met, values.len())?;
        return Some(Measured::Mean(Estimate { mean: mean(&values)?, interval }));
    }
    Estimate::of(&values).map(Measured::Mean)
}

fn worst(limit: Limit, values: &[(f64, &GridRow)]) -> Option<Measured> {
    let badness = |value: f64| if limit.measure.is_lower_bound() { -value } else { value };
    let (value, row) = values.iter().max_by(|a, b| badness(a.0).total_cmp(&badness(b.0)))?;
    Some(Measured::Worst { image: row.place(), value: *value })
}

impl Measured {
    /// How it breaks a limit; `None` if it keeps it.
    fn breaks(&self, limit: Limit) -> Option<String> {
        match self {
            Self::Mean(Estimate { mean, .. }) if !limit.is_kept_by(*mean) => {
                Some(format!("the mean is {mean:.3}, asked is a {limit}"))
            }
            Self::Worst { image, value } if !limit.is_kept_by(*value) => {
                Some(format!("{image} has {value:.3}, asked is a {limit}"))
            }
            Self::Mean(_) | Self::Worst { .. } => None,
        }
    }

    /// Whether the interval goes beyond a limit that the mean keeps.
    fn doubts(&self, limit: Limit) -> Option<String> {
        let Self::Mean(Estimate { interval, .. }) = self else { return None };
        let far = if limit.measure.is_lower_bound() { interval.low } else { interval.high };
        (!limit.is_kept_by(far)).then(|| format!("the 95 % interval reaches {far:.3}, asked is a {limit}"))
    }
}

#[cfg(test)]
mod tests;
