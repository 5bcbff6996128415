//! The weights of a model under training: named variables, made on first use.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use super::random::{gaussian, stream};
use crate::model::checkpoint::CheckpointError;
use crate::model::clipseg::Parameters;

/// Named variables. A name that is asked for the first time is initialised from its own random
/// stream, so the start does not depend on the order in which layers are built.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    seed: u64,
    by_name: BTreeMap<String, Var>,
}

impl Variables {
    /// No variables yet; new ones are drawn with `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, by_name: BTreeMap::new() }
    }

    /// Name and variable, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.by_name.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Puts `tensor` under `name`, as a variable of its own.
    ///
    /// # Errors
    /// A failed copy.
    pub fn insert(&mut self, name: &str, tensor: &Tensor) -> candle_core::Result<()> {
        self.by_name.insert(name.into(), Var::from_tensor(tensor)?);
        Ok(())
    }

    /// The tensors by name, detached.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.iter().map(|(name, var)| (name.to_string(), var.as_detached_tensor())).collect()
    }
}

impl Parameters for Variables {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        if !self.by_name.contains_key(name) {
            let start = initial(name, shape, &mut stream(&[self.seed], name));
            let var = Var::from_tensor(&Tensor::from_vec(start, shape, &Device::Cpu)?.to_dtype(DType::F32)?)?;
            self.by_name.insert(name.into(), var);
        }
        Ok(self.by_name[name].as_tensor().clone())
    }
}

/// Where training starts: norms and the prompt's modulation as the identity, matrices from a
/// truncated normal scaled by their larger side, the patch convolution as Kaiming has it.
fn initial(name: &str, shape: &[usize], random: &mut ChaCha8Rng) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let identity = (name.contains("norm") && name.ends_with(".weight")) || name == "decoder.film_mul.bias";
    if identity {
        return vec![1.; n];
    }
    if name.ends_with(".bias") {
        return vec![0.; n];
    }
    let std = match shape {
        [_, ..] if name.contains("patch_embedding") => (2. / shape[1..].iter().product::<usize>() as f64).sqrt(),
        [rows, columns] if !name.contains("embedding") => (0.02 * (768. / *rows.max(columns) as f64).sqrt()).min(0.06),
        [inner, ..] if name.contains("transposed_convolution") => (1. / *inner as f64).sqrt(),
        _ => 0.02,
    };
    (0..n).map(|_| (gaussian(random).clamp(-2., 2.) * std) as f32).collect()
}
