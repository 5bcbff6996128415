//! The state of an attack between two questions, so that another process goes on as if nothing had happened.

use std::borrow::Cow;
use std::collections::HashMap;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::queries::Queries;
use super::tracker::{At, StepRecord};

/// The key of the numbers in the file's metadata.
const NUMBERS: &str = "attack";

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not what [`Checkpoint::to_bytes`] wrote.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(String),
    /// Of another request, model or version.
    #[error("the checkpoint belongs to another attack")]
    Foreign,
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// An attack that has visited some points and not asked about the next one.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(super) numbers: Numbers,
    pub(super) kept: Kept<Point>,
    /// What the method needs to go on: its current point, and whatever else it keeps.
    pub(super) state: Vec<Tensor>,
}

/// What may become the result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept<T> {
    /// The best point so far.
    pub best: Option<T>,
    /// The best point of this restart, if that is not `best`.
    pub round: Option<T>,
    /// The best file of the restarts that have ended.
    pub file: Option<T>,
}

/// A point or a file, and what the model said about it.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub score: Score,
    /// The point `[3, h, w]`, or the bytes of the file.
    pub x: Tensor,
    pub logits: Tensor,
    /// What stood in the place of the prompt's embedding, if anything did.
    pub embedding: Option<Tensor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Score {
    pub at: At,
    pub loss: f32,
}

/// The part without tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// The point that comes next.
    pub now: At,
    pub records: Vec<StepRecord>,
    pub queries: Queries,
    /// What the method wants the reader to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    fingerprint: Cow<'a, str>,
    numbers: Cow<'a, Numbers>,
    kept: Kept<Score>,
}

impl<T> Kept<T> {
    fn named(&self) -> [(&'static str, Option<&T>); 3] {
        [("best", self.best.as_ref()), ("round", self.round.as_ref()), ("file", self.file.as_ref())]
    }

    /// The same places, each filled by `f` if it was filled.
    fn try_map<U, E>(self, mut f: impl FnMut(&'static str, T) -> Result<U, E>) -> Result<Kept<U>, E> {
        Ok(Kept {
            best: self.best.map(|one| f("best", one)).transpose()?,
            round: self.round.map(|one| f("round", one)).transpose()?,
            file: self.file.map(|one| f("file", one)).transpose()?,
        })
    }
}

impl Checkpoint {
    /// Every visited point.
    pub fn records(&self) -> &[StepRecord] {
        &self.numbers.records
    }

    /// A safetensors file. `fingerprint` names all that the state depends on: request, pictures, model.
    ///
    /// # Errors
    /// A device that failed.
    pub fn to_bytes(&self, fingerprint: &str) -> Result<Vec<u8>, CheckpointError> {
        let kept = Kept {
            best: self.kept.best.as_ref().map(|point| point.score),
            round: self.kept.round.as_ref().map(|point| point.score),
            file: self.kept.file.as_ref().map(|point| point.score),
        };
        let header = Header { fingerprint: fingerprint.into(), numbers: Cow::Borrowed(&self.numbers), kept };
        let header = serde_json::to_string(&header).map_err(damaged)?;
        let points = self.kept.named().into_iter().filter_map(|(name, point)| Some((name, point?)));
        let points = points.flat_map(|(name, point)| {
            let embedding = point.embedding.as_ref().map(|embedding| (format!("{name}.embedding"), embedding));
            [(format!("{name}.x"), &point.x), (format!("{name}.logits"), &point.logits)].into_iter().chain(embedding)
        });
        let state = self.state.iter().enumerate().map(|(i, t)| (format!("state.{i}"), t));
        let tensors = points.chain(state).map(|(name, t)| Ok((name, t.to_device(&Device::Cpu)?.contiguous()?)));
        let tensors = tensors.collect::<Result<Vec<_>, CheckpointError>>()?;
        safetensors::serialize(tensors, Some(HashMap::from([(NUMBERS.into(), header)]))).map_err(damaged)
    }

    /// Reads what [`Self::to_bytes`] wrote for the same `fingerprint`.
    ///
    /// # Errors
    /// Bytes that are no checkpoint, or one of another attack.
    pub fn from_bytes(bytes: &[u8], fingerprint: &str, device: &Device) -> Result<Self, CheckpointError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let header = metadata.metadata().as_ref().and_then(|metadata| metadata.get(NUMBERS));
        let header = header.ok_or_else(|| damaged("it has no header"))?;
        let Header { fingerprint: found, numbers, kept } = serde_json::from_str(header).map_err(damaged)?;
        if found != fingerprint {
            return Err(CheckpointError::Foreign);
        }
        let tensors = candle_core::safetensors::load_buffer(bytes, device)?;
        let get = |name: String| tensors.get(&name).cloned().ok_or_else(|| damaged(format!("{name} is missing")));
        let kept = kept.try_map(|name, score| {
            Ok::<_, CheckpointError>(Point {
                score,
                x: get(format!("{name}.x"))?,
                logits: get(format!("{name}.logits"))?,
                embedding: tensors.get(&format!("{name}.embedding")).cloned(),
            })
        })?;
        let state = (0..tensors.len()).map_while(|i| tensors.get(&format!("state.{i}")).cloned()).collect();
        Ok(Self { numbers: numbers.into_owned(), kept, state })
    }
}

fn damaged(reason: impl ToString) -> CheckpointError {
    CheckpointError::Damaged(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let tensor = |n: usize| Tensor::arange(0f32, n as f32, &Device::Cpu).unwrap();
        let record = StepRecord {
            restart: 0,
            step: 0,
            loss: 0.1,
            dsc: 1. / 3.,
            target_dsc: None,
            budget_used: Some(0.7),
            zero_gradient_share: Some(0.25),
            tried: None,
            prompt: None,
        };
        let at = At { restart: 0, step: 0 };
        let numbers = Numbers {
            now: At { restart: 0, step: 1 },
            records: vec![record],
            queries: Queries { loss: 1, gradient: 1, logits: 0 },
            remarks: vec!["the model refuses a prompt".into()],
        };
        let point = |loss| Point { score: Score { at, loss }, x: tensor(12), logits: tensor(4), embedding: None };
        let file = Point { x: Tensor::new(&[1u8, 255], &Device::Cpu).unwrap(), ..point(0.3) };
        let best = Point { embedding: Some(tensor(5)), ..point(0.1) };
        let kept = Kept { best: Some(best), round: None, file: Some(file) };
        Checkpoint { numbers, kept, state: vec![tensor(12), tensor(3)] }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let before = checkpoint();
        let bytes = before.to_bytes("this").unwrap();
        let after = Checkpoint::from_bytes(&bytes, "this", &Device::Cpu).unwrap();
        assert_eq!(after.numbers, before.numbers);
        let values = |c: &Checkpoint| c.state.iter().map(|t| t.to_vec1::<f32>().unwrap()).collect::<Vec<_>>();
        assert_eq!(values(&after), values(&before));
        let (best, file) = (after.kept.best.unwrap(), after.kept.file.unwrap());
        assert_eq!((best.score.loss, best.logits.to_vec1::<f32>().unwrap()), (0.1, vec![0., 1., 2., 3.]));
        assert_eq!((file.score.loss, file.x.to_vec1::<u8>().unwrap()), (0.3, vec![1, 255]));
        assert!(after.kept.round.is_none() && file.embedding.is_none());
        assert_eq!(best.embedding.unwrap().elem_count(), 5);
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = checkpoint().to_bytes("this").unwrap();
        let read = |bytes: &[u8]| Checkpoint::from_bytes(bytes, "this", &Device::Cpu).unwrap_err();
        assert!(matches!(Checkpoint::from_bytes(&bytes, "that", &Device::Cpu), Err(CheckpointError::Foreign)));
        assert!(matches!(read(&[]), CheckpointError::Damaged(_)));
        assert!(matches!(read(&bytes[..bytes.len() / 2]), CheckpointError::Damaged(_)));
        let mut other = bytes.clone();
        other[20] ^= 0x55;
        assert!(matches!(read(&other), CheckpointError::Damaged(_)));
    }
}
