//! Restarts that belong to members of an ensemble.

use super::{Iterate, Tracker};
use crate::loss::Loss;

/// The member of an ensemble that a restart belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// What its steps are called.
    pub name: String,
    /// Which of the member's own restarts this is, from 0.
    pub start: usize,
    /// The loss that it follows; the objective's if `None`.
    pub loss: Option<Loss>,
}

impl Tracker<'_> {
    /// The current restart, from 0; for a member of an ensemble that of the member.
    pub fn restart(&self) -> usize {
        self.role.as_ref().map_or(self.now.restart, |role| role.start)
    }

    /// Lets the current restart be that of a member.
    pub fn play(&mut self, role: Role) {
        self.role = Some(role);
    }

    /// Whether no further restart could give a worse mask than the best file so far.
    pub(in crate::attack::harness) fn is_total(&self) -> bool {
        let choices = &self.problem.setup().choices;
        let file = self.file.as_ref().filter(|_| choices.iterate == Iterate::Best);
        file.is_some_and(|file| file.evaluation.target_dsc.map_or(file.evaluation.dsc == 0., |dsc| dsc == 1.))
    }
}
