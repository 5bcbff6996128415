//! The bottleneck that may follow a branch, `b + relu(up(relu(down(b))))`.

use std::sync::Arc;

use crate::nn::Activation::Relu;
use crate::nn::buffers::{Buffered, with_scratch};
use crate::nn::frozen::Frozen;
use crate::nn::gemm::View;
use crate::nn::matmul::{Lane, Start};

/// A frozen adapter.
#[derive(Debug, Clone)]
pub(super) struct Bottleneck<T> {
    pub down: Arc<Frozen<T>>,
    pub up: Arc<Frozen<T>>,
}

impl<T: Lane + Buffered> Bottleneck<T> {
    /// Features of the narrow layer: numbers of a row that the gradient needs.
    pub fn inner(&self) -> usize {
        self.down.out()
    }

    /// Adds the adapter's part to `branch`; `kept` takes the narrow layer before its activation.
    pub fn forward(&self, branch: &mut [T], kept: &mut [T]) {
        self.down.apply(View::rows(branch, self.down.inner()), kept);
        self.with_outputs(kept, branch.len(), |outputs| {
            branch.iter_mut().zip(outputs).for_each(|(b, t)| *b += if *t > T::ZERO { *t } else { T::ZERO });
        });
    }

    /// Turns the gradient of the sum into that of the branch.
    pub fn pull_back(&self, kept: &[T], gradient: &mut [T]) {
        self.with_outputs(kept, gradient.len(), |outputs| {
            with_scratch([kept.len()], |[narrow]: [&mut [T]; 1]| {
                outputs.iter_mut().zip(&*gradient).for_each(|(t, d)| *t = if *t > T::ZERO { *d } else { T::ZERO });
                self.up.pull_back(View::rows(outputs, self.up.out()), narrow, Start::Zero);
                Relu.pull_back(kept, narrow);
                self.down.pull_back(View::rows(narrow, self.inner()), gradient, Start::Kept);
            });
        });
    }

    /// The wide layer before its activation.
    fn with_outputs<R>(&self, kept: &[T], len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
        with_scratch([kept.len(), len], |[narrow, outputs]: [&mut [T]; 2]| {
            Relu.apply(kept, narrow);
            self.up.apply(View::rows(narrow, self.inner()), outputs);
            f(outputs)
        })
    }
}
