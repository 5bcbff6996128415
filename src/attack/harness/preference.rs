//! Which of two visited points an attack would rather keep.

use super::evaluation::Evaluation;
use super::measure::measure;
use super::problem::Problem;
use super::success::Criterion;
use super::tracker::Visited;
use crate::attack::AttackError;

/// What an attack looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeks {
    /// The worst mask within the budget.
    Strongest,
    /// The smallest perturbation that meets the criterion of success; the budget only bounds the search.
    Nearest,
}

/// What an attack looks for on one image.
#[derive(Debug, Clone)]
pub struct Preference {
    seeks: Seeks,
    criterion: Criterion,
    clean: Evaluation,
}

impl Preference {
    /// On the image that the model answered with `clean`.
    pub fn new(seeks: Seeks, problem: &Problem, clean: &Evaluation) -> Self {
        Self { seeks, criterion: problem.criterion(), clean: clean.clone() }
    }

    /// Whether an answer meets the criterion of success.
    pub fn meets(&self, evaluation: &Evaluation) -> bool {
        self.criterion.judge(&self.clean, evaluation).met
    }

    /// The model's answer to the clean image under the problem's prompt.
    pub fn clean(&self) -> &Evaluation {
        &self.clean
    }

    /// What is looked for.
    pub fn seeks(&self) -> Seeks {
        self.seeks
    }

    /// Whether `one` is better than `other`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn prefers(&self, one: &Visited, other: &Visited, problem: &Problem) -> Result<bool, AttackError> {
        let met = |visited: &Visited| self.seeks == Seeks::Nearest && self.meets(&visited.evaluation);
        match (met(one), met(other)) {
            (true, true) => {
                let distance =
                    |visited: &Visited| Ok::<_, AttackError>(measure(problem.ball(), &visited.x, None)?.distance);
                let (here, there) = (distance(one)?, distance(other)?);
                Ok(here < there || (here == there && one.evaluation.beats(&other.evaluation, problem)?))
            }
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => one.evaluation.beats(&other.evaluation, problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::attack::harness::tracker::At;
    use crate::attack::{Budget, Epsilon, Norm, Setup, Unit};
    use crate::imaging::{Image, Mask};
    use crate::model::Preprocess;

    /// A point `distance` away from a black image.
    fn point(distance: f64, dsc: f64) -> Visited {
        let x = Tensor::zeros((3, 1, 1), DType::F32, &Device::Cpu).unwrap().affine(1., distance).unwrap();
        let mask = Mask::from_fn(1, 1, |_, _| true);
        let logits = Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap();
        let evaluation = Evaluation { loss: 0., dsc, target_dsc: None, mask, logits };
        Visited { at: At { restart: 0, step: 0 }, x, text: None, evaluation }
    }

    #[test]
    fn success_comes_before_nearness_and_nearness_before_harm() {
        let budget = Budget { norm: Norm::Linf, epsilon: Epsilon::new(1., Unit::Unit01).unwrap() };
        let preprocess = Preprocess { height: 1, width: 1, mean: [0.5; 3], std: [0.5; 3] };
        let image = Image::new(1, 1, vec![0; 3]).unwrap();
        let setup = Setup::new(image, Mask::from_fn(1, 1, |_, _| true), budget, preprocess);
        let problem = Problem::new(setup, &Device::Cpu).unwrap();
        let prefers = |seeks, one: &Visited, other: &Visited| {
            Preference::new(seeks, &problem, &point(0., 0.9).evaluation).prefers(one, other, &problem).unwrap()
        };
        let nearest = |one: &Visited, other: &Visited| prefers(Seeks::Nearest, one, other);
        let (far, near, short) = (point(0.75, 0.1), point(0.5, 0.4), point(0.25, 0.6));
        assert!(nearest(&near, &far) && !nearest(&far, &near));
        assert!(nearest(&far, &short) && !nearest(&short, &near));
        assert!(nearest(&short, &point(0.125, 0.7)), "neither meets the criterion: the harm decides");
        assert!(nearest(&point(0.5, 0.3), &near) && !nearest(&near, &near));
        assert!(prefers(Seeks::Strongest, &far, &near) && prefers(Seeks::Strongest, &near, &short));
    }
}
