//! How good the averaged weights are: DSC per set, and whether the prompt matters.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::augment;
use super::batch::{other_structure, validation};
use super::data::DataSet;
use super::learner::Learner;
use super::variables::Variables;
use super::{Phrasings, TrainError};
use crate::imaging::Mask;
use crate::metric::Confusion;

/// Scores of one set's validation samples at the network's own size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetScore {
    /// Name of the set.
    pub set: String,
    /// Samples scored.
    pub images: usize,
    /// Mean DSC; both masks empty counts as 1.
    pub dsc: f64,
    /// Predicted share of the picture under the right prompt.
    pub area_right_prompt: f64,
    /// The same under the prompt of another structure; none if there is only one structure.
    pub area_wrong_prompt: Option<f64>,
}

/// Scores at most `at_most` validation samples of every set that has some.
pub(super) fn validate(
    learner: &Learner,
    variables: &Variables,
    sets: &[DataSet],
    phrasings: &Phrasings,
    at_most: usize,
) -> Result<Vec<SetScore>, TrainError> {
    let network = learner.frozen_network(variables)?;
    let size = learner.preprocess.height;
    let predict = |pixels: &Tensor, prompt: &str| -> Result<Mask, TrainError> {
        let ids = learner.tokenizer.encode(prompt, learner.config.text_config.max_position_embeddings)?;
        let x = learner.preprocess.normalise(pixels)?.unsqueeze(0)?;
        let logits = network.forward(&x, &network.encode(&ids)?.unsqueeze(0)?)?.logits;
        Ok(Mask::from_logits(&logits.squeeze(0)?)?)
    };
    let mut scores = Vec::new();
    for set in sets.iter().filter(|s| !s.validation.is_empty()) {
        let rows = validation(set, phrasings, at_most)
            .into_par_iter()
            .map(|(sample, prompt)| {
                let view = augment::plain(sample, size);
                let pixels = Tensor::from_vec(view.pixels, (3, size, size), &Device::Cpu)?;
                let right = predict(&pixels, &prompt)?;
                let wrong = match other_structure(sample, phrasings) {
                    Some(other) => Some(share(&predict(&pixels, &other)?)),
                    None => None,
                };
                let truth = Mask::new(size, size, view.mask.iter().map(|m| *m > 0.5).collect())?;
                Ok((Confusion::between(&right, &truth)?.dsc(), share(&right), wrong))
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let n = rows.len() as f64;
        let wrong: Option<Vec<f64>> = rows.iter().map(|r| r.2).collect();
        scores.push(SetScore {
            set: set.name.clone(),
            images: rows.len(),
            dsc: rows.iter().map(|r| r.0).sum::<f64>() / n,
            area_right_prompt: rows.iter().map(|r| r.1).sum::<f64>() / n,
            area_wrong_prompt: wrong.map(|w| w.iter().sum::<f64>() / n),
        });
    }
    Ok(scores)
}

/// Share of the picture that belongs to a mask.
fn share(mask: &Mask) -> f64 {
    mask.area() as f64 / mask.bits().len() as f64
}
