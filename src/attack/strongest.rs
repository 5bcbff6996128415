//! The strongest of several attacks on each image.
//!
//! No single attack and no single loss is the best on every image, so the worst case over a few of them is what
//! robustness has to be judged by. Every member runs as it would alone, from the same start; the harness keeps the
//! best point and the best file of all. So on no image is this weaker than a member.

mod member;

pub use member::{Member, MemberMethod};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::tracker::Role;
use super::{Attack, AttackError, Problem, Tracker, steps};
use crate::loss::Loss;
use crate::oracle::Oracle;
use member::WithLoss;

/// The worst case over several attacks and losses, by the DSC of each image.
///
/// After Croce, Singh and Hein 2024 (ECCV), arXiv 2306.12941: SEA, APGD with radius reduction on masked cross-entropy,
/// balanced masked cross-entropy and Jensen-Shannon divergence. The members that are used unless told otherwise are the
/// attacks that are usual by themselves, and those combinations of APGD with a loss that add to them on the demo model
/// (soft Dice, which is the measure itself, adds most). The worst case of a mean over images is that of each image; SEA's
/// search over a data set's mIoU, which is no such mean, has no part here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Strongest {
    /// The attacks. Results record restart after restart: first every member from the first start, in this order, then
    /// those that start at random from the next. Once a mask cannot get worse the rest is left out.
    #[schema(min_items = 1)]
    pub members: Vec<Member>,
    /// Number of gradient steps of each member; `fgsm` has one.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Random starts of each member.
    #[schema(minimum = 1, maximum = 5000)]
    pub starts: usize,
}

impl Default for Strongest {
    fn default() -> Self {
        let alone = |method| Member { method, loss: None, radius_reduction: false };
        let apgd = |loss, radius_reduction| Member { method: MemberMethod::Apgd, loss: Some(loss), radius_reduction };
        let members = vec![
            alone(MemberMethod::Fgsm),
            alone(MemberMethod::Bim),
            alone(MemberMethod::MiFgsm),
            alone(MemberMethod::Pgd),
            alone(MemberMethod::Padam),
            alone(MemberMethod::Apgd),
            apgd(Loss::SoftDice, true),
            apgd(Loss::SoftDice, false),
            apgd(Loss::Margin, true),
            apgd(Loss::BalancedMaskedCe, false),
            apgd(Loss::Jsd, true),
        ];
        Self { members, steps: 100, starts: 1 }
    }
}

impl Strongest {
    /// The members that start more than once.
    fn random(&self) -> impl Iterator<Item = Member> {
        self.members.iter().copied().filter(Member::starts_at_random)
    }

    /// The member that a restart belongs to, and which of its starts this is.
    fn role(&self, restart: usize) -> Option<(Member, usize)> {
        if let Some(member) = self.members.get(restart) {
            return Some((*member, 0));
        }
        let (after, random) = (restart - self.members.len(), self.random().count());
        Some((self.random().nth(after.checked_rem(random)?)?, 1 + after / random))
    }
}

impl Attack for Strongest {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("members", self.members.len(), "name at least one member")?;
        if let Some(twice) = (1..self.members.len()).find(|at| self.members[..*at].contains(&self.members[*at])) {
            return Err(steps::refused("members", self.members[twice], "it stands there twice: name each member once"));
        }
        steps::at_least_one("starts", self.starts, "1 starts each member once")?;
        self.members.iter().try_for_each(|member| member.check(self.steps))
    }

    fn restarts(&self) -> usize {
        let again = self.random().count().saturating_mul(self.starts.saturating_sub(1));
        self.members.len().saturating_add(again)
    }

    fn points(&self) -> u64 {
        let points = |member: &Member| {
            let starts = if member.starts_at_random() { self.starts as u64 } else { 1 };
            member.points(self.steps).saturating_mul(starts)
        };
        self.members.iter().map(points).fold(0, u64::saturating_add)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let Some((member, start)) = self.role(log.restart()) else { return Ok(()) };
        log.play(Role { name: member.to_string(), start, loss: member.loss });
        let mut oracle = WithLoss { oracle, loss: member.loss };
        member.attack(self.steps).run(problem, &mut oracle, log)
    }
}
