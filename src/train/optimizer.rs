//! AdamW (Loshchilov & Hutter 2019) with gradient clipping and an average of the weights.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::variables::Variables;

/// Settings that stay the same over a run.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Decay per step and unit of learning rate, on matrices only.
    pub weight_decay: f64,
    /// Largest 2-norm of the whole gradient.
    pub clip: f64,
    /// Weight of the past in the average of the weights.
    pub averaging: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.05, clip: 1., averaging: 0.998 }
    }
}

/// First and second moment and the running average of one variable.
#[derive(Debug, Clone, Default)]
pub(super) struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub average: Vec<f32>,
}

/// What the optimiser remembers between steps.
#[derive(Debug, Clone, Default)]
pub struct Optimizer {
    pub(super) step: usize,
    pub(super) moments: BTreeMap<String, Moments>,
}

impl Optimizer {
    /// Moves every variable that has a gradient; answers the gradient's 2-norm before clipping.
    ///
    /// # Errors
    /// A gradient that is not finite: the step is refused.
    pub fn step(&mut self, settings: &AdamW, rate: f64, variables: &Variables, gradients: &GradStore) -> Result<f64> {
        let mut work = Vec::new();
        for (name, var) in variables.iter() {
            if let Some(gradient) = gradients.get(var.as_tensor()) {
                work.push((name, var, gradient.flatten_all()?.to_vec1::<f32>()?, var.flatten_all()?.to_vec1::<f32>()?));
            }
        }
        let norm = work.par_iter().map(|(_, _, g, _)| squares(g)).collect::<Vec<_>>().iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            candle_core::bail!("the gradient of the weights is not finite at step {}", self.step);
        }
        self.step += 1;
        let update = Update {
            settings: *settings,
            rate,
            scale: (settings.clip / norm.max(1e-12)).min(1.),
            correction1: 1. - settings.beta1.powi(self.step as i32),
            correction2: 1. - settings.beta2.powi(self.step as i32),
            // a short memory at first, so that the average does not hold on to the start
            averaging: settings.averaging.min((1. + self.step as f64) / (10. + self.step as f64)),
        };
        let mut with_moments: Vec<_> = work
            .into_iter()
            .map(|(name, var, gradient, weights)| {
                let moments = self.moments.remove(name).unwrap_or_else(|| Moments {
                    first: vec![0.; weights.len()],
                    second: vec![0.; weights.len()],
                    average: weights.clone(),
                });
                (name, var, gradient, weights, moments)
            })
            .collect();
        with_moments.par_iter_mut().for_each(|(_, var, gradient, weights, moments)| {
            update.apply(gradient, weights, moments, var.rank() > 1);
        });
        for (name, var, _, weights, moments) in with_moments {
            var.set(&Tensor::from_vec(weights, var.shape(), &Device::Cpu)?)?;
            self.moments.insert(name.into(), moments);
        }
        Ok(norm)
    }

    /// The averaged weights; a variable that never had a gradient stays as it is.
    ///
    /// # Errors
    /// A failed copy.
    pub fn averaged(&self, variables: &Variables) -> Result<Variables> {
        let mut averaged = variables.clone();
        for (name, var) in variables.iter() {
            if let Some(moments) = self.moments.get(name) {
                averaged.insert(name, &Tensor::from_slice(&moments.average, var.shape(), &Device::Cpu)?)?;
            }
        }
        Ok(averaged)
    }
}

struct Update {
    settings: AdamW,
    rate: f64,
    scale: f64,
    correction1: f64,
    correction2: f64,
    averaging: f64,
}

impl Update {
    fn apply(&self, gradient: &[f32], weights: &mut [f32], moments: &mut Moments, is_matrix: bool) {
        let AdamW { beta1, beta2, epsilon, weight_decay, .. } = self.settings;
        let (b1, b2, keep) = (beta1 as f32, beta2 as f32, self.averaging as f32);
        let scale = self.scale as f32;
        let rate = (self.rate / self.correction1) as f32;
        let root = (1. / self.correction2.sqrt()) as f32;
        let decay = if is_matrix { (1. - self.rate * weight_decay) as f32 } else { 1. };
        let states = moments.first.iter_mut().zip(&mut moments.second).zip(&mut moments.average);
        for ((w, g), ((m, v), average)) in weights.iter_mut().zip(gradient).zip(states) {
            let g = g * scale;
            *m = b1 * *m + (1. - b1) * g;
            *v = b2 * *v + (1. - b2) * g * g;
            *w = *w * decay - rate * *m / (v.sqrt() * root + epsilon as f32);
            *average = keep * *average + (1. - keep) * *w;
        }
    }
}

fn squares(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum()
}

/// Learning rate after a share of the run: linear warm-up, then a cosine to zero.
pub fn learning_rate(peak: f64, step: usize, warm_up: usize, progress: f64) -> f64 {
    let ramp = ((step + 1) as f64 / warm_up.max(1) as f64).min(1.);
    peak * ramp * 0.5 * (1. + (std::f64::consts::PI * progress.clamp(0., 1.)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clipseg::Parameters;

    #[test]
    fn finds_the_minimum_of_a_quadratic() -> Result<()> {
        let mut variables = Variables::new(1);
        let mut optimizer = Optimizer::default();
        let settings = AdamW { weight_decay: 0., averaging: 0.9, ..AdamW::default() };
        for step in 0..400 {
            let x = variables.take("x.weight", &[3, 2]).expect("a variable");
            let gradients = (x - 2.)?.sqr()?.sum_all()?.backward()?;
            let rate = learning_rate(0.1, step, 10, step as f64 / 400.);
            optimizer.step(&settings, rate, &variables, &gradients)?;
        }
        for (_, var) in variables.iter().chain(optimizer.averaged(&variables)?.iter()) {
            for x in var.flatten_all()?.to_vec1::<f32>()? {
                assert!((x - 2.).abs() < 1e-2, "{x}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_refused() -> Result<()> {
        let mut variables = Variables::new(1);
        let x = variables.take("x.weight", &[2]).expect("a variable");
        let gradients = (x * f64::NAN)?.sum_all()?.backward()?;
        assert!(Optimizer::default().step(&AdamW::default(), 0.1, &variables, &gradients).is_err());
        Ok(())
    }

    #[test]
    fn the_rate_warms_up_and_ends_at_zero() {
        assert!(learning_rate(1., 0, 10, 0.) < 0.11);
        assert!((learning_rate(1., 10, 10, 0.) - 1.).abs() < 1e-12);
        assert!(learning_rate(1., 99, 10, 1.) < 1e-12);
    }
}
