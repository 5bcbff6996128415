//! Named, frozen sets of choices, so that two numbers can be compared.
//!
//! `paper-2505.02971` repeats the published code of arXiv 2505.02971 (its `src/fgsm.py`, `src/pgd.py`,
//! `src/eval.py` and `configs/`), flaws included; `corrected` keeps the paper's budget and repairs the
//! rest; `default` is what a request gets that names no protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttackError, AttackSpec, Epsilon, Pgd, Unit};
use crate::loss::Loss;

/// What the numbers of the attacked tensor mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// Fractions of full scale at the submitted image's own size.
    Pixel,
    /// The network's input: resized, minus the mean, over the standard deviation.
    Normalised,
}

/// When values are brought back into the valid range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clamp {
    /// After every step; the 8-bit file is held to the budget too.
    EveryStep,
    /// By the file format only; rounding may then leave the budget.
    OnSaving,
}

/// Which point of the attack is its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Iterate {
    /// The best one by the metric, the start included.
    Best,
    /// The last one.
    Last,
}

/// How the adversarial image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaveAs {
    /// As PNG, which keeps every level.
    Png,
    /// As the original was: JPEG of quality 75, or PNG.
    AsOriginal,
}

/// The size of the image that is attacked and of the masks that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The submitted image's own.
    Native,
    /// The network's input, 352x352 for CLIPSeg.
    Network,
}

/// All that a protocol decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choices {
    /// The space of the perturbation.
    pub space: Space,
    /// The loss of the objective.
    pub loss: Loss,
    /// PGD's number of steps.
    pub steps: usize,
    /// PGD's length of a step; [`Pgd`]'s default if `None`.
    pub alpha: Option<Epsilon>,
    /// Whether PGD starts at a random point.
    pub random_start: bool,
    /// When values are brought back into the valid range.
    pub clamp: Clamp,
    /// Which point is the result.
    pub iterate: Iterate,
    /// The file format.
    pub container: SaveAs,
    /// The size of images and masks.
    pub score_at: Resolution,
}

impl Choices {
    /// PGD with these choices.
    pub fn pgd(&self) -> Pgd {
        Pgd { steps: self.steps, alpha: self.alpha, random_start: self.random_start, restarts: 1 }
    }
}

/// A named set of choices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Protocol {
    /// The best current practice; a request may change the attack's parameters.
    #[default]
    #[serde(rename = "default")]
    Default,
    /// The published code of arXiv 2505.02971.
    #[serde(rename = "paper-2505.02971")]
    Paper250502971,
    /// The paper's budget with its known flaws repaired.
    #[serde(rename = "corrected")]
    Corrected,
}

impl Protocol {
    /// All protocols, in the order shown to users.
    pub const ALL: [Self; 3] = [Self::Default, Self::Paper250502971, Self::Corrected];

    /// The name used in requests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Paper250502971 => "paper-2505.02971",
            Self::Corrected => "corrected",
        }
    }

    /// What the protocol decides.
    pub fn choices(self) -> Choices {
        match self {
            // Madry et al. 2018 (random start, steps of a quarter of epsilon) in pixel space at native size, with
            // the paper's loss weights and number of steps. The best iterate and the budget on the file:
            // Carlini et al. 2019, arXiv 1902.06705.
            // `corrected` holds the same choices, but frozen.
            Self::Default | Self::Corrected => Choices {
                space: Space::Pixel,
                loss: Loss::DiceCe,
                steps: 40,
                alpha: None,
                random_start: true,
                clamp: Clamp::EveryStep,
                iterate: Iterate::Best,
                container: SaveAs::Png,
                score_at: Resolution::Native,
            },
            Self::Paper250502971 => paper(),
        }
    }

    /// What the protocol decides, with another loss if one is asked for.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] if a frozen protocol has another loss.
    pub fn choices_with(self, loss: Option<Loss>) -> Result<Choices, AttackError> {
        let choices = self.choices();
        match loss {
            None => Ok(choices),
            Some(loss) if loss == choices.loss || self == Self::Default => Ok(Choices { loss, ..choices }),
            Some(loss) => Err(AttackError::Parameter {
                name: "loss",
                value: loss.to_string(),
                rule: "this protocol fixes the loss: leave it out, or use the protocol default",
            }),
        }
    }

    /// Checks that an attack does not depart from a frozen protocol; FGSM and methods without a budget never do.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] if the protocol does not know the method, or the parameters are not the protocol's.
    pub fn check(self, spec: &AttackSpec) -> Result<(), AttackError> {
        let refuse = |rule| Err(AttackError::Parameter { name: "protocol", value: self.to_string(), rule });
        match spec {
            _ if self == Self::Default => Ok(()),
            AttackSpec::Fgsm(_) | AttackSpec::Corruption(_) | AttackSpec::Prompt(_) => Ok(()),
            AttackSpec::HotFlip(_) | AttackSpec::PromptEmbedding(_) | AttackSpec::SegCertify(_) => Ok(()),
            AttackSpec::Pgd(pgd) if *pgd == self.choices().pgd() => Ok(()),
            AttackSpec::Pgd(_) => {
                refuse("it fixes steps, alpha, random_start and restarts: leave them out, or use default")
            }
            _ => refuse(
                "of the methods with a budget it knows fgsm and pgd only: use one of them, or the protocol default",
            ),
        }
    }
}

/// The choices of the published code, each with the place that made it.
fn paper() -> Choices {
    let alpha = Epsilon::new(2. / 255., Unit::Normalised).expect("a positive constant");
    Choices {
        // Data pipeline: PIL bilinear to 352x352, ToTensor, ImageNet mean and std, then the attack, so
        // epsilon .01, .03, .1, .5 are normalised units.
        space: Space::Normalised,
        // Training loss: DiceCE of MONAI 1.3.2 on outputs that are probabilities already.
        loss: Loss::DiceCePaper,
        // src/pgd.py: 40 steps of 2/255, applied to normalised values, from the clean image. 40 such
        // steps reach .314: the row for epsilon .5 cannot use its budget.
        steps: 40,
        alpha: Some(alpha),
        random_start: false,
        // src/pgd.py never clamps to valid pixels; torchvision's save_image does.
        clamp: Clamp::OnSaving,
        // src/pgd.py returns the last iterate.
        iterate: Iterate::Last,
        // save_image goes by the original file name: JPEG of quality 75 (PIL's default) for Kvasir and
        // ISIC, PNG for CAMUS. PIL also halves the resolution of the colours, which our encoder keeps.
        container: SaveAs::AsOriginal,
        // src/eval.py reads the saved 352x352 files again and scores at that size.
        score_at: Resolution::Network,
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protocol {
    type Err = AttackError;

    fn from_str(name: &str) -> Result<Self, AttackError> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or_else(|| AttackError::Parameter {
            name: "protocol",
            value: format!("{name:?}"),
            rule: "use default, paper-2505.02971 or corrected",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Bim;

    #[test]
    fn names_are_the_same_in_requests_and_on_the_command_line() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse::<Protocol>().unwrap(), protocol);
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.name());
        }
        assert!("paper".parse::<Protocol>().unwrap_err().to_string().contains("paper-2505.02971"));
    }

    #[test]
    fn a_frozen_protocol_fixes_the_attack() {
        let frozen = Protocol::Paper250502971;
        frozen.check(&AttackSpec::Pgd(frozen.choices().pgd())).unwrap();
        assert!(frozen.check(&AttackSpec::Pgd(Pgd { steps: 41, ..frozen.choices().pgd() })).is_err());
        assert!(Protocol::Corrected.check(&AttackSpec::Pgd(frozen.choices().pgd())).is_err());
        Protocol::Default.check(&AttackSpec::Pgd(Pgd { steps: 3, ..Pgd::default() })).unwrap();
        let bim = AttackSpec::Bim(Bim::default());
        assert!(frozen.check(&bim).unwrap_err().to_string().contains("fgsm and pgd only"));
        Protocol::Default.check(&bim).unwrap();
    }

    #[test]
    fn a_request_without_protocol_gets_its_pgd() {
        assert_eq!(Protocol::default().choices().pgd(), Pgd::default());
    }
}
