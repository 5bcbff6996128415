//! How far scores fall, and whether they fall further than under the controls.
//!
//! All means are over images and all differences are taken on the same image first; intervals are bootstrap intervals
//! over images. An image with any failed row is left out everywhere.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::name;
use crate::evaluation::{Estimate, GridRow, RowScores, left_out};
use crate::metric::statistics::mean;

/// The column of the trained perturbation.
pub(super) const TRAINED: &str = "universal";

/// What marks a column of perturbations that were each made for one image.
pub(super) const IMAGE_SPECIFIC: &str = "per image";

/// Figures of some images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// One entry for every data set.
    pub sets: Vec<SetFigures>,
    /// All images together, each with the same weight.
    pub all: SetFigures,
    /// The images that are left out, as `set/image`, with the reason.
    pub left_out: BTreeMap<String, String>,
}

/// Figures of the images of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFigures {
    /// Name of the data set.
    pub set: String,
    /// Images that count.
    pub images: usize,
    /// Mean DSC of the clean images; `None` without images.
    pub clean_dsc: Option<f64>,
    /// Mean IoU of the clean images; `None` without images.
    pub clean_iou: Option<f64>,
    /// What each column does, the trained perturbation first.
    pub changes: Vec<Change>,
    /// The trained perturbation beside each control.
    pub beside: Vec<Beside>,
}

/// What one column does to the images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// `universal`, a control, or an attack on each image by itself.
    pub name: String,
    /// How far the DSC falls; `None` without images.
    pub dsc_drop: Option<Estimate>,
    /// How far the IoU falls; `None` without images.
    pub iou_drop: Option<Estimate>,
    /// Share of the images whose DSC is below 0.5; `None` without images.
    pub broken: Option<f64>,
}

/// The trained perturbation beside a control, image by image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Beside {
    /// The control.
    pub control: String,
    /// How much further the DSC falls; `None` without images.
    pub more: Option<Estimate>,
}

impl Figures {
    /// Figures of rows as [`crate::evaluation::run_grid`] gives them.
    pub(super) fn new(rows: &[GridRow]) -> Self {
        let left_out = left_out(rows);
        let kept: Vec<&GridRow> = rows.iter().filter(|row| !left_out.contains_key(&row.place())).collect();
        let mut names: Vec<&str> = rows.iter().map(|row| row.set.as_str()).collect();
        names.dedup();
        let of = |set: &str| kept.iter().copied().filter(|row| row.set == set).collect::<Vec<_>>();
        let sets = names.iter().map(|set| SetFigures::new(set, &of(set))).collect();
        Self { sets, all: SetFigures::new("all", &kept), left_out }
    }
}

impl SetFigures {
    fn new(set: &str, rows: &[&GridRow]) -> Self {
        let scored = |row: &&GridRow| row.scores.as_ref().ok().copied();
        let clean: Vec<RowScores> = rows.iter().filter_map(scored).filter(|s| s.attacked.is_none()).collect();
        let mut columns: Vec<(String, Vec<RowScores>)> = vec![];
        for (row, scores) in rows.iter().filter_map(|row| Some((row, scored(row)?))) {
            if scores.attacked.is_none() {
                continue;
            }
            let name = name(row);
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, column)) => column.push(scores),
                None => columns.push((name, vec![scores])),
            }
        }
        let trained = columns.iter().find(|(name, _)| name == TRAINED).map(|(_, column)| drops(column));
        let controls = columns.iter().filter(|(name, _)| name != TRAINED && !name.ends_with(IMAGE_SPECIFIC));
        let beside = |(name, column): &(String, Vec<RowScores>)| {
            let pairs = trained.iter().flatten().zip(drops(column));
            let more: Vec<f64> = pairs.map(|(trained, control)| trained - control).collect();
            Beside { control: name.clone(), more: Estimate::of(&more) }
        };
        Self {
            set: set.into(),
            images: clean.len(),
            clean_dsc: mean(&clean.iter().map(|s| s.clean_dsc).collect::<Vec<_>>()),
            clean_iou: mean(&clean.iter().map(|s| s.clean_iou).collect::<Vec<_>>()),
            changes: columns.iter().map(|(name, column)| Change::new(name, column)).collect(),
            beside: controls.map(beside).collect(),
        }
    }

    /// Whether the trained perturbation lowers the DSC further than every control does: the whole interval of each
    /// difference lies above 0. `None` if there is nothing to compare with.
    pub fn beats_controls(&self) -> Option<bool> {
        let lows = self.beside.iter().map(|beside| beside.more.map(|more| more.interval.low));
        let lows: Vec<f64> = lows.collect::<Option<_>>()?;
        (!lows.is_empty()).then(|| lows.iter().all(|low| *low > 0.))
    }

    /// What the trained perturbation does.
    pub fn trained(&self) -> Option<&Change> {
        self.changes.iter().find(|change| change.name == TRAINED)
    }
}

impl Change {
    fn new(name: &str, column: &[RowScores]) -> Self {
        let after = |score: &RowScores| score.attacked.map(|attacked| attacked.iou);
        let iou: Vec<f64> = column.iter().filter_map(|s| Some(s.clean_iou - after(s)?)).collect();
        let broken: Vec<f64> = column.iter().filter_map(|s| Some(f64::from(u8::from(s.attacked?.dsc < 0.5)))).collect();
        Self {
            name: name.into(),
            dsc_drop: Estimate::of(&drops(column)),
            iou_drop: Estimate::of(&iou),
            broken: mean(&broken),
        }
    }
}

/// How far the DSC of each image falls.
fn drops(column: &[RowScores]) -> Vec<f64> {
    column.iter().filter_map(|s| Some(s.clean_dsc - s.attacked?.dsc)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Attacked;

    /// The rows of one image: clean, and its DSC under each column.
    fn rows(image: usize, clean: f64, columns: &[(&str, f64)]) -> Vec<GridRow> {
        let row = |method, variant: Option<&str>, attacked| GridRow {
            set: "polyps".into(),
            image: format!("{image}.png"),
            method,
            variant: variant.map(str::to_owned),
            epsilon: Some(8.),
            scores: Ok(RowScores { clean_dsc: clean, clean_iou: clean / 2., attacked }),
        };
        let scored = |dsc: f64| Attacked {
            dsc,
            iou: dsc / 2.,
            linf_levels: 8,
            dsc_to_target: None,
            oblivious_dsc: None,
            success: dsc < 0.5,
            queries: 3,
        };
        let mut rows = vec![row("none", None, None)];
        rows.extend(columns.iter().map(|(name, dsc)| match *name {
            "apgd" => row("apgd", None, Some(scored(*dsc))),
            name => row("universal", Some(name), Some(scored(*dsc))),
        }));
        rows
    }

    fn many(trained: impl Fn(usize) -> f64) -> Figures {
        let image = |i: usize| rows(i, 0.9, &[(TRAINED, trained(i)), ("uniform noise", 0.88), ("apgd", 0.1)]);
        Figures::new(&(0..12).flat_map(image).collect::<Vec<_>>())
    }

    #[test]
    fn what_falls_further_than_every_control_on_most_images_is_universal() {
        let figures = many(|i| 0.3 + 0.02 * i as f64);
        let all = &figures.all;
        assert_eq!((all.images, all.changes.len(), all.beside.len()), (12, 3, 1));
        assert_eq!(all.beats_controls(), Some(true));
        let trained = all.trained().unwrap();
        assert!((trained.dsc_drop.unwrap().mean - 0.49).abs() < 1e-9);
        assert!((trained.iou_drop.unwrap().mean - 0.245).abs() < 1e-9);
        assert_eq!(trained.broken, Some(10. / 12.));
        assert_eq!(all.changes[2].name, "apgd per image");
    }

    #[test]
    fn one_broken_image_makes_nothing_universal_and_nor_does_noise() {
        assert_eq!(many(|i| if i == 0 { 0. } else { 0.89 }).all.beats_controls(), Some(false));
        assert_eq!(many(|_| 0.88).all.beats_controls(), Some(false));
        assert_eq!(Figures::new(&[]).all.beats_controls(), None);
    }

    #[test]
    fn an_image_with_a_failed_row_counts_nowhere() {
        let mut all = rows(0, 0.9, &[(TRAINED, 0.1)]);
        all.extend(rows(1, 0.7, &[(TRAINED, 0.6)]));
        all[1].scores = Err("cut off".into());
        let figures = Figures::new(&all);
        assert_eq!((figures.all.images, figures.all.clean_dsc), (1, Some(0.7)));
        assert_eq!(figures.left_out["polyps/0.png"], "cut off");
    }
}
