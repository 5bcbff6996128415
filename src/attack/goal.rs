//! What an attack wants the model to say.

use crate::imaging::Mask;

use super::AttackError;

/// The wrong answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Any mask far from the reference.
    Untargeted,
    /// An empty mask: the lesion is missed.
    Erase,
    /// A lesion where there is none. Without a mask it fills the whole region that may change, or the
    /// whole frame if all of it may.
    Hallucinate(Option<Mask>),
    /// Exactly this mask.
    Target(Mask),
}

impl Goal {
    /// The goal called `untargeted`, `erase`, `hallucinate` or `target`, with the mask it came with.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] for another name, a target without a mask, or a mask without use.
    pub fn from_name(name: &str, mask: Option<Mask>) -> Result<Self, AttackError> {
        let refuse = |rule| Err(AttackError::Parameter { name: "goal", value: name.into(), rule });
        match (name, mask) {
            ("untargeted", None) => Ok(Self::Untargeted),
            ("erase", None) => Ok(Self::Erase),
            ("hallucinate", mask) => Ok(Self::Hallucinate(mask)),
            ("target", Some(mask)) => Ok(Self::Target(mask)),
            ("target", None) => refuse("give the mask to reach as the target mask"),
            ("untargeted" | "erase", Some(_)) => refuse("takes no target mask: leave it out"),
            _ => refuse("use untargeted, erase, hallucinate or target"),
        }
    }

    /// The mask that the objective compares with, and the direction.
    ///
    /// # Errors
    /// [`AttackError::Size`] for a target of another size than `reference`.
    pub fn aim(&self, reference: &Mask, region: Option<&Mask>) -> Result<Aim, AttackError> {
        let (width, height) = (reference.width(), reference.height());
        let mask = match self {
            Self::Untargeted => reference.clone(),
            Self::Erase => Mask::from_fn(width, height, |_, _| false),
            Self::Hallucinate(None) => region.cloned().unwrap_or_else(|| Mask::from_fn(width, height, |_, _| true)),
            Self::Hallucinate(Some(mask)) | Self::Target(mask) => mask.clone(),
        };
        if (mask.width(), mask.height()) != (width, height) {
            return Err(AttackError::Size {
                what: "target mask",
                found: (mask.width(), mask.height()),
                wanted: (width, height),
            });
        }
        Ok(Aim { mask, towards: *self != Self::Untargeted })
    }
}

/// A mask, and whether to leave it or to reach it.
///
/// An oracle for this aim has as its objective the loss of the logits against `mask`, or minus that
/// loss if the attack moves `towards` it: attacks raise the objective in both cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    /// The reference of an untargeted attack, the target of any other.
    pub mask: Mask,
    /// Whether the mask is to be reached.
    pub towards: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goal_has_its_mask() {
        let reference = Mask::from_fn(3, 2, |x, _| x == 0);
        let region = Mask::from_fn(3, 2, |_, y| y == 0);
        let aim = |goal: Goal| goal.aim(&reference, Some(&region)).unwrap();
        assert_eq!(aim(Goal::Untargeted), Aim { mask: reference.clone(), towards: false });
        assert_eq!(aim(Goal::Erase).mask.area(), 0);
        assert_eq!(aim(Goal::Hallucinate(None)), Aim { mask: region.clone(), towards: true });
        assert_eq!(Goal::Hallucinate(None).aim(&reference, None).unwrap().mask.area(), 6);
        assert_eq!(aim(Goal::Target(region.clone())).mask, region);
    }

    #[test]
    fn masks_that_do_not_fit_are_refused() {
        let reference = Mask::from_fn(3, 2, |_, _| true);
        let other = Mask::from_fn(2, 3, |_, _| true);
        assert!(Goal::Target(other.clone()).aim(&reference, None).is_err());
        assert!(Goal::from_name("target", None).is_err());
        assert!(Goal::from_name("erase", Some(other.clone())).is_err());
        assert!(Goal::from_name("harm", None).unwrap_err().to_string().contains("hallucinate"));
        assert_eq!(Goal::from_name("target", Some(other.clone())).unwrap(), Goal::Target(other));
    }
}
