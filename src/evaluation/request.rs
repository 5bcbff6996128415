//! What to attack and how, checked and brought to the size that the protocol works at.

use std::sync::Arc;

use crate::attack::protocol::{Choices, Resolution};
use crate::attack::{AttackError, AttackSpec, Budget, Criterion, Goal, Protocol, UniversalPerturbation};
use crate::imaging::{Decoded, Image, ImagingError, Mask};
use crate::loss::Loss;
use crate::model::{Preprocess, resize_image};
use crate::oracle::defended::Defence;

/// What to attack and how. All masks have the size of the image.
#[derive(Debug, Clone)]
pub struct AttackRequest {
    /// The image. Its container is that of the adversarial file if the protocol keeps it.
    pub image: Decoded,
    /// What the model should answer; its own clean prediction if `None`.
    pub reference: Option<Mask>,
    /// The text that names the structure.
    pub prompt: String,
    /// The method.
    pub attack: AttackSpec,
    /// What the attacker may do and wants.
    pub threat: Threat,
    /// What stands between the image and the model.
    pub defence: Option<Defence>,
    /// The named set of choices.
    pub protocol: Protocol,
    /// The loss, if not the protocol's.
    pub loss: Option<Loss>,
    /// Seed of all random numbers.
    pub seed: u64,
}

/// What the attacker may do and wants.
#[derive(Debug, Clone)]
pub struct Threat {
    /// How far the image may be changed; `None` for a method that has no budget.
    pub budget: Option<Budget>,
    /// The wrong answer that counts.
    pub goal: Goal,
    /// The pixels that may change; all if `None`.
    pub region: Option<Mask>,
    /// When the attack has succeeded; the goal's default if `None`.
    pub criterion: Option<Criterion>,
    /// What the attacker brings along, for the method `universal`.
    pub perturbation: Option<Arc<UniversalPerturbation>>,
}

impl Threat {
    /// Any damage within a budget if the method has one, anywhere in the image.
    pub fn untargeted(budget: impl Into<Option<Budget>>) -> Self {
        Self { budget: budget.into(), goal: Goal::Untargeted, region: None, criterion: None, perturbation: None }
    }
}

/// The request's pictures at the size that the protocol works at.
pub(super) struct Fitted {
    pub(super) image: Image,
    pub(super) reference: Option<Mask>,
    pub(super) region: Option<Mask>,
    pub(super) goal: Goal,
}

impl AttackRequest {
    /// The protocol's choices, with the loss that was asked for.
    ///
    /// # Errors
    /// Parameters that depart from a frozen protocol.
    pub(super) fn choices(&self) -> Result<Choices, AttackError> {
        self.protocol.check(&self.attack)?;
        self.protocol.choices_with(self.loss)
    }

    /// The pictures, resized if the protocol works at the network's own size.
    ///
    /// # Errors
    /// [`AttackError::Size`] for a mask of another size than the image: resizing must not hide it.
    pub(super) fn fit(&self, choices: &Choices, input: &Preprocess) -> Result<Fitted, AttackError> {
        self.check_sizes()?;
        Ok(match choices.score_at {
            Resolution::Native => Fitted {
                image: self.image.image.clone(),
                reference: self.reference.clone(),
                region: self.threat.region.clone(),
                goal: self.threat.goal.clone(),
            },
            Resolution::Network => self.resized(input)?,
        })
    }

    fn check_sizes(&self) -> Result<(), AttackError> {
        let wanted = (self.image.image.width(), self.image.image.height());
        let masks = [
            ("reference mask", self.reference.as_ref()),
            ("target mask", self.threat.goal.mask()),
            ("allowed region", self.threat.region.as_ref()),
        ];
        for (what, mask) in masks.into_iter().filter_map(|(what, mask)| Some((what, mask?))) {
            let found = (mask.width(), mask.height());
            if found != wanted {
                return Err(AttackError::Size { what, found, wanted });
            }
        }
        Ok(())
    }

    fn resized(&self, input: &Preprocess) -> Result<Fitted, ImagingError> {
        let small = |mask: &Mask| mask.resize(input.width, input.height);
        let before = (self.image.image.width(), self.image.image.height());
        Ok(Fitted {
            image: resize_image(&self.image.image, (input.height, input.width))?,
            reference: self.reference.as_ref().map(small),
            region: self.threat.region.as_ref().map(small),
            goal: self.threat.goal.resized(before, (input.width, input.height)),
        })
    }
}
