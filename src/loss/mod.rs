//! Losses on logits: one file each.
