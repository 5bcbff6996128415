//! Checkpoints of VLSM adapters: small layers trained beside a frozen CLIPSeg.
//!
//! The authors' Lightning runs save everything below `net.`, adapters and the frozen model, which the
//! shallow variant even holds twice: as `net.clipseg.clip` and as `net.clip`. Dhakal et al., *VLSM-Adapter:
//! Finetuning Vision-Language Segmentation Efficiently with Lightweight Blocks*, MICCAI 2024.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};

use super::{CheckpointError, Weights};

/// What the names of adapter tensors start with: dense in the vision and the text tower, shallow on the
/// extracted states of both, and the one on the conditional embedding.
const GROUPS: [&str; 7] = [
    "v_attn_adapters",
    "v_out_adapters",
    "l_attn_adapters",
    "l_out_adapters",
    "vision_extract_adapters",
    "text_extract_adapters",
    "cond_adapter",
];

/// A checkpoint of adapters, with or without the model they were trained on.
#[derive(Debug)]
pub struct AdapterFile {
    /// Adapters, by the authors' names without `net.`: `v_attn_adapters.0.fc1.weight`.
    pub adapters: Weights,
    /// The frozen model by its HuggingFace names: `clip.vision_model...`, `decoder...`.
    pub base: Option<Weights>,
}

impl AdapterFile {
    /// Reads a Lightning checkpoint or a safetensors file.
    ///
    /// # Errors
    /// A file that [`Weights::open`] refuses, that has no adapters or tensors that belong to neither part,
    /// or whose two copies of CLIP differ.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::split(Weights::open(path)?)
    }

    /// Splits tensors that are in memory already.
    ///
    /// # Errors
    /// As [`AdapterFile::open`].
    pub fn split(weights: Weights) -> Result<Self, CheckpointError> {
        let (source, tensors) = weights.into_parts();
        let (mut adapters, mut base, mut copies) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut unknown = Vec::new();
        for (full, tensor) in tensors {
            let name = full.strip_prefix("net.").unwrap_or(&full);
            let replaced = match name.split_once('.') {
                Some(("clipseg", rest)) => base.insert(rest.to_owned(), tensor),
                Some(("clip", _)) => copies.insert(name.to_owned(), tensor),
                Some((group, _)) if GROUPS.contains(&group) => adapters.insert(name.to_owned(), tensor),
                _ => {
                    unknown.push(full.clone());
                    None
                }
            };
            if replaced.is_some() {
                return Err(CheckpointError::tensor(&source, name, "is there twice, with `net.` and without"));
            }
        }
        if !unknown.is_empty() {
            return Err(CheckpointError::extra(&source, unknown.iter().map(String::as_str)));
        }
        if adapters.is_empty() {
            return Err(CheckpointError::format(&source, "has no adapters: is it the model without them?"));
        }
        merge_copies(&source, &mut base, copies)?;
        let base = (!base.is_empty()).then(|| bag(&source, base));
        Ok(Self { adapters: bag(&source, adapters), base })
    }
}

fn bag(source: &Path, tensors: BTreeMap<String, Tensor>) -> Weights {
    Weights::from_tensors(PathBuf::from(source), tensors.into_iter().collect::<HashMap<_, _>>())
}

/// Adds the second copy of CLIP to the base, where it is not there already.
fn merge_copies(
    source: &Path,
    base: &mut BTreeMap<String, Tensor>,
    copies: BTreeMap<String, Tensor>,
) -> Result<(), CheckpointError> {
    for (name, copy) in copies {
        match base.get(&name) {
            None => {
                base.insert(name, copy);
            }
            Some(first) => {
                if !same(first, &copy).map_err(|e| CheckpointError::tensor(source, &name, e))? {
                    let reason = "is there twice with different values, below `clip` and below `clipseg.clip`: \
                                  which of them was used in training cannot be told";
                    return Err(CheckpointError::tensor(source, &name, reason));
                }
            }
        }
    }
    Ok(())
}

/// Whether two tensors have the same shape and values.
fn same(a: &Tensor, b: &Tensor) -> candle_core::Result<bool> {
    if a.id() == b.id() {
        return Ok(true);
    }
    if a.dims() != b.dims() || a.dtype() != b.dtype() {
        return Ok(false);
    }
    // A double holds every value of the other types that weights have.
    let values = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    Ok(values(a)? == values(b)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn file(tensors: &[(&str, f32)]) -> Result<AdapterFile, CheckpointError> {
        let tensor = |value: f32| Tensor::new(&[value, 0.], &Device::Cpu).unwrap();
        let tensors = tensors.iter().map(|(name, value)| ((*name).to_owned(), tensor(*value))).collect();
        AdapterFile::split(Weights::from_tensors("run.ckpt", tensors))
    }

    fn names(weights: &Weights) -> Vec<&str> {
        weights.names().collect()
    }

    #[test]
    fn adapters_and_base_get_the_names_their_models_know() {
        let dense = file(&[
            ("net.clipseg.clip.logit_scale", 1.),
            ("net.clipseg.decoder.film_mul.weight", 2.),
            ("net.v_attn_adapters.0.fc1.weight", 3.),
            ("net.cond_adapter.fc2.bias", 4.),
        ])
        .unwrap();
        assert_eq!(names(&dense.adapters), ["cond_adapter.fc2.bias", "v_attn_adapters.0.fc1.weight"]);
        assert_eq!(names(dense.base.as_ref().unwrap()), ["clip.logit_scale", "decoder.film_mul.weight"]);
        assert!(file(&[("cond_adapter.fc2.bias", 4.)]).unwrap().base.is_none());
    }

    #[test]
    fn the_two_copies_of_clip_become_one_if_they_are_equal() {
        let shallow = |second| {
            file(&[
                ("net.clipseg.clip.logit_scale", 1.),
                ("net.clip.logit_scale", second),
                ("net.text_extract_adapters.0.fc1.bias", 2.),
            ])
        };
        assert_eq!(names(shallow(1.).unwrap().base.as_ref().unwrap()), ["clip.logit_scale"]);
        let error = shallow(1.5).unwrap_err().to_string();
        assert!(error.contains("run.ckpt") && error.contains("clip.logit_scale"), "{error}");
    }

    #[test]
    fn what_is_neither_adapter_nor_base_is_an_error() {
        let error = file(&[("cond_adapter.fc1.bias", 1.), ("net.head.weight", 2.)]).unwrap_err().to_string();
        assert!(error.contains("net.head.weight"), "{error}");
        let error = file(&[("clip.logit_scale", 1.)]).unwrap_err().to_string();
        assert!(error.contains("no adapters"), "{error}");
        let error = file(&[("cond_adapter.fc1.bias", 1.), ("net.cond_adapter.fc1.bias", 1.)]).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
    }
}
