//! The first-order estimate of replacing one token.

use candle_core::{DType, Device, Result, Tensor};

use crate::model::Vocabulary;

/// One token replaced by another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Swap {
    /// The place of the token, the start token being at 0.
    pub(super) at: usize,
    /// What takes its place.
    pub(super) id: u32,
    /// By how much the objective should rise: `(e_id - e_at) . gradient_at`.
    pub(super) rise: f32,
}

/// The `most` replacements by which the objective should rise most, the best first, at places that are `open`; equal
/// ones in the order of places and ids.
///
/// `gradient` `[tokens, width]` is that of the tokens that the model reads; no token becomes a special one.
///
/// # Errors
/// A gradient that does not fit the vocabulary.
pub(super) fn ranked(
    gradient: &Tensor,
    (ids, vocabulary): (&[u32], &Vocabulary),
    open: impl Fn(usize) -> bool,
    most: usize,
) -> Result<Vec<Swap>> {
    let embeddings = vocabulary.embeddings();
    let gradient = gradient.to_device(embeddings.device())?.to_dtype(embeddings.dtype())?;
    let values = gradient.matmul(&embeddings.t()?)?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let mut swaps = vec![];
    // The last token that is read is the end token.
    for (at, values) in values.iter().enumerate().take(values.len().saturating_sub(1)).filter(|(at, _)| open(*at)) {
        let here = values[ids[at] as usize];
        let others = (0u32..).zip(values).filter(|(id, _)| *id != ids[at] && !vocabulary.is_special(*id));
        swaps.extend(others.map(|(id, value)| Swap { at, id, rise: value - here }));
    }
    let order = |a: &Swap, b: &Swap| b.rise.total_cmp(&a.rise).then(a.at.cmp(&b.at)).then(a.id.cmp(&b.id));
    if most < swaps.len() {
        swaps.select_nth_unstable_by(most, order);
        swaps.truncate(most);
    }
    swaps.sort_unstable_by(order);
    Ok(swaps)
}
