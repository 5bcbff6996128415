//! One call of the model for several rows.

use std::sync::mpsc::SyncSender;

use candle_core::Tensor;

use super::CancelToken;
use super::waiting::Asked;
use crate::loss::{Counted, LossError, Term};
use crate::model::{Conditioning, ModelError, Question, SegmentationModel};
use crate::oracle::OracleError;

/// What logits are measured by.
pub(super) enum Against {
    /// The loss at this step of the attack, its target `[size, size]`, and the pixels that count if not all do.
    Loss { term: Term, target: Tensor, counted: Option<Counted> },
    /// Their sum with these weights, `[size, size]`.
    Weights(Tensor),
}

impl Against {
    /// The value of logits `[size, size]`.
    pub(super) fn value(&self, logits: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Loss { term, target, counted: None } => term.value(logits, target),
            Self::Loss { term, target, counted: Some(counted) } => counted.value(*term, logits, target),
            Self::Weights(weights) => (logits * weights)?.sum_all(),
        }
    }

    /// Whether both can be evaluated at once.
    fn joins(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Loss { term, counted: None, .. }, Self::Loss { term: other, counted: None, .. }) => term == other,
            _ => false,
        }
    }
}

/// A row's question about a network input.
pub(super) struct Query {
    /// `[3, size, size]`, resized and normalised, on the model's device.
    pub(super) pixel_values: Tensor,
    pub(super) conditioning: Conditioning,
    /// The loss, if its gradient is wanted too.
    pub(super) gradient_of: Option<Against>,
    pub(super) cancel: CancelToken,
    pub(super) reply: SyncSender<Result<Reply, OracleError>>,
}

impl Asked for Query {
    fn question(&self) -> Question {
        if self.gradient_of.is_some() { Question::Gradient } else { Question::Logits }
    }
}

impl Query {
    pub(super) fn answer(self, answer: Result<Reply, OracleError>) {
        // A row that is gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

/// The answer to a [`Query`]; its tensors share no memory with those of other rows.
pub(super) struct Reply {
    /// `[size, size]`.
    pub(super) logits: Tensor,
    /// The loss and its gradient with respect to `pixel_values`, if wanted.
    pub(super) gradient: Option<(f32, Tensor)>,
}

/// Answers rows that all want a gradient, or that all want logits only.
///
/// # Errors
/// What failed for the batch as a whole. A row whose own numbers are not finite has its own error.
pub(super) fn run(
    model: &dyn SegmentationModel,
    queries: &[Query],
) -> Result<Vec<Result<Reply, OracleError>>, ModelError> {
    let inputs: Vec<&Tensor> = queries.iter().map(|query| &query.pixel_values).collect();
    let pixel_values = Tensor::stack(&inputs, 0)?;
    let prompts: Vec<Conditioning> = queries.iter().map(|query| query.conditioning.clone()).collect();
    if queries.iter().any(|query| query.gradient_of.is_none()) {
        let logits = model.logits(&pixel_values, &prompts)?;
        let answers = (0..queries.len()).map(|i| Ok(Ok(Reply { logits: own(&logits, i)?, gradient: None }))).collect();
        // The rows are about to read anyway, and the time of the call is that of its work, not of its launch.
        model.device().synchronize()?;
        return answers;
    }

    let mut losses = None;
    let (logits, gradients) = model.logits_and_vjp(&pixel_values, &prompts, &mut |logits| {
        let (values, cotangent) = cotangent(logits, queries)?;
        losses = Some(values);
        Ok(cotangent)
    })?;
    let (Some(losses), true) = (losses, gradients.dims() == pixel_values.dims()) else {
        return Err(ModelError::Gradient("missing"));
    };
    // Read back only now that the backward pass is queued: reading waits for the device.
    let losses = losses.to_vec1::<f32>()?;
    let finite = finite(&gradients)?;
    (0..queries.len())
        .map(|i| {
            if !(finite[i] && losses[i].is_finite()) {
                return Ok(Err(OracleError::Gradient("not finite".into())));
            }
            Ok(Ok(Reply { logits: own(&logits, i)?, gradient: Some((losses[i], own(&gradients, i)?)) }))
        })
        .collect()
}

/// Each row's loss `[batch]`, and the gradient of each with respect to its own logits, `[batch, size, size]`.
///
/// Neighbours with the same loss at the same step share its evaluation, but never a sum.
fn cotangent(logits: &Tensor, queries: &[Query]) -> Result<(Tensor, Tensor), ModelError> {
    let wanted: Vec<&Against> = queries.iter().filter_map(|query| query.gradient_of.as_ref()).collect();
    let (mut values, mut slopes) = (Vec::new(), Vec::new());
    let mut first = 0;
    for group in wanted.chunk_by(|a, b| a.joins(b)) {
        let logits = logits.narrow(0, first, group.len())?;
        let (losses, slope) = gradient(&logits, group)?;
        values.push(losses);
        slopes.push(slope);
        first += group.len();
    }
    Ok((Tensor::cat(&values, 0)?, Tensor::cat(&slopes, 0)?))
}

/// [`cotangent`] for rows that join: one, or several that have the same loss and in which all pixels count.
///
/// # Errors
/// A loss without a gradient.
pub(super) fn gradient(logits: &Tensor, group: &[&Against]) -> Result<(Tensor, Tensor), ModelError> {
    try_gradient(logits, group).map_err(|error| match error {
        LossError::NoGradient(_) => ModelError::Gradient("missing at the logits"),
        LossError::Tensor(error) => ModelError::Tensor(error),
    })
}

fn try_gradient(logits: &Tensor, group: &[&Against]) -> Result<(Tensor, Tensor), LossError> {
    let (value, slope) = match group {
        [Against::Loss { term, target, counted: Some(counted) }] => counted.gradient(*term, &logits.get(0)?, target)?,
        [Against::Weights(weights)] => (group[0].value(&logits.get(0)?)?.detach(), weights.clone()),
        joined => {
            let plain = joined.iter().filter_map(|against| match against {
                Against::Loss { term, target, counted: None } => Some((*term, target.clone())),
                _ => None,
            });
            let (terms, targets): (Vec<Term>, Vec<Tensor>) = plain.unzip();
            return terms[0].gradient(logits, &Tensor::stack(&targets, 0)?);
        }
    };
    Ok((value.unsqueeze(0)?, slope.unsqueeze(0)?))
}

/// Whether all values of each row are finite.
fn finite(x: &Tensor) -> candle_core::Result<Vec<bool>> {
    // A finite number times zero is zero; infinities and NaN give NaN, which a sum keeps.
    let doubts = (x * 0.)?.flatten_from(1)?.sum(1)?.to_vec1::<f32>()?;
    Ok(doubts.into_iter().map(|doubt| doubt == 0.).collect())
}

/// A copy of row `i`: a view would keep the whole batch in memory for as long as one row keeps its answer.
fn own(batch: &Tensor, i: usize) -> candle_core::Result<Tensor> {
    batch.detach().get(i)?.force_contiguous()
}
