//! Drawing a batch: sets by size, views at random, some prompts on purpose wrong.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::augment;
use super::data::{DataSet, Sample};
use super::phrasings::Phrasings;
use super::random::{index, stream, uniform};

/// What one step trains on.
pub(super) struct Batch {
    /// `[batch, 3, size, size]` in [0, 1].
    pub pixels: Tensor,
    /// `[batch, size, size]` of 0 and 1; empty where the prompt is wrong.
    pub masks: Tensor,
    /// One text per row.
    pub prompts: Vec<String>,
}

/// Draws batches from sets; batch `i` of a seed is always the same.
pub(super) struct Sampler<'a> {
    pub sets: &'a [DataSet],
    pub phrasings: &'a Phrasings,
    pub seed: u64,
    /// A set of n images is drawn with weight n^balance: 0 treats all sets alike, 1 all images.
    pub balance: f64,
    /// Share of rows that are asked for another structure than the one they show.
    ///
    /// A set that shows one structure would otherwise teach the model to ignore its text.
    pub wrong_prompts: f64,
}

impl Sampler<'_> {
    pub fn draw(&self, number: usize, rows: usize, size: usize) -> candle_core::Result<Batch> {
        let drawn: Vec<(augment::View, String)> =
            (0..rows).into_par_iter().map(|row| self.row(number, row, size)).collect();
        let mut pixels = Vec::with_capacity(rows * 3 * size * size);
        let mut masks = Vec::with_capacity(rows * size * size);
        let mut prompts = Vec::with_capacity(rows);
        for (view, prompt) in drawn {
            pixels.extend(view.pixels);
            masks.extend(view.mask);
            prompts.push(prompt);
        }
        Ok(Batch {
            pixels: Tensor::from_vec(pixels, (rows, 3, size, size), &Device::Cpu)?,
            masks: Tensor::from_vec(masks, (rows, size, size), &Device::Cpu)?,
            prompts,
        })
    }

    fn row(&self, number: usize, row: usize, size: usize) -> (augment::View, String) {
        let mut random = stream(&[self.seed, number as u64, row as u64], "batch");
        let sample = self.pick(uniform(&mut random), uniform(&mut random));
        let at = self.phrasings.position(&sample.structure).expect("checked before training");
        let upright = self.phrasings.structure(at).upright;
        let mut view = augment::random(sample, size, upright, &mut random);
        let wrong = uniform(&mut random) < self.wrong_prompts;
        let asked = if wrong { self.phrasings.draw_other(at, &mut random) } else { None };
        if asked.is_some() {
            view.mask.fill(0.);
        }
        (view, self.phrasings.draw(asked.unwrap_or(at), &mut random))
    }

    /// A set by its weight, then one of its samples: large sets lead, small ones are seen.
    fn pick(&self, set: f64, within: f64) -> &Sample {
        let weight = |s: &DataSet| (s.training.len() as f64).powf(self.balance);
        let filled: Vec<&DataSet> = self.sets.iter().filter(|s| !s.training.is_empty()).collect();
        let mut left = set * filled.iter().map(|s| weight(s)).sum::<f64>();
        let mut chosen = filled[filled.len() - 1];
        for candidate in filled {
            chosen = candidate;
            left -= weight(candidate);
            if left < 0. {
                break;
            }
        }
        let n = chosen.training.len();
        &chosen.training[((within * n as f64) as usize).min(n - 1)]
    }
}

/// The rows of validation of one set, as they are, with the structure's first phrasing.
pub(super) fn validation<'a>(set: &'a DataSet, phrasings: &Phrasings, at_most: usize) -> Vec<(&'a Sample, String)> {
    let step = set.validation.len().div_ceil(at_most.max(1)).max(1);
    let text = |s: &Sample| {
        let at = phrasings.position(&s.structure).expect("checked before training");
        phrasings.structure(at).phrasings[0].clone()
    };
    set.validation.iter().step_by(step).map(|s| (s, text(s))).collect()
}

/// The position of a structure other than the sample's, for measuring whether prompts matter.
pub(super) fn other_structure(sample: &Sample, phrasings: &Phrasings) -> Option<String> {
    let at = phrasings.position(&sample.structure)?;
    let other =
        phrasings.draw_other(at, &mut stream(&[index(&mut stream(&[0], &sample.name), 1 << 20) as u64], "other"))?;
    Some(phrasings.structure(other).phrasings[0].clone())
}
