//! What an attack wants the model to say.
//!
//! A [`GoalSpec`] is what a request asks for, a [`Goal`] has its masks with it, and the [`Aim`] is the one mask that the
//! objective compares with.

mod outline;
mod spec;

pub use spec::{AreaChange, GoalSpec, Shift, Swap, UnknownGoal};

use super::{AttackError, Criterion};
use crate::imaging::Mask;
use crate::metric::Confusion;

/// The wrong answer that counts.
#[derive(Debug, Clone, PartialEq)]
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
    /// The reference, moved; in pixels of the image.
    Shift(Shift),
    /// The reference, grown along its outline.
    Grow(AreaChange),
    /// The reference, shrunk along its outline.
    Shrink(AreaChange),
    /// What the model answers to another prompt on the clean image, once it has been asked.
    Swap(Swap, Option<Mask>),
}

impl Goal {
    /// A goal of a request with the target mask that came with it.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] for a target without a mask, or a mask without use.
    pub fn new(spec: GoalSpec, mask: Option<Mask>) -> Result<Self, AttackError> {
        let name = spec.name();
        match (spec, mask) {
            (GoalSpec::Hallucinate, mask) => Ok(Self::Hallucinate(mask)),
            (GoalSpec::Target, Some(mask)) => Ok(Self::Target(mask)),
            (GoalSpec::Target, None) => Err(refusal("goal", name, "give the mask to reach as the target mask")),
            (_, Some(_)) => Err(refusal("goal", name, "takes no target mask: leave it out")),
            (GoalSpec::Untargeted, None) => Ok(Self::Untargeted),
            (GoalSpec::Erase, None) => Ok(Self::Erase),
            (GoalSpec::Shift(shift), None) => Ok(Self::Shift(shift)),
            (GoalSpec::Grow(change), None) => Ok(Self::Grow(change)),
            (GoalSpec::Shrink(change), None) => Ok(Self::Shrink(change)),
            (GoalSpec::Swap(swap), None) => Ok(Self::Swap(swap, None)),
        }
    }

    /// As it stands in a request.
    pub fn spec(&self) -> GoalSpec {
        match self {
            Self::Untargeted => GoalSpec::Untargeted,
            Self::Erase => GoalSpec::Erase,
            Self::Hallucinate(_) => GoalSpec::Hallucinate,
            Self::Target(_) => GoalSpec::Target,
            Self::Shift(shift) => GoalSpec::Shift(*shift),
            Self::Grow(change) => GoalSpec::Grow(*change),
            Self::Shrink(change) => GoalSpec::Shrink(*change),
            Self::Swap(swap, _) => GoalSpec::Swap(swap.clone()),
        }
    }

    /// The mask that came with it.
    pub fn mask(&self) -> Option<&Mask> {
        match self {
            Self::Hallucinate(mask) | Self::Swap(_, mask) => mask.as_ref(),
            Self::Target(mask) => Some(mask),
            Self::Untargeted | Self::Erase | Self::Shift(_) | Self::Grow(_) | Self::Shrink(_) => None,
        }
    }

    /// The same goal on an image that is resized from one size to another (width and height).
    pub fn resized(&self, from: (usize, usize), to: (usize, usize)) -> Self {
        let small = |mask: &Mask| mask.resize(to.0, to.1);
        let pixels = |pixels: i32, from: usize, to: usize| (f64::from(pixels) * to as f64 / from as f64).round() as i32;
        match self {
            Self::Hallucinate(mask) => Self::Hallucinate(mask.as_ref().map(small)),
            Self::Target(mask) => Self::Target(small(mask)),
            Self::Swap(swap, mask) => Self::Swap(swap.clone(), mask.as_ref().map(small)),
            Self::Shift(Shift { dx_px, dy_px }) => {
                Self::Shift(Shift { dx_px: pixels(*dx_px, from.0, to.0), dy_px: pixels(*dy_px, from.1, to.1) })
            }
            Self::Untargeted | Self::Erase | Self::Grow(_) | Self::Shrink(_) => self.clone(),
        }
    }

    /// The mask that the objective compares with, and the direction.
    ///
    /// # Errors
    /// [`AttackError::Size`] for a target of another size than `reference`; [`AttackError::Parameter`] for a target that
    /// cannot be made of it or is no different from it.
    pub fn aim(&self, reference: &Mask, region: Option<&Mask>) -> Result<Aim, AttackError> {
        let (width, height) = (reference.width(), reference.height());
        let mask = match self {
            Self::Untargeted => reference.clone(),
            Self::Erase => Mask::from_fn(width, height, |_, _| false),
            Self::Hallucinate(None) => region.cloned().unwrap_or_else(|| Mask::from_fn(width, height, |_, _| true)),
            Self::Hallucinate(Some(mask)) | Self::Target(mask) | Self::Swap(_, Some(mask)) => mask.clone(),
            Self::Swap(swap, None) => {
                return Err(refusal("goal/swap/prompt", &swap.prompt, "ask the model for its answer first"));
            }
            Self::Shift(_) | Self::Grow(_) | Self::Shrink(_) => self.altered(reference)?,
        };
        if (mask.width(), mask.height()) != (width, height) {
            return Err(AttackError::Size {
                what: "target mask",
                found: (mask.width(), mask.height()),
                wanted: (width, height),
            });
        }
        if let Self::Swap(Swap { prompt }, _) = self {
            if mask.area() == 0 {
                let rule = "the model sees nothing under this prompt: name another structure, or use the goal erase";
                return Err(refusal("goal/swap/prompt", prompt, rule));
            }
            if mask == *reference {
                let rule = "the model's answer to this prompt is the reference itself: name another structure";
                return Err(refusal("goal/swap/prompt", prompt, rule));
            }
        }
        Ok(Aim { mask, towards: *self != Self::Untargeted })
    }

    /// Whether a goal that changes the reference can be had of this one; all others can.
    ///
    /// # Errors
    /// [`AttackError::Parameter`], whose name is the place in a request.
    pub fn check_against(&self, reference: &Mask) -> Result<(), AttackError> {
        match self {
            Self::Shift(_) | Self::Grow(_) | Self::Shrink(_) => self.altered(reference).map(drop),
            Self::Untargeted | Self::Erase | Self::Hallucinate(_) | Self::Target(_) | Self::Swap(..) => Ok(()),
        }
    }

    /// The reference, moved, grown or shrunk; the reference itself for any other goal.
    fn altered(&self, reference: &Mask) -> Result<Mask, AttackError> {
        let (area, goal) = (reference.area(), self.spec().to_string());
        let (place, made) = match self {
            Self::Shift(Shift { dx_px, dy_px }) => ("goal/shift", Some(outline::shifted(reference, *dx_px, *dy_px))),
            Self::Grow(AreaChange { percent }) => {
                ("goal/grow", outline::grown(reference, scaled(area, 100. + percent)))
            }
            Self::Shrink(AreaChange { percent }) => {
                ("goal/shrink", outline::shrunk(reference, scaled(area, 100. - percent)))
            }
            _ => return Ok(reference.clone()),
        };
        let refuse = |rule| Err(refusal(place, &goal, rule));
        if area == 0 {
            return refuse("the mask to change is empty: give a reference mask, or use the goal hallucinate");
        }
        match made {
            None if matches!(self, Self::Grow(_)) => refuse("the frame has no room for so large a mask: grow it less"),
            None => refuse("the mask fills the frame and has no outline: give another reference mask"),
            Some(made) if made.area() == 0 && matches!(self, Self::Shift(_)) => {
                refuse("this moves the whole mask out of the frame: move it less")
            }
            Some(made) if made.area() == 0 => refuse("nothing would be left: shrink it less, or use the goal erase"),
            Some(made) if made == *reference => refuse("at this size the mask stays as it is: change it more"),
            Some(made) => Ok(made),
        }
    }

    /// The criterion of success where none was asked for: half, or half of the way from the reference's DSC to the
    /// target for a target that is made of the reference or may resemble it.
    pub fn criterion(&self, aim: &Aim, reference: &Mask) -> Result<Criterion, AttackError> {
        match self {
            Self::Shift(_) | Self::Grow(_) | Self::Shrink(_) | Self::Swap(..) => {
                let now = Confusion::between(reference, &aim.mask)?.dsc();
                Ok(Criterion::DscToTargetAtLeast(f64::midpoint(now, 1.)))
            }
            Self::Untargeted | Self::Erase | Self::Hallucinate(_) | Self::Target(_) => {
                Ok(Criterion::default_for(aim.towards))
            }
        }
    }

    /// What the reader of a result should know about the target.
    pub fn notes(&self, aim: &Aim, reference: &Mask) -> Vec<String> {
        let (before, after) = (reference.area(), aim.mask.area());
        match self {
            Self::Shift(_) if after < before => {
                let lost = 100. * (before - after) as f64 / before as f64;
                vec![format!(
                    "the shift carries {lost:.0} % of the mask out of the frame: the target is that much smaller"
                )]
            }
            _ => vec![],
        }
    }
}

/// `percent` of an area, rounded.
fn scaled(area: usize, percent: f64) -> usize {
    (area as f64 * percent / 100.).round() as usize
}

fn refusal(name: &'static str, value: &str, rule: &'static str) -> AttackError {
    AttackError::Parameter { name, value: value.into(), rule }
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

    fn read(goal: &str, mask: Option<Mask>) -> Result<Goal, AttackError> {
        Goal::new(goal.parse().unwrap(), mask)
    }

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
        let moved = Aim { mask: Mask::from_fn(3, 2, |x, _| x == 2), towards: true };
        assert_eq!(aim(read("shift=2,0", None).unwrap()), moved);
        assert_eq!(aim(read("grow=100", None).unwrap()).mask, Mask::from_fn(3, 2, |x, _| x < 2));
        assert_eq!(aim(read("shrink=50", None).unwrap()).mask.area(), 1);
        let swap = Swap { prompt: "liver".into() };
        assert_eq!(aim(Goal::Swap(swap, Some(region.clone()))).mask, region);
    }

    #[test]
    fn masks_that_do_not_fit_are_refused() {
        let reference = Mask::from_fn(3, 2, |_, _| true);
        let other = Mask::from_fn(2, 3, |_, _| true);
        assert!(Goal::Target(other.clone()).aim(&reference, None).is_err());
        assert!(read("target", None).is_err());
        for goal in ["erase", "untargeted", "shift=1,0", "grow=5", "shrink=5", "swap=liver"] {
            assert!(
                read(goal, Some(other.clone())).unwrap_err().to_string().contains("takes no target mask"),
                "{goal}"
            );
        }
        assert_eq!(read("target", Some(other.clone())).unwrap(), Goal::Target(other));
    }

    #[test]
    fn targets_that_cannot_be_made_are_refused_by_the_field() {
        let (empty, full) = (Mask::from_fn(8, 6, |_, _| false), Mask::from_fn(8, 6, |_, _| true));
        let (small, left) = (Mask::from_fn(8, 6, |x, y| (x, y) == (3, 2)), Mask::from_fn(8, 6, |x, _| x < 4));
        let refused = |goal: &str, reference: &Mask| match read(goal, None).unwrap().check_against(reference) {
            Err(AttackError::Parameter { name, rule, .. }) => (name, rule),
            other => panic!("{goal}: {other:?}"),
        };
        for (goal, place) in [("shift=1,0", "goal/shift"), ("grow=50", "goal/grow"), ("shrink=50", "goal/shrink")] {
            let (name, rule) = refused(goal, &empty);
            assert!(name == place && rule.contains("is empty"), "{goal}: {name} {rule}");
        }
        for goal in ["shift=8,0", "shift=-4,0", "shift=0,6", "shift=60000,60000"] {
            assert!(refused(goal, &left).1.contains("out of the frame"), "{goal}");
        }
        assert!(refused("grow=110", &left).1.contains("no room"));
        assert!(refused("shrink=50", &full).1.contains("no outline"));
        assert!(refused("shrink=90", &small).1.contains("nothing would be left"));
        assert!(refused("grow=20", &small).1.contains("stays as it is"));
        for good in ["shift=7,0", "grow=100", "shrink=90"] {
            read(good, None).unwrap().check_against(&left).unwrap();
        }
    }

    #[test]
    fn a_swap_needs_an_answer_that_is_another() {
        let reference = Mask::from_fn(3, 2, |x, _| x == 0);
        let rule = |answer| match Goal::Swap(Swap { prompt: "liver".into() }, answer).aim(&reference, None) {
            Err(AttackError::Parameter { name: "goal/swap/prompt", rule, .. }) => rule,
            other => panic!("{other:?}"),
        };
        assert!(rule(None).contains("ask the model"));
        assert!(rule(Some(reference.clone())).contains("is the reference itself"));
        assert!(rule(Some(Mask::from_fn(3, 2, |_, _| false))).contains("goal erase"));
    }

    #[test]
    fn another_size_moves_as_far_in_its_own_pixels() {
        let resized = |goal: &str| read(goal, None).unwrap().resized((200, 100), (100, 150)).spec().to_string();
        assert_eq!([resized("shift=21,-10"), resized("grow=20")], ["shift=11,-15", "grow=20"]);
        let mask = Mask::from_fn(4, 2, |x, _| x < 2);
        assert_eq!(Goal::Target(mask.clone()).resized((4, 2), (2, 2)), Goal::Target(Mask::from_fn(2, 2, |x, _| x < 1)));
        let answer = Goal::Swap(Swap { prompt: "liver".into() }, Some(mask));
        assert_eq!(answer.resized((4, 2), (8, 4)).mask().unwrap().area(), 16);
    }

    #[test]
    fn the_default_criterion_is_not_met_by_the_reference() {
        let reference = Mask::from_fn(40, 40, |x, y| (10..30).contains(&x) && (10..30).contains(&y));
        for (goal, wanted) in [("grow=20", 1. / 2.2 + 0.5), ("shift=20,0", 0.5), ("shift=10,0", 0.75), ("erase", 0.5)] {
            let goal = read(goal, None).unwrap();
            let aim = goal.aim(&reference, None).unwrap();
            let Criterion::DscToTargetAtLeast(found) = goal.criterion(&aim, &reference).unwrap() else {
                panic!("{goal:?} has a target")
            };
            assert!((found - wanted).abs() < 1e-9, "{goal:?}: {found}");
        }
        let cut = read("shift=20,0", None).unwrap();
        assert_eq!(cut.notes(&cut.aim(&reference, None).unwrap(), &reference).len(), 1);
        let whole = read("shift=-10,0", None).unwrap();
        assert!(whole.notes(&whole.aim(&reference, None).unwrap(), &reference).is_empty());
    }
}
