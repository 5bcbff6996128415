//! The artefact: one safetensors file with one tensor, `perturbation`, and what is known of it as JSON in its header.
//!
//! It is read as something a stranger sent: no more bytes than a perturbation can have, one tensor, no unknown field,
//! every value finite and within the epsilon that the file itself names.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};

use super::{About, UniversalPerturbation};

/// Most bytes of a file.
pub const MOST_BYTES: usize = 16 << 20;

/// Most bytes of its header.
const MOST_HEADER_BYTES: usize = 256 << 10;

/// The tensor.
const TENSOR: &str = "perturbation";

/// The entry of the header that holds [`About`].
const ABOUT: &str = "segprobe.universal";

/// Why something is no universal perturbation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable universal perturbation: {0}: give a file that segprobe universal has written")]
pub struct PerturbationError(pub(super) String);

impl UniversalPerturbation {
    /// Reads an artefact.
    ///
    /// # Errors
    /// [`PerturbationError`], which says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PerturbationError> {
        let refuse = |reason: String| PerturbationError(reason);
        if bytes.len() > MOST_BYTES {
            return Err(refuse(format!("it has {} bytes, more than {MOST_BYTES}", bytes.len())));
        }
        let header = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
        if header.is_some_and(|length| length > MOST_HEADER_BYTES as u64) {
            return Err(refuse(format!("its header has more than {MOST_HEADER_BYTES} bytes, or it is no safetensors")));
        }
        let broken = |error: safetensors::SafeTensorError| refuse(format!("it is no whole safetensors file ({error})"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let entries = metadata.metadata().as_ref();
        let about = entries.and_then(|entries| entries.get(ABOUT));
        let about = about.ok_or_else(|| refuse(format!("its header has no entry {ABOUT:?}")))?;
        let about: About =
            serde_json::from_str(about).map_err(|error| refuse(format!("its header cannot be read ({error})")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        if tensors.names() != [TENSOR] {
            return Err(refuse(format!("it has to hold one tensor, {TENSOR:?}")));
        }
        let view = tensors.tensor(TENSOR).map_err(broken)?;
        if view.dtype() != Dtype::F32 {
            return Err(refuse("its values have to be f32".into()));
        }
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<_>>();
        let delta = Tensor::from_vec(values, view.shape(), &Device::Cpu);
        Self::new(&delta.map_err(|error| refuse(error.to_string()))?, about)
    }

    /// The artefact. Equal perturbations give equal bytes.
    ///
    /// # Errors
    /// [`PerturbationError`] for a description that is too long to be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PerturbationError> {
        let about = serde_json::to_string(self.about()).expect("a description is plain JSON");
        let entries = HashMap::from([(ABOUT.to_owned(), about)]);
        let tensors = BTreeMap::from([(TENSOR, self.delta())]);
        let bytes = safetensors::serialize(tensors, Some(entries));
        let bytes = bytes.map_err(|error| PerturbationError(format!("it cannot be written ({error})")))?;
        Self::from_bytes(&bytes)?;
        Ok(bytes)
    }
}
