//! A model small enough to be checked by hand: a product with the prompt's vector, then a 3x3 blur.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use candle_core::{Device, Tensor};

use crate::model::{Conditioning, ModelError, Preprocess, Question, SegmentationModel};

/// Height and width of the toy's input and output.
pub(super) const SIZE: usize = 8;

/// Logits are linear in the image; a prompt's letters are its vector, so `"nan"` can poison a row.
pub(super) struct Toy {
    pub(super) preprocess: Preprocess,
    pub(super) signals: Signals,
    /// What it says that a row needs.
    pub(super) bytes_per_row: Option<u64>,
    /// How long a call takes, and how much longer for each row.
    pub(super) pause: Duration,
    pub(super) pause_per_row: Duration,
    /// Whether one row that is not finite fails its whole batch.
    pub(super) strict: bool,
}

/// What a test can see and steer from outside the engine.
#[derive(Clone)]
pub(super) struct Signals {
    pub(super) panic: Arc<AtomicBool>,
    pub(super) prompts: Arc<AtomicUsize>,
    pub(super) calls: Arc<AtomicUsize>,
    /// Rows that fit into the imagined memory.
    pub(super) fits: Arc<AtomicUsize>,
}

impl Default for Toy {
    fn default() -> Self {
        let preprocess = Preprocess { height: SIZE, width: SIZE, mean: [0.48, 0.45, 0.4], std: [0.22, 0.225, 0.23] };
        let pause = Duration::ZERO;
        Self {
            preprocess,
            signals: Signals::default(),
            bytes_per_row: None,
            pause,
            pause_per_row: pause,
            strict: false,
        }
    }
}

impl Default for Signals {
    fn default() -> Self {
        let fits = Arc::new(AtomicUsize::new(usize::MAX));
        Self { panic: Arc::default(), prompts: Arc::default(), calls: Arc::default(), fits }
    }
}

impl Signals {
    /// Whether the model is gone, that is whether this is the last copy.
    pub(super) fn model_is_freed(&self) -> bool {
        Arc::strong_count(&self.calls) == 1
    }
}

impl Toy {
    fn enter(&self, rows: usize) -> Result<(), ModelError> {
        self.signals.calls.fetch_add(1, Ordering::SeqCst);
        assert!(!self.signals.panic.load(Ordering::SeqCst), "a bug in the model");
        if rows > self.signals.fits.load(Ordering::SeqCst) {
            return Err(candle_core::Error::msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY)").into());
        }
        std::thread::sleep(self.pause + self.pause_per_row * rows as u32);
        Ok(())
    }

    fn each(&self, x: &Tensor, prompts: &[Conditioning], f: Linear) -> Result<Tensor, ModelError> {
        let rows = prompts.iter().enumerate().map(|(i, prompt)| f(&x.get(i)?, &prompt.0.reshape((3, 1, 1))?));
        Ok(Tensor::stack(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
    }
}

type Linear = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

fn forward(x: &Tensor, prompt: &Tensor) -> candle_core::Result<Tensor> {
    let blur = blur()?;
    blur.matmul(&x.broadcast_mul(prompt)?.sum(0)?)?.matmul(&blur.t()?)
}

fn transpose(cotangent: &Tensor, prompt: &Tensor) -> candle_core::Result<Tensor> {
    let blur = blur()?;
    blur.t()?.matmul(cotangent)?.matmul(&blur)?.unsqueeze(0)?.broadcast_mul(prompt)
}

/// One axis of the 3x3 kernel, deliberately lopsided, as a matrix.
fn blur() -> candle_core::Result<Tensor> {
    let weight = |i: usize, j: usize| match j as isize - i as isize {
        -1 => 0.3f32,
        0 => 0.9,
        1 => -0.2,
        _ => 0.,
    };
    let values: Vec<f32> = (0..SIZE * SIZE).map(|at| weight(at / SIZE, at % SIZE)).collect();
    Tensor::from_vec(values, (SIZE, SIZE), &Device::Cpu)
}

impl SegmentationModel for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn bytes_per_row(&self, _: Question) -> Option<u64> {
        self.bytes_per_row
    }

    fn prepare_prompt(&self, prompt: &str) -> Result<Conditioning, ModelError> {
        self.signals.prompts.fetch_add(1, Ordering::SeqCst);
        if prompt.is_empty() {
            return Err(ModelError::Prompt { prompt: prompt.into(), reason: "is empty".into() });
        }
        let letter = |i: usize| match prompt {
            "nan" => f32::NAN,
            _ => f32::from(prompt.as_bytes()[i % prompt.len()] % 16) / 8. - 1.06,
        };
        Ok(Conditioning(Tensor::new(&[letter(0), letter(1), letter(2)], &Device::Cpu)?))
    }

    fn logits(&self, pixel_values: &Tensor, prompts: &[Conditioning]) -> Result<Tensor, ModelError> {
        self.enter(prompts.len())?;
        self.each(pixel_values, prompts, forward)
    }

    fn logits_and_vjp(
        &self,
        pixel_values: &Tensor,
        prompts: &[Conditioning],
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.enter(prompts.len())?;
        let logits = self.each(pixel_values, prompts, forward)?;
        let gradient = self.each(&cotangent(&logits)?, prompts, transpose)?;
        if self.strict && gradient.sum_all()?.to_scalar::<f32>()?.is_nan() {
            return Err(ModelError::Gradient("not finite"));
        }
        Ok((logits, gradient))
    }
}
