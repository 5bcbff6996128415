//! One perturbation for many images, and what is known of how it came about.

use candle_core::{DType, Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::PerturbationError;
use crate::attack::{Epsilon, Norm, Unit};
use crate::loss::Loss;
use crate::model::Resize;

/// Version of the artefact; raised when a field changes its meaning or goes away.
pub const FORMAT_VERSION: u32 = 1;

/// Most columns and rows.
const MOST_SIDE: usize = 1024;

/// Values of 32 bits may lie a rounding beyond epsilon.
const ROUNDING: f64 = 1e-6;

/// A perturbation that is added to any image, in fractions of full scale.
#[derive(Debug, Clone)]
pub struct UniversalPerturbation {
    /// `[3, h, w]`, f32, on the CPU.
    delta: Tensor,
    about: About,
}

/// How a perturbation came about. Names only: neither paths nor anything of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// [`FORMAT_VERSION`] of its writer.
    pub format_version: u32,
    /// How it was trained: `sgd_uap`, `moosavi`; or the name of a control.
    pub method: String,
    /// The norm of `epsilon`: L-inf.
    pub norm: Norm,
    /// The budget it was trained for, in `pixel255` or `unit01`.
    pub epsilon: Epsilon,
    /// The loss it was trained to raise.
    pub loss: Loss,
    /// Seed of the order of images.
    pub seed: u64,
    /// The model it was trained on.
    pub model: MadeOn,
    /// The data sets.
    pub sources: Vec<Source>,
    /// What it does to the images it was trained on.
    pub training: Option<Measured>,
    /// What it does to images it has never seen.
    pub held_out: Option<Measured>,
}

/// A model by its name and the hashes of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeOn {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// SHA-256 of the adapter file, if there was one.
    pub adapter_sha256: Option<String>,
}

/// A data set that a perturbation was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the data set.
    pub set: String,
    /// The prompts of its images.
    pub prompts: Vec<String>,
    /// How many images it was trained on.
    pub training_images: usize,
    /// How many images it was measured on and never trained on.
    pub held_out_images: usize,
}

/// Mean DSC over images, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Of the clean images.
    pub clean_dsc: f64,
    /// Of the same images with the perturbation, as 8-bit files.
    pub dsc: f64,
}

impl UniversalPerturbation {
    /// A perturbation `[3, h, w]` in fractions of full scale.
    ///
    /// # Errors
    /// A tensor of another shape, beyond 1024 rows or columns, with values that are not finite or larger than epsilon;
    /// an epsilon in another norm than L-inf, in `normalised` units or beyond full scale.
    pub fn new(delta: &Tensor, about: About) -> std::result::Result<Self, PerturbationError> {
        let refuse = |reason: String| Err(PerturbationError(reason));
        if about.format_version != FORMAT_VERSION {
            let found = about.format_version;
            return refuse(format!("its format has version {found}, this program reads version {FORMAT_VERSION}"));
        }
        if about.norm != Norm::Linf || about.epsilon.unit() == Unit::Normalised {
            return refuse("its epsilon has to be in linf, in pixel255 or unit01".into());
        }
        let epsilon = about.epsilon();
        if epsilon > 1. {
            return refuse("its epsilon exceeds full scale".into());
        }
        match *delta.dims() {
            [3, h, w] if (1..=MOST_SIDE).contains(&h) && (1..=MOST_SIDE).contains(&w) => {}
            _ => {
                let shape = delta.dims();
                return refuse(format!("its shape is {shape:?}: [3, h, w] with sides of 1 to {MOST_SIDE} is needed"));
            }
        }
        let values = |delta: &Tensor| -> Result<(Tensor, Vec<f32>)> {
            let delta = delta.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
            let values = delta.flatten_all()?.to_vec1()?;
            Ok((delta, values))
        };
        let (delta, values) = values(delta).map_err(|error| PerturbationError(error.to_string()))?;
        if values.iter().any(|value| !value.is_finite()) {
            return refuse("it holds values that are not finite".into());
        }
        let largest = values.iter().fold(0f64, |largest, value| largest.max(f64::from(value.abs())));
        if largest > epsilon * (1. + ROUNDING) {
            return refuse(format!("it reaches {largest:.6} of full scale, more than its epsilon of {epsilon:.6}"));
        }
        Ok(Self { delta, about })
    }

    /// How it came about.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The same perturbation with something else to say about it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn described(&self, about: About) -> std::result::Result<Self, PerturbationError> {
        Self::new(&self.delta, about)
    }

    /// The values `[3, h, w]`, on the CPU.
    pub fn delta(&self) -> &Tensor {
        &self.delta
    }

    /// Height and width.
    pub fn size(&self) -> (usize, usize) {
        (self.delta.dims()[1], self.delta.dims()[2])
    }

    /// The values `[3, h, w]` at another size (height, width). Every value is a mean of values here, so none is larger.
    ///
    /// # Errors
    /// A device that failed.
    pub fn resized(&self, to: (usize, usize), device: &Device) -> Result<Tensor> {
        let delta = self.delta.to_device(device)?;
        if self.size() == to { Ok(delta) } else { Resize::new(self.size(), to, device)?.forward(&delta) }
    }
}

impl About {
    /// The budget in fractions of full scale.
    pub fn epsilon(&self) -> f64 {
        self.epsilon.in_unit(Unit::Unit01, &[1.; 3])
    }

    /// The prompts of all data sets, each once.
    pub fn prompts(&self) -> Vec<&str> {
        let mut all: Vec<_> = self.sources.iter().flat_map(|source| &source.prompts).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
