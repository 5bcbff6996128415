//! What is asked of a model, as it is written in a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use serde::{Deserialize, Serialize};

use crate::attack::{Budget, catalogue};
use crate::config;
use crate::evaluation::{CLEAN, Grid, Planned};

/// Fewer images than this say little about a model.
const IMAGES_AT_LEAST: usize = 10;

/// All that is asked of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criteria {
    /// How many images a finding needs to be accepted.
    #[serde(default = "images_at_least")]
    pub images_at_least: usize,
    /// What is asked; at least one.
    #[serde(default)]
    pub require: Vec<Requirement>,
}

fn images_at_least() -> usize {
    IMAGES_AT_LEAST
}

/// Limits on what an attack, or the clean images, may show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requirement {
    /// What reports call it.
    pub name: String,
    /// The method, or `none` for the clean images.
    pub attack: String,
    /// Which of several attacks of that method, as tables name them (`gaussian_noise 3`); each of them if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// At which budget; at each that was measured if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// On which data sets; all of them if it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// What has to keep the limits.
    #[serde(default)]
    pub over: Over,
    /// The limits; at least one. A key that is none of the above must be one of these.
    #[serde(flatten)]
    pub limits: BTreeMap<Measure, f64>,
}

/// What has to keep a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The mean over all images.
    #[default]
    AllImages,
    /// The mean over each data set.
    EachSet,
    /// Every single image.
    EachImage,
}

/// What is limited, and on which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// DSC of the prediction, against the reference mask.
    DscAtLeast,
    /// IoU of the prediction, against the reference mask.
    IouAtLeast,
    /// How much lower the DSC is than on the clean image.
    DscDropAtMost,
    /// How much lower the IoU is than on the clean image.
    IouDropAtMost,
    /// Share of images on which the attack meets its success criterion.
    SuccessAtMost,
    /// DSC of the prediction against the attack's target.
    DscToTargetAtMost,
}

impl Measure {
    /// The side on which values have to lie.
    pub fn is_lower_bound(self) -> bool {
        matches!(self, Self::DscAtLeast | Self::IouAtLeast)
    }

    /// Whether it can be said of clean images.
    fn is_of_clean_images(self) -> bool {
        self.is_lower_bound()
    }

    fn what(self) -> &'static str {
        match self {
            Self::DscAtLeast => "DSC",
            Self::IouAtLeast => "IoU",
            Self::DscDropAtMost => "drop of the DSC",
            Self::IouDropAtMost => "drop of the IoU",
            Self::SuccessAtMost => "share of successes",
            Self::DscToTargetAtMost => "DSC to the target",
        }
    }
}

/// A measure and its bound, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// What is limited.
    pub measure: Measure,
    /// The last value that keeps it.
    pub bound: f64,
}

impl Limit {
    /// Whether a value keeps it; what is no number does not.
    pub fn is_kept_by(self, value: f64) -> bool {
        if self.measure.is_lower_bound() { value >= self.bound } else { value <= self.bound }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.measure.is_lower_bound() { "at least" } else { "at most" };
        write!(f, "{} {side} {}", self.measure.what(), self.bound)
    }
}

/// Why criteria cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CriteriaError {
    /// The file cannot be read.
    #[error("cannot read the criteria in {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// No TOML, a key that does not exist, or a value of another type; each as `key: what is wrong (in the file)`.
    #[error("{0}")]
    Unreadable(String),
    /// A number of images that proves nothing.
    #[error("images_at_least is 0: nothing would be accepted on no image, use 1 or more")]
    Images,
    /// The file asks nothing.
    #[error("the criteria ask nothing: add a table [[require]]")]
    Empty,
    /// A requirement that makes no sense, or that an evaluation cannot answer.
    #[error("requirement {name:?} {why}")]
    Requirement { name: String, why: String },
}

impl Criteria {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`CriteriaError`]: a file that cannot be read, unknown keys, limits outside [0, 1], names that no method has.
    pub fn read(path: &Path) -> Result<Self, CriteriaError> {
        let file = config::toml_file(path).map_err(|source| CriteriaError::File { path: path.into(), source })?;
        Self::from_figment(Figment::from(file))
    }

    fn from_figment(figment: Figment) -> Result<Self, CriteriaError> {
        let criteria: Self = figment.extract().map_err(|error| CriteriaError::Unreadable(config::explain(error)))?;
        if criteria.images_at_least == 0 {
            return Err(CriteriaError::Images);
        }
        if criteria.require.is_empty() {
            return Err(CriteriaError::Empty);
        }
        for (at, requirement) in criteria.require.iter().enumerate() {
            requirement.check()?;
            if criteria.require[..at].iter().any(|before| before.name == requirement.name) {
                return Err(requirement.refused("is there twice: give each its own name"));
            }
        }
        Ok(criteria)
    }

    /// Whether an evaluation of these data sets will answer every requirement: asked before hours are spent on it.
    ///
    /// # Errors
    /// [`CriteriaError::Requirement`], with what has to be measured too.
    pub fn check_against(&self, grid: &Grid, sets: &[&str]) -> Result<(), CriteriaError> {
        self.require.iter().try_for_each(|requirement| requirement.check_against(grid, sets))
    }
}

impl Requirement {
    /// The limits.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        self.limits.iter().map(|(measure, bound)| Limit { measure: *measure, bound: *bound })
    }

    /// Whether it asks something of a method, and of this one of several attacks of that method.
    pub(super) fn is_about(&self, method: &str, variant: Option<&str>) -> bool {
        self.attack == method && (self.variant.is_none() || self.variant.as_deref() == variant)
    }

    fn refused(&self, why: impl Into<String>) -> CriteriaError {
        CriteriaError::Requirement { name: self.name.clone(), why: why.into() }
    }

    fn check(&self) -> Result<(), CriteriaError> {
        if self.limits.is_empty() {
            return Err(self.refused("has no limit: add one, such as dsc_at_least = 0.8"));
        }
        if let Some(limit) = self.limits().find(|limit| !(0. ..=1.).contains(&limit.bound)) {
            return Err(self.refused(format!("asks for a {limit}: limits lie between 0 and 1")));
        }
        if self.attack != CLEAN && !catalogue::names().contains(&self.attack.as_str()) {
            let names = catalogue::names().join(", ");
            return Err(self.refused(format!("is about the attack {:?}: use {CLEAN} or one of {names}", self.attack)));
        }
        if self.attack == CLEAN {
            if self.variant.is_some() || self.budget.is_some() {
                return Err(self.refused("is about clean images, which have no budget and no variant: leave them out"));
            }
            if let Some(limit) = self.limits().find(|limit| !limit.measure.is_of_clean_images()) {
                let what = limit.measure.what();
                return Err(self.refused(format!("is about clean images, which have no {what}: name an attack")));
            }
        }
        Ok(())
    }

    fn check_against(&self, grid: &Grid, sets: &[&str]) -> Result<(), CriteriaError> {
        if let Some(absent) = self.sets.iter().find(|set| !sets.contains(&set.as_str())) {
            return Err(self.refused(format!("is about the data set {absent:?}, and there are {}", sets.join(", "))));
        }
        if self.limits.contains_key(&Measure::DscToTargetAtMost) && !grid.goal.is_targeted() {
            return Err(self.refused("limits the DSC to the target, and the attacks have none: give a --goal"));
        }
        let asked = |planned: &Planned| {
            (self.budget.is_none() || self.budget == planned.budget)
                && grid.variants(planned).any(|variant| self.is_about(planned.attack.method(), variant.as_deref()))
        };
        if self.attack == CLEAN || grid.attacks.iter().any(asked) {
            return Ok(());
        }
        let variant = self.variant.iter().map(|variant| format!(" {variant}"));
        let budget = self
            .budget
            .iter()
            .map(|Budget { norm, epsilon }| format!(" at {} {} in {}", epsilon.value(), epsilon.unit(), norm.name()));
        let asked: String = std::iter::once(self.attack.clone()).chain(variant).chain(budget).collect();
        Err(self.refused(format!("is about {asked}, which is not measured: add it to --method and --epsilon")))
    }
}

#[cfg(test)]
mod tests;
