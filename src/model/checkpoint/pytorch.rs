//! The zip archives of `torch.save` since PyTorch 1.6: a pickle and one file of raw values per storage.
//!
//! A tensor is a view of a storage: offset, sizes and strides, counted in values. Several tensors may look
//! at one storage. Read are a state dict (`pytorch_model.bin`) and a dictionary with one under `state_dict`
//! (Lightning); of anything else in there, such as the optimiser, not even the values are read.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use zip::ZipArchive;

use super::CheckpointError;
use super::pickle::{Object, Pickle, Ref};

/// The pickle of a checkpoint: some 100 kB for a large model.
const MAX_PICKLE_BYTES: u64 = 64 << 20;

/// Views may overlap, so a small file could describe endless tensors: together they are at most this many
/// times as large as the file.
const MAX_EXPANSION: u64 = 4;

/// Reads the tensors of a state dict, in the file's precision.
pub(super) fn read(path: &Path, file: File) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let mut archive = Archive::open(file).map_err(|reason| CheckpointError::format(path, reason))?;
    let pickle = archive.pickle().map_err(|reason| CheckpointError::format(path, reason))?;
    let mut by_storage: BTreeMap<String, Vec<(String, View)>> = BTreeMap::new();
    for (name, value) in state_dict(&pickle).map_err(|reason| CheckpointError::format(path, reason))? {
        let view = View::of(&pickle, value).map_err(|reason| CheckpointError::tensor(path, &name, reason))?;
        by_storage.entry(view.storage.clone()).or_default().push((name, view));
    }
    let mut tensors = BTreeMap::new();
    for (storage, views) in by_storage {
        let bytes = archive.storage(&storage).map_err(|reason| CheckpointError::format(path, reason))?;
        let mut distinct: HashMap<View, Tensor> = HashMap::new();
        for (name, view) in views {
            let tensor = match distinct.get(&view) {
                Some(tensor) => tensor.clone(),
                None => view
                    .fits(&bytes)
                    .and_then(|()| archive.spend(&view))
                    .and_then(|()| view.tensor(&bytes).map_err(|e| e.to_string()))
                    .map_err(|reason| CheckpointError::tensor(path, &name, reason))?,
            };
            distinct.insert(view, tensor.clone());
            tensors.insert(name, tensor);
        }
    }
    Ok(tensors)
}

/// Names and values of the state dict in a checkpoint.
fn state_dict(pickle: &Pickle) -> Result<Vec<(String, Ref)>, String> {
    let nested = pickle.lookup(pickle.top(), "state_dict");
    let entries = pickle
        .dict(nested.unwrap_or(pickle.top()))
        .ok_or("holds no state dict: save `model.state_dict()`, not the model itself")?;
    let named = |&(key, value): &(Ref, Ref)| {
        let name = pickle.text(key).ok_or("the keys of the state dict are not names of tensors")?;
        Ok((name.to_owned(), value))
    };
    entries.iter().map(named).collect()
}

/// An opened archive.
struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The folder inside of the archive that everything is in.
    root: String,
    /// Bytes that tensors may still take.
    budget: u64,
}

impl Archive {
    fn open(file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|e| format!("not a whole zip archive, the file is truncated or damaged: {e}"))?;
        let mut roots = zip.file_names().filter_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_owned()));
        let root = roots.next().ok_or("a zip archive, but not one of PyTorch: it has no data.pkl")?;
        if roots.next().is_some() {
            return Err("has more than one data.pkl, which PyTorch never writes".into());
        }
        drop(roots);
        let mut archive = Self { zip, root, budget: length.saturating_mul(MAX_EXPANSION) };
        if archive.zip.index_for_name(&format!("{}byteorder", archive.root)).is_some() {
            let order = archive.entry("byteorder", 16)?;
            if order.trim_ascii() != b"little" {
                return Err("was written on a big-endian machine, which is not read".into());
            }
        }
        Ok(archive)
    }

    fn pickle(&mut self) -> Result<Pickle, String> {
        Pickle::read(&self.entry("data.pkl", MAX_PICKLE_BYTES)?).map_err(|e| e.to_string())
    }

    /// The raw values of a storage.
    fn storage(&mut self, key: &str) -> Result<Vec<u8>, String> {
        self.entry(&format!("data/{key}"), u64::MAX)
    }

    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, String> {
        let name = format!("{}{name}", self.root);
        let damaged = |e: &dyn std::fmt::Display| format!("cannot read {name} in the archive: {e}");
        let entry = self.zip.by_name(&name).map_err(|e| damaged(&e))?;
        let mut bytes = Vec::new();
        entry.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| damaged(&e))?;
        if bytes.len() as u64 > limit {
            return Err(format!("{name} in the archive is larger than {limit} bytes"));
        }
        Ok(bytes)
    }

    /// Takes the bytes of a tensor from the budget.
    fn spend(&mut self, view: &View) -> Result<(), String> {
        let bytes = view.count().and_then(|n| n.checked_mul(view.dtype.size_in_bytes())).map(|n| n as u64);
        self.budget = bytes
            .and_then(|bytes| self.budget.checked_sub(bytes))
            .ok_or_else(|| format!("makes the tensors more than {MAX_EXPANSION} times as large as the file"))?;
        Ok(())
    }
}

/// Where a tensor's values are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct View {
    storage: String,
    dtype: DType,
    /// In values, as the strides.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    /// Understands the calls by which PyTorch rebuilds a tensor, and no others.
    fn of(pickle: &Pickle, mut value: Ref) -> Result<Self, String> {
        const DAMAGED: &str = "is described in a way that PyTorch never writes";
        loop {
            let (callable, args) = pickle.call(value).ok_or("is no tensor: the file is not a plain state dict")?;
            match callable {
                ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                    value = *args.first().ok_or(DAMAGED)?;
                }
                ("torch._utils", "_rebuild_tensor_v2") => return Self::rebuilt(pickle, args).ok_or(DAMAGED)?,
                (module, name) => return Err(format!("is no plain tensor: it is made by {module}.{name}")),
            }
        }
    }

    /// `None` if the arguments are not those of `_rebuild_tensor_v2`.
    fn rebuilt(pickle: &Pickle, args: &[Ref]) -> Option<Result<Self, String>> {
        let [storage, offset, shape, strides, ..] = *args else { return None };
        let Object::Persistent(storage) = *pickle.get(storage) else { return None };
        let [tag, kind, key, _device, _count] = *pickle.tuple(storage)? else { return None };
        if pickle.text(tag)? != "storage" {
            return None;
        }
        let sizes = |at: Ref| pickle.tuple(at)?.iter().map(|n| pickle.size(*n)).collect::<Option<Vec<_>>>();
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        if shape.len() != strides.len() {
            return None;
        }
        let (storage, offset) = (pickle.text(key)?.to_owned(), pickle.size(offset)?);
        let (module, kind) = pickle.global(kind)?;
        let dtype = match (module, kind) {
            ("torch", "FloatStorage") => DType::F32,
            ("torch", "HalfStorage") => DType::F16,
            ("torch", "BFloat16Storage") => DType::BF16,
            ("torch", "DoubleStorage") => DType::F64,
            ("torch", "LongStorage") => DType::I64,
            ("torch", "IntStorage") => DType::I32,
            ("torch", "ShortStorage") => DType::I16,
            ("torch", "ByteStorage" | "BoolStorage") => DType::U8,
            _ => return Some(Err(format!("has values of the type {module}.{kind}, which is not read"))),
        };
        Some(Ok(Self { storage, dtype, offset, shape, strides }))
    }

    /// Number of values; `None` if it is beyond counting.
    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |count, n| count.checked_mul(*n))
    }

    /// Checks that all values lie inside of the storage.
    fn fits(&self, bytes: &[u8]) -> Result<(), String> {
        let available = bytes.len() / self.dtype.size_in_bytes();
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (n, stride)| last.checked_add(n.saturating_sub(1).checked_mul(*stride)?));
        let empty = self.shape.contains(&0);
        if empty || last.is_some_and(|last| last < available) {
            return Ok(());
        }
        Err(format!("does not lie inside of its storage, which has {available} values"))
    }

    /// Copies the values out of their storage, in row-major order.
    fn tensor(&self, bytes: &[u8]) -> candle_core::Result<Tensor> {
        let size = self.dtype.size_in_bytes();
        let count = self.shape.iter().product::<usize>();
        let start = self.offset * size;
        let gathered;
        let values = if count == 0 {
            &[]
        } else if self.is_contiguous() {
            &bytes[start..start + count * size]
        } else {
            gathered = self.gather(bytes, count);
            &gathered[..]
        };
        Tensor::from_raw_buffer(values, self.dtype, &self.shape, &Device::Cpu)
    }

    fn is_contiguous(&self) -> bool {
        let mut wanted = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(n, stride)| {
            let fits = *n == 1 || *stride == wanted;
            wanted *= n;
            fits
        })
    }

    /// Walks through the view like an odometer, the last dimension fastest.
    fn gather(&self, bytes: &[u8], count: usize) -> Vec<u8> {
        let size = self.dtype.size_in_bytes();
        let mut gathered = Vec::with_capacity(count * size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        for _ in 0..count {
            gathered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += self.strides[d];
                if index[d] < self.shape[d] {
                    break;
                }
                at -= index[d] * self.strides[d];
                index[d] = 0;
            }
        }
        gathered
    }
}
