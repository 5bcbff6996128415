//! The safetensors format: a JSON header and raw values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use ::safetensors::tensor::{Metadata, TensorInfo, TensorView};
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};

use super::CheckpointError;

/// The longest header that is read, as in the format's own library.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// Reads all tensors of a file, in the file's precision, one after the other: the file as a whole is never in memory
/// beside them.
pub(super) fn read(path: &Path, mut file: File) -> Result<BTreeMap<String, Tensor>, CheckpointError> {
    let io = |source| CheckpointError::Read { path: path.to_owned(), source };
    let broken = |why: &str| CheckpointError::format(path, format!("not a whole safetensors file, {why}"));
    let len = file.metadata().map_err(io)?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| broken("the file is truncated"))?;
    let size = u64::from_le_bytes(size);
    if size > MOST_HEADER_BYTES {
        return Err(broken("the header is damaged: it would be longer than 100 MB"));
    }
    if size > len - 8 {
        return Err(broken("the file is truncated: its header is longer than the file"));
    }
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(io)?;
    // checks that the tensors lie one after the other, without gaps, in sizes that fit their shapes
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|e| broken(&format!("the header is damaged: {e}")))?;
    let wanted = 8 + size + metadata.data_len() as u64;
    if wanted != len {
        let why = if len < wanted { "the file is truncated" } else { "the file is too long" };
        return Err(broken(&format!("{why}: {wanted} bytes are described, there are {len}")));
    }
    let tensors = metadata.tensors();
    let mut in_order: Vec<_> = tensors.into_iter().collect();
    in_order.sort_by_key(|(_, info)| info.data_offsets);
    let mut bytes = Vec::new();
    let load = |(name, info): (String, &TensorInfo)| {
        bytes.resize(info.data_offsets.1 - info.data_offsets.0, 0);
        file.read_exact(&mut bytes).map_err(io)?;
        let bad = |e: String| CheckpointError::tensor(path, &name, e);
        let view = TensorView::new(info.dtype, info.shape.clone(), &bytes).map_err(|e| bad(e.to_string()))?;
        let tensor = view.load(&Device::Cpu).map_err(|e| bad(e.to_string()))?;
        Ok((name, tensor))
    };
    in_order.into_iter().map(load).collect()
}

/// Writes tensors as safetensors in the given precision (f32, f16 or bf16).
///
/// The file appears at once and whole: it is written beside its place and then renamed, so a reader never
/// sees half of it and an interrupted training run keeps its last checkpoint.
///
/// # Errors
/// A tensor with a value that is not finite in that precision, or a file that cannot be written.
pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>, dtype: DType) -> Result<(), CheckpointError> {
    let convert = |(name, tensor): (&String, &Tensor)| {
        let bad = |e: candle_core::Error| CheckpointError::tensor(path, name, format!("cannot be saved: {e}"));
        let tensor = tensor.to_device(&Device::Cpu).and_then(|t| t.to_dtype(dtype)?.contiguous()).map_err(bad)?;
        let values = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>()).map_err(bad)?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            let reason = format!("is not saved: it holds {value} as {}", dtype.as_str());
            return Err(CheckpointError::tensor(path, name, reason));
        }
        Ok((name.clone(), tensor))
    };
    let converted: BTreeMap<String, Tensor> = tensors.iter().map(convert).collect::<Result<_, _>>()?;
    let bytes = ::safetensors::serialize(&converted, None).map_err(|e| CheckpointError::format(path, e))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let beside = Path::new(&beside);
    let written = File::create(beside)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(beside, path));
    written.map_err(|source| {
        // The error to report is the one above; a left-over partial file is harmless.
        let _ = std::fs::remove_file(beside);
        CheckpointError::Write { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::Weights;

    fn tensors() -> BTreeMap<String, Tensor> {
        let device = &Device::Cpu;
        let matrix = Tensor::new(&[[1f32, 2.5, -3.], [4., 5., 6e-3]], device).unwrap();
        let turned = Tensor::arange(0f32, 6., device).unwrap().reshape((2, 3)).unwrap().t().unwrap();
        BTreeMap::from([("matrix".to_owned(), matrix), ("turned".to_owned(), turned)])
    }

    #[test]
    fn what_is_saved_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        // The extension says something else: the content counts.
        let path = folder.path().join("weights.bin");
        for (dtype, tolerance) in [(DType::F32, 0.), (DType::F16, 2e-3), (DType::BF16, 2e-2)] {
            save(&path, &tensors(), dtype).unwrap();
            let mut weights = Weights::open(&path).unwrap();
            for (name, saved) in tensors() {
                let read = weights.take(&name, saved.dims()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let saved = saved.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(read.iter().zip(&saved).all(|(r, s)| (r - s).abs() <= tolerance), "{name} {dtype:?}");
            }
            weights.finish().unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
    }

    #[test]
    fn a_truncated_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        save(&path, &tensors(), DType::F32).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [whole.len() - 1, whole.len() / 2, 20] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = Weights::open(&path).unwrap_err().to_string();
            assert!(error.contains("cut.safetensors") && error.contains("truncated"), "{error}");
        }
    }

    #[test]
    fn a_value_that_overflows_half_precision_is_refused_and_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        save(&path, &tensors(), DType::F32).unwrap();
        let before = std::fs::read(&path).unwrap();
        let huge = Tensor::new(&[1e6f32], &Device::Cpu).unwrap();
        let error = save(&path, &BTreeMap::from([("huge".to_owned(), huge)]), DType::F16).unwrap_err().to_string();
        assert!(error.contains("huge") && error.contains("f16"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = save(Path::new("/nonexistent/w.safetensors"), &tensors(), DType::F32).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/w.safetensors"), "{error}");
    }
}
