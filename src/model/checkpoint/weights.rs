//! A strict bag of named tensors.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::{CheckpointError, pytorch, safetensors};

/// The tensors of a checkpoint that have not been taken yet.
#[derive(Debug)]
pub struct Weights {
    source: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Reads a weights file: safetensors or a zip archive of `torch.save`, whatever its extension.
    ///
    /// The whole file is read into memory: it may be replaced on disk while the model lives.
    ///
    /// # Errors
    /// A file that cannot be read, that is empty or truncated, or that is something else.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let io = |source| CheckpointError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut head = Vec::new();
        file.by_ref().take(64).read_to_end(&mut head).map_err(io)?;
        file.rewind().map_err(io)?;
        let tensors = match Kind::of(&head) {
            Ok(Kind::Safetensors) => safetensors::read(path, file)?,
            Ok(Kind::PyTorch) => pytorch::read(path, file)?,
            Err(reason) => return Err(CheckpointError::format(path, reason)),
        };
        Ok(Self { source: path.to_owned(), tensors })
    }

    /// Wraps tensors that are in memory already; `source` is what errors call them.
    pub fn from_tensors(source: impl Into<PathBuf>, tensors: HashMap<String, Tensor>) -> Self {
        Self { source: source.into(), tensors: tensors.into_iter().collect() }
    }

    /// The file the tensors came from.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Takes a tensor out, as f32 on the CPU; half and double precision are converted.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, or holds a NaN or an infinity (also one that a double
    /// becomes in f32).
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        self.take_optional(name, shape)?.ok_or_else(|| CheckpointError::Missing {
            path: self.source.clone(),
            name: name.to_owned(),
            wanted: shape.to_vec(),
        })
    }

    /// As [`Weights::take`], but `None` if the file has no such tensor.
    ///
    /// # Errors
    /// As [`Weights::take`], except for a missing tensor.
    pub fn take_optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, CheckpointError> {
        let Some(tensor) = self.tensors.remove(name) else { return Ok(None) };
        if tensor.dims() != shape {
            return Err(CheckpointError::Shape {
                path: self.source.clone(),
                name: name.to_owned(),
                wanted: shape.to_vec(),
                found: tensor.dims().to_vec(),
            });
        }
        let unusable = |reason: String| CheckpointError::tensor(&self.source, name, reason);
        let (tensor, values) = to_f32(&tensor).map_err(|e| unusable(format!("cannot be converted to f32: {e}")))?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(unusable(format!("is damaged: value {at} is {}", values[at]))),
            None => Ok(Some(tensor)),
        }
    }

    /// Whether there is such a tensor, and nobody took it.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names of the tensors that are left, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor that is left.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// All tensors that nobody took, by name.
    ///
    /// # Errors
    /// A tensor with a number that is not finite.
    pub fn into_tensors(mut self) -> Result<HashMap<String, Tensor>, CheckpointError> {
        let named: Vec<(String, Vec<usize>)> =
            self.names().map(|name| (name.to_string(), self.shape(name).unwrap_or_default().to_vec())).collect();
        named.into_iter().map(|(name, shape)| Ok((name.clone(), self.take(&name, &shape)?))).collect()
    }

    /// Forgets the tensors whose name matches: what a file may hold and the model has no use for, such as
    /// the `position_ids` in old files of the HuggingFace hub.
    pub fn drop_matching(&mut self, unneeded: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !unneeded(name));
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CheckpointError::Extra`] if a tensor was not taken.
    pub fn finish(self) -> Result<(), CheckpointError> {
        if self.tensors.is_empty() {
            return Ok(());
        }
        Err(CheckpointError::extra(&self.source, self.names()))
    }

    /// The source and all tensors that are left, in the precision of the file.
    pub(super) fn into_parts(self) -> (PathBuf, BTreeMap<String, Tensor>) {
        (self.source, self.tensors)
    }
}

/// A tensor as f32 on the CPU, and its values.
fn to_f32(tensor: &Tensor) -> candle_core::Result<(Tensor, Vec<f32>)> {
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let values = tensor.flatten_all()?.to_vec1()?;
    Ok((tensor, values))
}

/// The formats that can be read.
enum Kind {
    Safetensors,
    PyTorch,
}

impl Kind {
    /// Recognises a file by its first bytes, or says what it is instead.
    fn of(head: &[u8]) -> Result<Self, &'static str> {
        if head.is_empty() {
            Err("the file is empty")
        } else if head.starts_with(b"version https://git-lfs") {
            Err("only a git-lfs pointer, not the weights: run `git lfs pull` where it came from")
        } else if head.starts_with(b"PK\x03\x04") {
            Ok(Self::PyTorch)
        } else if head.starts_with(&[0x80, 0x02]) {
            Err("a pickle of PyTorch before 1.6, which is not read: convert it with Python, \
                 `torch.save(torch.load(OLD, weights_only=True), NEW)`")
        } else if head.get(8) == Some(&b'{') {
            Ok(Self::Safetensors)
        } else {
            Err("not a weights file: neither safetensors nor a PyTorch zip archive")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(tensors: &[(&str, Tensor)]) -> Weights {
        let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        Weights::from_tensors("model.safetensors", tensors)
    }

    fn zeros(shape: &[usize], dtype: DType) -> Tensor {
        Tensor::zeros(shape, dtype, &Device::Cpu).unwrap()
    }

    #[test]
    fn what_is_taken_is_f32_and_gone() {
        let mut weights = weights(&[("a", zeros(&[2, 3], DType::F16)), ("b", zeros(&[], DType::BF16))]);
        assert_eq!(weights.shape("a"), Some(&[2, 3][..]));
        assert_eq!(weights.take("a", &[2, 3]).unwrap().dtype(), DType::F32);
        assert!(!weights.contains("a"));
        assert_eq!(weights.names().collect::<Vec<_>>(), ["b"]);
        assert!(weights.take_optional("b", &[]).unwrap().is_some());
        assert!(weights.take_optional("b", &[]).unwrap().is_none());
        weights.finish().unwrap();
    }

    #[test]
    fn a_missing_or_misshaped_tensor_is_named_with_its_file() {
        let mut weights = weights(&[("a", zeros(&[2, 3], DType::F32))]);
        let missing = weights.take("z", &[4]).unwrap_err().to_string();
        assert_eq!(missing, "model.safetensors: tensor \"z\" of shape [4] is missing");
        let shape = weights.take("a", &[3, 2]).unwrap_err().to_string();
        assert_eq!(shape, "model.safetensors: tensor \"a\" has shape [2, 3] instead of [3, 2]");
    }

    #[test]
    fn a_value_that_is_not_finite_is_named() {
        let nan = Tensor::new(&[0f32, 1., f32::NAN], &Device::Cpu).unwrap();
        let huge = Tensor::new(&[1e300f64], &Device::Cpu).unwrap();
        let mut weights = weights(&[("nan", nan), ("huge", huge)]);
        let error = weights.take("nan", &[3]).unwrap_err().to_string();
        assert_eq!(error, "model.safetensors: tensor \"nan\" is damaged: value 2 is NaN");
        assert!(weights.take("huge", &[1]).unwrap_err().to_string().contains("value 0 is inf"));
    }

    #[test]
    fn a_tensor_nobody_took_is_an_error_unless_it_was_dropped() {
        let names: Vec<String> = (0..7).map(|i| format!("layer.{i}.position_ids")).collect();
        let all = || weights(&names.iter().map(|n| (n.as_str(), zeros(&[1], DType::I64))).collect::<Vec<_>>());
        let error = all().finish().unwrap_err().to_string();
        assert!(error.contains("7 unexpected tensor(s)") && error.contains("layer.4.position_ids"), "{error}");
        assert!(!error.contains("layer.5"), "{error}");
        let mut dropped = all();
        dropped.drop_matching(|name| name.ends_with("position_ids"));
        dropped.finish().unwrap();
    }

    #[test]
    fn files_that_are_no_weights_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&[u8], &str); 5] = [
            (b"", "the file is empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "torch.save(torch.load("),
            (b"<!doctype html><html>not found</html>", "neither safetensors nor"),
            (b"PK\x03\x04 and then nothing", "truncated"),
        ];
        for (bytes, wanted) in cases {
            let path = folder.path().join("model.bin");
            std::fs::write(&path, bytes).unwrap();
            let error = Weights::open(&path).unwrap_err().to_string();
            assert!(error.contains("model.bin") && error.contains(wanted), "{error}");
        }
        let error = Weights::open(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }
}
