//! Questions that wait for a call of the model, in the order in which they were asked.
//!
//! An attack asks one question at a time, so the order of arrival serves first whose last answer is longest ago: a
//! thousand steps of one attack do not come before the single question of another, nor the other way round. A call
//! answers one kind of question; it is always the kind of the oldest one, and the oldest of that kind come first. So
//! every call holds the oldest question of all, and a question waits for at most one call more than if all kinds
//! could share calls.

use std::collections::VecDeque;

use super::batch::Query;
use crate::model::Question;

/// Something that is of a kind.
pub(super) trait Asked {
    fn question(&self) -> Question;
}

/// The questions that wait, oldest first.
#[derive(Debug)]
pub(super) struct Waiting<Q = Query>(VecDeque<Q>);

impl<Q> Default for Waiting<Q> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<Q: Asked> Waiting<Q> {
    pub(super) fn push(&mut self, query: Q) {
        self.0.push_back(query);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The kind whose turn it is, and how many of it wait; `None` if nothing waits.
    pub(super) fn next(&self) -> Option<(Question, usize)> {
        let kind = self.0.front()?.question();
        Some((kind, self.0.iter().filter(|query| query.question() == kind).count()))
    }

    /// Takes the oldest questions of the kind whose turn it is, `most` at most.
    pub(super) fn take(&mut self, most: usize) -> Vec<Q> {
        let Some((kind, waiting)) = self.next() else { return vec![] };
        let mut due = Vec::with_capacity(most.min(waiting));
        for query in std::mem::take(&mut self.0) {
            if due.len() < most && query.question() == kind {
                due.push(query);
            } else {
                self.0.push_back(query);
            }
        }
        due
    }

    /// Takes those for which `gone` holds.
    pub(super) fn remove(&mut self, gone: impl Fn(&Q) -> bool) -> Vec<Q> {
        let (leaves, stays): (VecDeque<Q>, VecDeque<Q>) = std::mem::take(&mut self.0).into_iter().partition(gone);
        self.0 = stays;
        leaves.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A kind, and when it was asked.
    #[derive(Debug)]
    struct Numbered(Question, usize);

    impl Asked for Numbered {
        fn question(&self) -> Question {
            self.0
        }
    }

    fn kinds(bits: &[bool]) -> impl Iterator<Item = Question> + '_ {
        bits.iter().map(|bit| if *bit { Question::Gradient } else { Question::Logits })
    }

    #[test]
    fn a_call_is_of_the_oldest_kind_in_order() {
        let mut waiting = Waiting::default();
        let asked = kinds(&[true, false, true, true, false]).zip(0..);
        asked.for_each(|(kind, at)| waiting.push(Numbered(kind, at)));
        let mut numbers = |most| waiting.take(most).into_iter().map(|query| query.1).collect::<Vec<_>>();
        assert_eq!(numbers(2), [0, 2]);
        assert_eq!(numbers(9), [1, 4]);
        assert_eq!(numbers(2), [3]);
        assert_eq!(numbers(2), [0; 0]);
    }

    #[test]
    fn those_that_are_gone_leave_the_rest_in_order() {
        let mut waiting = Waiting::default();
        kinds(&[true, false, true]).zip(0..).for_each(|(kind, at)| waiting.push(Numbered(kind, at)));
        assert_eq!(waiting.remove(|query| query.1 == 0).len(), 1);
        assert_eq!((waiting.len(), waiting.next()), (2, Some((Question::Logits, 1))));
    }

    proptest! {
        /// Long attacks ask again as soon as they are answered; one attack asks once, in the middle.
        #[test]
        fn nobody_waits_more_than_one_call_beyond_his_turn(
            bits in prop::collection::vec(any::<bool>(), 1..30), extra in any::<bool>(), most in 1_usize..9,
        ) {
            let mut waiting = Waiting::default();
            kinds(&bits).for_each(|kind| waiting.push(Numbered(kind, 0)));
            let once = bits.len();
            waiting.push(Numbered(kinds(&[extra]).next().unwrap(), once));
            for calls in 0.. {
                prop_assert!(calls <= once / most + 1, "still waiting after {calls} calls");
                let due = waiting.take(most);
                if due.iter().any(|query| query.1 == once) {
                    break;
                }
                due.into_iter().for_each(|query| waiting.push(query));
            }
        }
    }
}
