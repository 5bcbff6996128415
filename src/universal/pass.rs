//! What one pass over the images amounts to.

use serde::Serialize;

/// One pass over the images, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pass {
    /// Its number, from 1.
    pub pass: usize,
    /// Mean objective at the points that were asked about.
    pub loss: f64,
    /// Mean DSC there, at the network's size.
    pub dsc: f64,
    /// Share of the images that were broken there.
    pub broken: f64,
}

/// Sums over a pass.
#[derive(Debug, Default)]
pub(super) struct Tally {
    images: usize,
    loss: f64,
    dsc: f64,
    broken: usize,
}

impl Tally {
    pub(super) fn add(&mut self, loss: f32, dsc: f64, broken: bool) {
        self.images += 1;
        self.loss += f64::from(loss);
        self.dsc += dsc;
        self.broken += usize::from(broken);
    }

    pub(super) fn pass(&self, pass: usize) -> Pass {
        let images = self.images.max(1) as f64;
        Pass { pass, loss: self.loss / images, dsc: self.dsc / images, broken: self.broken as f64 / images }
    }
}
