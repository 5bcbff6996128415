//! What an attack is after.

use candle_core::Tensor;

use crate::loss::{Counted, Loss};

/// A loss against a mask, and the direction that an attack wants it to go.
#[derive(Debug, Clone)]
pub struct Objective {
    /// How far logits are from the mask.
    pub loss: Loss,
    /// The mask, 0 or 1, `[size, size]` at the network's own output size.
    pub target: Tensor,
    /// Away from the mask, or towards it.
    pub goal: Goal,
    /// The pixels that count; all if `None`.
    pub counted: Option<Counted>,
}

/// Away from a mask or towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The mask is the reference: its loss should rise.
    Untargeted,
    /// The mask is what the model should be made to say: its loss should fall.
    Targeted,
}

impl Goal {
    /// What a loss is multiplied with so that attacks always raise the objective.
    pub(super) fn sign(self) -> f32 {
        match self {
            Self::Untargeted => 1.,
            Self::Targeted => -1.,
        }
    }
}
