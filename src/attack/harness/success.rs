//! When an attack has succeeded, said in advance.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::evaluation::Evaluation;
use crate::attack::AttackError;

/// What has to happen to the mask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// DSC against the reference falls below this.
    DscBelow(f64),
    /// DSC against the reference falls by at least this.
    DropAtLeast(f64),
    /// DSC against the target rises to at least this.
    DscToTargetAtLeast(f64),
}

/// By hand, since a derived schema knows neither the range nor that a second field is refused.
impl PartialSchema for Criterion {
    fn schema() -> RefOr<Schema> {
        let threshold = |name: &str, meaning: &str| {
            let number = ObjectBuilder::new().schema_type(Type::Number).exclusive_minimum(Some(0)).maximum(Some(1));
            let object = ObjectBuilder::new().property(name, number.description(Some(meaning))).required(name);
            object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        };
        OneOfBuilder::new()
            .description(Some("What has to happen to the mask."))
            .item(threshold("dsc_below", "DSC against the reference falls below this."))
            .item(threshold("drop_at_least", "DSC against the reference falls by at least this."))
            .item(threshold("dsc_to_target_at_least", "DSC against the target rises to at least this."))
            .into()
    }
}

impl ToSchema for Criterion {}

impl Criterion {
    /// Half: an untargeted attack brings the DSC below it, a targeted one brings the DSC to its
    /// target up to it.
    pub fn default_for(targeted: bool) -> Self {
        if targeted { Self::DscToTargetAtLeast(0.5) } else { Self::DscBelow(0.5) }
    }

    /// Checks the threshold, and that a target is there if one is needed.
    ///
    /// # Errors
    /// [`AttackError::Parameter`].
    pub fn check(self, targeted: bool) -> Result<(), AttackError> {
        let refuse = |rule| Err(AttackError::Parameter { name: "criterion", value: format!("{self:?}"), rule });
        let (Self::DscBelow(threshold) | Self::DropAtLeast(threshold) | Self::DscToTargetAtLeast(threshold)) = self;
        if !(threshold > 0. && threshold <= 1.) {
            return refuse("the threshold must lie above 0 and not above 1");
        }
        if matches!(self, Self::DscToTargetAtLeast(_)) && !targeted {
            return refuse("an untargeted goal has no target: use dsc_below or drop_at_least");
        }
        Ok(())
    }

    fn met(self, clean: &Evaluation, adversarial: &Evaluation) -> bool {
        match self {
            Self::DscBelow(threshold) => adversarial.dsc < threshold,
            Self::DropAtLeast(drop) => clean.dsc - adversarial.dsc >= drop,
            Self::DscToTargetAtLeast(threshold) => adversarial.target_dsc.is_some_and(|dsc| dsc >= threshold),
        }
    }

    /// Judges the adversarial mask beside the clean one.
    pub fn judge(self, clean: &Evaluation, adversarial: &Evaluation) -> Success {
        Success { criterion: self, met: self.met(clean, adversarial), met_by_clean_image: self.met(clean, clean) }
    }
}

/// Whether an attack succeeded, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Success {
    /// The rule.
    pub criterion: Criterion,
    /// Whether the adversarial file meets it.
    pub met: bool,
    /// Whether the clean image already meets it: then success says nothing about the attack.
    pub met_by_clean_image: bool,
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::imaging::Mask;

    fn evaluation(dsc: f64, target_dsc: Option<f64>) -> Evaluation {
        let logits = Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        Evaluation { loss: 0., dsc, target_dsc, mask: Mask::from_fn(1, 1, |_, _| false), logits }
    }

    #[test]
    fn each_criterion_reads_its_own_numbers() {
        let (clean, adversarial) = (evaluation(0.9, Some(0.1)), evaluation(0.45, Some(0.7)));
        let met = |criterion: Criterion| criterion.judge(&clean, &adversarial).met;
        assert!(met(Criterion::DscBelow(0.5)) && !met(Criterion::DscBelow(0.45)));
        assert!(met(Criterion::DropAtLeast(0.4)) && !met(Criterion::DropAtLeast(0.5)));
        assert!(met(Criterion::DscToTargetAtLeast(0.7)) && !met(Criterion::DscToTargetAtLeast(0.71)));
        let vacuous = Criterion::DscBelow(0.95).judge(&clean, &adversarial);
        assert!(vacuous.met && vacuous.met_by_clean_image);
    }

    #[test]
    fn thresholds_and_goals_are_checked_and_names_are_stable() {
        assert!(Criterion::DscBelow(f64::NAN).check(false).is_err());
        assert!(Criterion::DropAtLeast(0.).check(false).is_err());
        assert!(Criterion::DscToTargetAtLeast(0.5).check(false).is_err());
        for targeted in [false, true] {
            Criterion::default_for(targeted).check(targeted).unwrap();
        }
        assert_eq!(serde_json::to_string(&Criterion::DscBelow(0.5)).unwrap(), r#"{"dsc_below":0.5}"#);
    }
}
