//! How far an attack may go, and in which unit that was said.
//!
//! "Epsilon 8" means nothing, "8 of 255 levels" does. Every epsilon carries its [`Unit`], is kept as
//! it was given, and is echoed in all three units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a distance between two images is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Levels of an 8-bit image: full scale is 255.
    Pixel255,
    /// Fractions of full scale: full scale is 1.
    Unit01,
    /// Values after the network's normalisation, `(x - mean) / std`: full scale is about 4.4.
    Normalised,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pixel255 => "pixel255",
            Self::Unit01 => "unit01",
            Self::Normalised => "normalised",
        })
    }
}

impl FromStr for Unit {
    type Err = BudgetError;

    fn from_str(name: &str) -> Result<Self, BudgetError> {
        let all = [Self::Pixel255, Self::Unit01, Self::Normalised];
        all.into_iter().find(|unit| unit.to_string() == name).ok_or_else(|| BudgetError::Unit(name.into()))
    }
}

/// How the size of a perturbation is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// The largest change of any channel of any pixel.
    Linf,
    /// The root of the sum of squared changes over the whole tensor `[3, h, w]`, not their mean.
    L2,
    /// The sum of absolute changes over the whole tensor `[3, h, w]`, not their mean.
    L1,
}

impl Norm {
    /// All norms, in the order shown to users.
    pub const ALL: [Self; 3] = [Self::Linf, Self::L2, Self::L1];

    /// The name used in requests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
        }
    }
}

/// Why a budget cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// A name that is not a unit.
    #[error("unknown unit {0:?}: use pixel255, unit01 or normalised")]
    Unit(String),
    /// Not a number, infinite or negative.
    #[error("epsilon is {0}: give a finite number that is not negative")]
    Number(f64),
    /// More than the whole range of values.
    #[error("epsilon {value} {unit} exceeds full scale, which is {full_scale:.4}{hint}")]
    FullScale { value: f64, unit: Unit, full_scale: f64, hint: &'static str },
}

/// A distance with its unit; finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "Written", deny_unknown_fields)]
pub struct Epsilon {
    /// The number, 0 or more.
    #[schema(minimum = 0)]
    value: f64,
    /// What it counts.
    unit: Unit,
}

/// [`Epsilon`] as it stands in a request, before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Epsilon", deny_unknown_fields)]
struct Written {
    value: f64,
    unit: Unit,
}

impl TryFrom<Written> for Epsilon {
    type Error = BudgetError;

    fn try_from(Written { value, unit }: Written) -> Result<Self, BudgetError> {
        Self::new(value, unit)
    }
}

impl From<Epsilon> for Written {
    fn from(Epsilon { value, unit }: Epsilon) -> Self {
        Self { value, unit }
    }
}

impl Epsilon {
    /// A distance of `value` counted in `unit`.
    ///
    /// # Errors
    /// [`BudgetError::Number`] for a value that is negative or not finite.
    pub fn new(value: f64, unit: Unit) -> Result<Self, BudgetError> {
        if !value.is_finite() || value < 0. {
            return Err(BudgetError::Number(value));
        }
        Ok(Self { value, unit })
    }

    /// The number, in the unit it was given in.
    pub fn value(self) -> f64 {
        self.value
    }

    /// The unit it was given in.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The same distance in another unit; exactly the given value in its own unit.
    ///
    /// `std` is the network's standard deviation per channel. Between [`Unit::Normalised`] and the
    /// others its mean over the channels is used, since one number cannot hold three.
    pub fn in_unit(self, unit: Unit, std: &[f32; 3]) -> f64 {
        if unit == self.unit {
            return self.value;
        }
        self.value * full_scale(unit, std) / full_scale(self.unit, std)
    }
}

/// What a change from black to white is worth in `unit`.
fn full_scale(unit: Unit, std: &[f32; 3]) -> f64 {
    match unit {
        Unit::Pixel255 => 255.,
        Unit::Unit01 => 1.,
        Unit::Normalised => 3. / std.iter().map(|s| f64::from(*s)).sum::<f64>(),
    }
}

/// The largest perturbation allowed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How the perturbation is measured.
    pub norm: Norm,
    /// How large it may be.
    pub epsilon: Epsilon,
}

impl Budget {
    /// Checks the budget against the largest distance there is between two images of
    /// `entries = 3 * h * w` values.
    ///
    /// # Errors
    /// [`BudgetError::FullScale`], which guesses the unit that was meant.
    pub fn check(&self, entries: usize, std: &[f32; 3]) -> Result<(), BudgetError> {
        let Epsilon { value, unit } = self.epsilon;
        let farthest = |unit| match self.norm {
            Norm::Linf => full_scale(unit, std),
            Norm::L2 => full_scale(unit, std) * (entries as f64).sqrt(),
            Norm::L1 => full_scale(unit, std) * entries as f64,
        };
        // Room for a full-scale epsilon that was computed from another unit.
        let fits = |unit| value <= farthest(unit) * (1. + 1e-6);
        if fits(unit) {
            return Ok(());
        }
        let hint = if fits(Unit::Pixel255) { ": did you mean pixel255?" } else { ": give a smaller one" };
        Err(BudgetError::FullScale { value, unit, full_scale: farthest(unit), hint })
    }

    /// The budget in all three units, for the answer.
    pub fn echo(&self, std: &[f32; 3]) -> Echo {
        let unit01 = self.epsilon.in_unit(Unit::Unit01, std);
        Echo {
            norm: self.norm,
            given_in: self.epsilon.unit,
            pixel255: self.epsilon.in_unit(Unit::Pixel255, std),
            unit01,
            normalised: self.epsilon.in_unit(Unit::Normalised, std),
            normalised_per_channel: std.map(|s| unit01 / f64::from(s)),
        }
    }
}

/// A budget in all three units.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = BudgetEcho)]
pub struct Echo {
    /// How the perturbation is measured.
    pub norm: Norm,
    /// The unit of the request; the other values are computed from it.
    pub given_in: Unit,
    /// In levels of 255.
    pub pixel255: f64,
    /// In fractions of full scale.
    pub unit01: f64,
    /// After normalisation, by the mean standard deviation of the channels.
    pub normalised: f64,
    /// What `unit01` is worth in each channel after normalisation: red, green, blue.
    pub normalised_per_channel: [f64; 3],
}

#[cfg(test)]
mod tests {
    use super::*;

    const STD: [f32; 3] = [0.229, 0.224, 0.225];

    fn linf(value: f64, unit: Unit) -> Budget {
        Budget { norm: Norm::Linf, epsilon: Epsilon::new(value, unit).unwrap() }
    }

    #[test]
    fn units_convert_and_the_given_one_is_exact() {
        let echo = linf(8., Unit::Pixel255).echo(&STD);
        assert_eq!(echo.pixel255, 8.);
        assert!((echo.unit01 - 8. / 255.).abs() < 1e-15);
        assert!((echo.normalised - 8. / 255. / 0.226).abs() < 1e-6);
        assert!((echo.normalised_per_channel[0] - 0.1370).abs() < 1e-4);
        assert_eq!(linf(0.03, Unit::Normalised).echo(&STD).normalised, 0.03);
        assert!((linf(0.01, Unit::Normalised).echo(&STD).pixel255 - 0.5763).abs() < 1e-4);
    }

    #[test]
    fn l2_counts_levels_as_255_times_the_fraction() {
        let budget = Budget { norm: Norm::L2, epsilon: Epsilon::new(0.5, Unit::Unit01).unwrap() };
        assert_eq!(budget.echo(&STD).pixel255, 127.5);
        budget.check(3, &STD).unwrap();
    }

    #[test]
    fn l1_reaches_as_far_as_all_entries_together() {
        let l1 = |value, unit| Budget { norm: Norm::L1, epsilon: Epsilon::new(value, unit).unwrap() };
        assert_eq!(l1(12., Unit::Unit01).echo(&STD).pixel255, 3060.);
        l1(300., Unit::Unit01).check(300, &STD).unwrap();
        let far = l1(301., Unit::Unit01).check(300, &STD).unwrap_err().to_string();
        assert!(far.contains("full scale, which is 300.0000: did you mean pixel255?"), "{far}");
        assert!(l1(76_501., Unit::Pixel255).check(300, &STD).is_err());
    }

    #[test]
    fn norms_have_the_names_of_requests() {
        for norm in Norm::ALL {
            assert_eq!(serde_json::to_value(norm).unwrap(), norm.name());
        }
    }

    #[test]
    fn nonsense_is_refused_and_explained() {
        assert_eq!(Epsilon::new(-1., Unit::Unit01), Err(BudgetError::Number(-1.)));
        assert!(Epsilon::new(f64::NAN, Unit::Unit01).is_err());
        assert!(Epsilon::new(f64::INFINITY, Unit::Pixel255).is_err());
        let confused = linf(8., Unit::Unit01).check(300, &STD).unwrap_err().to_string();
        assert!(confused.contains("did you mean pixel255?"), "{confused}");
        let huge = linf(256., Unit::Pixel255).check(300, &STD).unwrap_err().to_string();
        assert!(huge.contains("give a smaller one"), "{huge}");
        assert!(linf(4.5, Unit::Normalised).check(300, &STD).is_err());
        assert!("pixels".parse::<Unit>().unwrap_err().to_string().contains("pixel255"));
    }

    #[test]
    fn json_is_checked_on_the_way_in() {
        let budget: Budget =
            serde_json::from_str(r#"{"norm":"linf","epsilon":{"value":8,"unit":"pixel255"}}"#).unwrap();
        assert_eq!(budget, linf(8., Unit::Pixel255));
        let again: Budget = serde_json::from_str(&serde_json::to_string(&budget).unwrap()).unwrap();
        assert_eq!(again, budget);
        assert!(serde_json::from_str::<Epsilon>(r#"{"value":-8,"unit":"pixel255"}"#).is_err());
        assert!(serde_json::from_str::<Epsilon>(r#"{"value":8}"#).is_err());
    }
}
