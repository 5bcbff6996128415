//! One image under one attack, as a line of a table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What came of one image under one attack, or without any.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GridRow {
    /// Name of the data set.
    pub set: String,
    /// File name of the image.
    pub image: String,
    /// The method; `none` for the clean image.
    pub method: &'static str,
    /// What tells attacks of one method apart that have one epsilon or none, such as `gaussian_noise 3`, or `on NAME` for
    /// what another model says about the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The epsilon, in the unit it was given in; `None` for the clean image and a method that has no budget.
    pub epsilon: Option<f64>,
    /// The scores, or why there are none.
    pub scores: Result<RowScores, String>,
}

/// The scores of one row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RowScores {
    /// DSC of the prediction on the clean image.
    pub clean_dsc: f64,
    /// IoU of the prediction on the clean image.
    pub clean_iou: f64,
    /// What the attack did; `None` for the clean image.
    pub attacked: Option<Attacked>,
}

/// The scores of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attacked {
    /// DSC of the prediction on the adversarial file.
    pub dsc: f64,
    /// IoU of the prediction on the adversarial file.
    pub iou: f64,
    /// Largest change of the file, in levels of 255.
    pub linf_levels: u8,
    /// DSC of that prediction against the target, if the attack has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsc_to_target: Option<f64>,
    /// DSC of a defended model under the attack that does not know the defence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oblivious_dsc: Option<f64>,
    /// Whether the file meets the success criterion.
    pub success: bool,
    /// How often the model was asked.
    pub queries: usize,
}

impl GridRow {
    /// The image, as `set/image`.
    pub fn place(&self) -> String {
        format!("{}/{}", self.set, self.image)
    }
}

/// The images of which any row failed, by [`GridRow::place`], with the first reason: they count nowhere, so that two columns
/// always speak of the same images.
pub(crate) fn left_out(rows: &[GridRow]) -> BTreeMap<String, String> {
    let mut images = BTreeMap::new();
    for (row, error) in rows.iter().filter_map(|row| Some((row, row.scores.as_ref().err()?))) {
        images.entry(row.place()).or_insert_with(|| error.clone());
    }
    images
}

/// One attack of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column<'a> {
    pub(crate) method: &'static str,
    pub(crate) variant: Option<&'a str>,
    pub(crate) epsilon: Option<f64>,
}

impl<'a> Column<'a> {
    /// That of a row.
    pub(crate) fn of(row: &'a GridRow) -> Self {
        Self { method: row.method, variant: row.variant.as_deref(), epsilon: row.epsilon }
    }
}

impl Attacked {
    /// What the attacker has left: the DSC or, with a target, what is missing to it.
    pub(super) fn left(&self) -> f64 {
        self.dsc_to_target.map_or(self.dsc, |to_target| 1. - to_target)
    }
}
