//! Resuming: everything a run needs to go on where it stopped, in one file.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::TrainError;
use super::optimizer::{Moments, Optimizer};
use super::variables::Variables;
use crate::model::checkpoint::{self, Weights};

/// Progress of a run, stored beside its tensors.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Clock {
    /// Steps done.
    pub step: usize,
    /// Wall-clock seconds spent training.
    pub seconds: f64,
}

const PARTS: [&str; 4] = ["weight", "first", "second", "average"];

/// Writes variables, moments and clock; a file that is there stays whole until the new one is.
pub(super) fn save(out: &Path, variables: &Variables, optimizer: &Optimizer, clock: Clock) -> Result<(), TrainError> {
    let mut tensors = BTreeMap::new();
    for (name, var) in variables.iter() {
        tensors.insert(format!("weight.{name}"), var.as_detached_tensor());
        if let Some(moments) = optimizer.moments.get(name) {
            for (part, values) in PARTS[1..].iter().zip([&moments.first, &moments.second, &moments.average]) {
                tensors.insert(format!("{part}.{name}"), Tensor::from_slice(values, var.shape(), &Device::Cpu)?);
            }
        }
    }
    let numbers = [clock.step as f64, clock.seconds, optimizer.step as f64];
    let numbers: Vec<f32> = numbers.iter().flat_map(|v| [*v as f32, (*v - f64::from(*v as f32)) as f32]).collect();
    tensors.insert("clock".into(), Tensor::from_vec(numbers, 6, &Device::Cpu)?);
    Ok(checkpoint::save(&out.join("state.safetensors"), &tensors, DType::F32)?)
}

/// Reads what [`save`] wrote; the variables must be those of the same network.
pub(super) fn load(out: &Path, variables: &mut Variables) -> Result<(Optimizer, Clock), TrainError> {
    let mut found = Weights::open(&out.join("state.safetensors"))?;
    let numbers = found.take("clock", &[6])?.to_vec1::<f32>()?;
    let number = |i: usize| f64::from(numbers[2 * i]) + f64::from(numbers[2 * i + 1]);
    let clock = Clock { step: number(0) as usize, seconds: number(1) };
    let mut optimizer = Optimizer { step: number(2) as usize, moments: BTreeMap::new() };
    let shapes: Vec<(String, Vec<usize>)> = variables.iter().map(|(n, v)| (n.to_string(), v.dims().to_vec())).collect();
    for (name, shape) in shapes {
        variables.insert(&name, &found.take(&format!("weight.{name}"), &shape)?)?;
        let mut read = |part: &str| match found.take_optional(&format!("{part}.{name}"), &shape)? {
            Some(tensor) => Ok::<_, TrainError>(Some(tensor.flatten_all()?.to_vec1::<f32>()?)),
            None => Ok(None),
        };
        if let (Some(first), Some(second), Some(average)) = (read(PARTS[1])?, read(PARTS[2])?, read(PARTS[3])?) {
            optimizer.moments.insert(name, Moments { first, second, average });
        }
    }
    found.finish()?;
    Ok((optimizer, clock))
}
