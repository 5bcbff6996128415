//! A goal as it stands in a request: a name, or a name with its parameters, as in `{"shift": {"dx_px": 20}}`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::attack::AttackError;

/// The largest move along one axis, in pixels: larger than any image that is read.
const FARTHEST: i32 = 65_535;
/// The largest growth, in percent of the area.
const MOST_GROWTH: f64 = 1000.;

/// The wrong answer that counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalSpec {
    /// Any mask far from the reference.
    #[default]
    Untargeted,
    /// An empty mask: the lesion is missed.
    Erase,
    /// A lesion where there is none: the target mask, or all pixels that may change.
    Hallucinate,
    /// Exactly the target mask.
    Target,
    /// The reference, moved.
    Shift(Shift),
    /// The reference, grown along its outline.
    Grow(AreaChange),
    /// The reference, shrunk along its outline.
    Shrink(AreaChange),
    /// What the model answers to another prompt on the clean image.
    Swap(Swap),
}

/// How far the answer is to be moved, in pixels of the submitted image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// To the right; to the left if negative.
    #[serde(default)]
    #[schema(minimum = -65535, maximum = 65535, default = 0)]
    pub dx_px: i32,
    /// Downwards; upwards if negative.
    #[serde(default)]
    #[schema(minimum = -65535, maximum = 65535, default = 0)]
    pub dy_px: i32,
}

/// By how much the area is to change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AreaChange {
    /// In percent of the reference's area: at most 1000 to grow, less than 100 to shrink.
    #[schema(exclusive_minimum = 0, maximum = 1000)]
    pub percent: f64,
}

/// Whose answer is to be given instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// The text that names the other structure, 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, pattern = "\\S")]
    pub prompt: String,
}

impl GoalSpec {
    /// The name alone.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Untargeted => "untargeted",
            Self::Erase => "erase",
            Self::Hallucinate => "hallucinate",
            Self::Target => "target",
            Self::Shift(_) => "shift",
            Self::Grow(_) => "grow",
            Self::Shrink(_) => "shrink",
            Self::Swap(_) => "swap",
        }
    }

    /// Whether a mask is to be reached, rather than left.
    pub fn is_targeted(&self) -> bool {
        *self != Self::Untargeted
    }

    /// What a request has to write instead of the bare name of a goal with parameters.
    pub fn example(name: &str) -> Option<&'static str> {
        match name {
            "shift" => Some(r#"{"shift": {"dx_px": 20, "dy_px": 0}}"#),
            "grow" => Some(r#"{"grow": {"percent": 20}}"#),
            "shrink" => Some(r#"{"shrink": {"percent": 20}}"#),
            "swap" => Some(r#"{"swap": {"prompt": "left lung"}}"#),
            _ => None,
        }
    }

    /// Checks the parameters by themselves, and those of a swap against the prompt of the request.
    ///
    /// # Errors
    /// [`AttackError::Parameter`], whose name is the place in a request, such as `goal/shift`.
    pub fn check(&self, prompt: &str) -> Result<(), AttackError> {
        let refuse = |name, value: String, rule| Err(AttackError::Parameter { name, value, rule });
        match self {
            Self::Untargeted | Self::Erase | Self::Hallucinate | Self::Target => Ok(()),
            Self::Shift(Shift { dx_px: 0, dy_px: 0 }) => {
                refuse("goal/shift", self.to_string(), "move the mask by at least one pixel")
            }
            Self::Shift(Shift { dx_px, dy_px }) => {
                for (name, pixels) in [("goal/shift/dx_px", dx_px), ("goal/shift/dy_px", dy_px)] {
                    if !(-FARTHEST..=FARTHEST).contains(pixels) {
                        return refuse(name, pixels.to_string(), "use -65535 to 65535 pixels");
                    }
                }
                Ok(())
            }
            Self::Grow(AreaChange { percent }) if *percent > 0. && *percent <= MOST_GROWTH => Ok(()),
            Self::Grow(AreaChange { percent }) => {
                refuse("goal/grow/percent", percent.to_string(), "use more than 0 and at most 1000 percent of the area")
            }
            Self::Shrink(AreaChange { percent }) if *percent > 0. && *percent < 100. => Ok(()),
            Self::Shrink(AreaChange { percent }) => refuse(
                "goal/shrink/percent",
                percent.to_string(),
                "use more than 0 and less than 100 percent of the area; the goal erase leaves nothing",
            ),
            Self::Swap(Swap { prompt: other }) => {
                let refuse = |rule| refuse("goal/swap/prompt", format!("{other:?}"), rule);
                let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                match () {
                    () if other.trim().is_empty() => refuse("name the other structure"),
                    () if other.chars().count() > 1000 => refuse("use at most 1000 characters"),
                    () if other.contains('\0') => refuse("leave the character U+0000 out"),
                    () if plain(other) == plain(prompt) => {
                        refuse("this is the prompt of the request: name another structure")
                    }
                    () => Ok(()),
                }
            }
        }
    }
}

/// As on the command line: `erase`, `shift=20,0`, `grow=20`, `swap=left lung`.
impl fmt::Display for GoalSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Untargeted | Self::Erase | Self::Hallucinate | Self::Target => Ok(()),
            Self::Shift(Shift { dx_px, dy_px }) => write!(f, "={dx_px},{dy_px}"),
            Self::Grow(AreaChange { percent }) | Self::Shrink(AreaChange { percent }) => write!(f, "={percent}"),
            Self::Swap(Swap { prompt }) => write!(f, "={prompt}"),
        }
    }
}

/// A text that is no goal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no goal: use untargeted, erase, hallucinate, target, shift=DX,DY, grow=PERCENT, shrink=PERCENT or \
     swap=PROMPT"
)]
pub struct UnknownGoal(String);

impl FromStr for GoalSpec {
    type Err = UnknownGoal;

    fn from_str(text: &str) -> Result<Self, UnknownGoal> {
        let unknown = || UnknownGoal(text.into());
        let percent = |value: &str| match value.parse() {
            Ok(percent) => Ok(AreaChange { percent }),
            Err(_) => Err(unknown()),
        };
        let pixels = |value: &str| value.trim().parse::<i32>().map_err(|_| unknown());
        Ok(match text.split_once('=') {
            None => match text {
                "untargeted" => Self::Untargeted,
                "erase" => Self::Erase,
                "hallucinate" => Self::Hallucinate,
                "target" => Self::Target,
                _ => return Err(unknown()),
            },
            Some(("shift", value)) => {
                let (dx, dy) = value.split_once(',').ok_or_else(unknown)?;
                Self::Shift(Shift { dx_px: pixels(dx)?, dy_px: pixels(dy)? })
            }
            Some(("grow", value)) => Self::Grow(percent(value)?),
            Some(("shrink", value)) => Self::Shrink(percent(value)?),
            Some(("swap", value)) => Self::Swap(Swap { prompt: value.into() }),
            Some(_) => return Err(unknown()),
        })
    }
}

/// By hand, since a derived schema does not say that an object has one field only.
impl PartialSchema for GoalSpec {
    fn schema() -> RefOr<Schema> {
        let name = |name: &str, meaning: &str| {
            let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([name]));
            text.description(Some(meaning))
        };
        let with = |name: &str, component: &str, meaning: &str| {
            let place = Ref::new(format!("#/components/schemas/{component}"));
            let object = ObjectBuilder::new().property(name, place).required(name).description(Some(meaning));
            object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        };
        OneOfBuilder::new()
            .description(Some("The wrong answer that counts."))
            .item(name("untargeted", "Any mask far from the reference."))
            .item(name("erase", "An empty mask: the lesion is missed."))
            .item(name("hallucinate", "A lesion where there is none: `target_mask`, or all pixels that may change."))
            .item(name("target", "Exactly `target_mask`."))
            .item(with("shift", "GoalShift", "The reference, moved."))
            .item(with("grow", "GoalAreaChange", "The reference, grown along its outline."))
            .item(with("shrink", "GoalAreaChange", "The reference, shrunk along its outline."))
            .item(with("swap", "GoalSwap", "What the model answers to another prompt on the clean image."))
            .into()
    }
}

impl ToSchema for GoalSpec {
    fn name() -> std::borrow::Cow<'static, str> {
        "Goal".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("GoalShift".into(), Shift::schema()));
        schemas.push(("GoalAreaChange".into(), AreaChange::schema()));
        schemas.push(("GoalSwap".into(), Swap::schema()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_names_stay_texts_and_parameters_make_objects() {
        let read = |value| serde_json::from_value::<GoalSpec>(value);
        for (goal, written) in [
            (GoalSpec::Erase, json!("erase")),
            (GoalSpec::Target, json!("target")),
            (GoalSpec::Shift(Shift { dx_px: 20, dy_px: -3 }), json!({"shift": {"dx_px": 20, "dy_px": -3}})),
            (GoalSpec::Grow(AreaChange { percent: 12.5 }), json!({"grow": {"percent": 12.5}})),
            (GoalSpec::Shrink(AreaChange { percent: 30. }), json!({"shrink": {"percent": 30.0}})),
            (GoalSpec::Swap(Swap { prompt: "liver".into() }), json!({"swap": {"prompt": "liver"}})),
        ] {
            assert_eq!(serde_json::to_value(&goal).unwrap(), written);
            assert_eq!(read(written).unwrap(), goal);
            assert_eq!(goal.to_string().parse::<GoalSpec>().unwrap(), goal);
        }
        let short = read(json!({"shift": {"dx_px": 4}})).unwrap();
        assert_eq!(short, GoalSpec::Shift(Shift { dx_px: 4, dy_px: 0 }));
        for wrong in [
            json!("harm"),
            json!("shift"),
            json!({"shift": {"dz_px": 1}}),
            json!({"shift": {"dx_px": 1.5}}),
            json!({"grow": 20}),
            json!({"swap": {}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        for name in ["shift", "grow", "shrink", "swap"] {
            let example = GoalSpec::example(name).unwrap();
            assert_eq!(serde_json::from_str::<GoalSpec>(example).unwrap().name(), name);
        }
        for wrong in ["harm", "shift", "shift=4", "shift=a,b", "grow=much", "erase=1", ""] {
            assert!(wrong.parse::<GoalSpec>().unwrap_err().to_string().contains("shift=DX,DY"), "{wrong}");
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused_by_name() {
        let refused = |goal: &str| match goal.parse::<GoalSpec>().unwrap().check("Left  lung") {
            Err(AttackError::Parameter { name, .. }) => name,
            other => panic!("{goal}: {other:?}"),
        };
        assert_eq!(refused("shift=0,0"), "goal/shift");
        assert_eq!(refused("shift=0,70000"), "goal/shift/dy_px");
        assert_eq!(refused("shift=-70000,0"), "goal/shift/dx_px");
        for wrong in ["grow=0", "grow=-5", "grow=1001", "grow=nan"] {
            assert_eq!(refused(wrong), "goal/grow/percent");
        }
        assert_eq!([refused("shrink=0"), refused("shrink=100")], ["goal/shrink/percent"; 2]);
        for prompt in ["left lung", " LEFT LUNG ", "  ", ""] {
            assert_eq!(refused(&format!("swap={prompt}")), "goal/swap/prompt");
        }
        for good in ["untargeted", "shift=0,-1", "grow=1000", "shrink=99.9", "swap=right lung"] {
            good.parse::<GoalSpec>().unwrap().check("left lung").unwrap();
        }
    }
}
