//! PGD on what the text encoder makes of the prompt: as bad as texts near the prompt could be.

use candle_core::DType;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::projection::{Ball, length};
use super::{Attack, AttackError, Norm, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle, Text};

/// All steps together reach the edge of the ball two and a half times.
const REACH: f64 = 2.5;

/// Two vectors of one length are at most twice that apart.
const MOST_RADIUS: f64 = 4.;

/// Projected gradient steps on the conditional vector that the decoder gets from the text encoder, in an L2 ball around
/// the prompt's, on the unchanged image. It needs no text that has such a vector, so it bounds what texts within
/// the ball can do, as far as PGD finds it; the step is `2.5 radius / steps` along the gradient over its length.
///
/// Madry et al. 2018, arXiv 1706.06083, in the space of Miyato et al. 2017, arXiv 1605.07725.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptEmbedding {
    /// Radius of the ball, as a multiple of the vector's own L2 length: above 0 and at most 4.
    #[schema(exclusive_minimum = 0, maximum = 4)]
    pub radius: f64,
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
}

impl Default for PromptEmbedding {
    fn default() -> Self {
        Self { radius: 0.5, steps: 20 }
    }
}

impl Attack for PromptEmbedding {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")?;
        if !(self.radius > 0. && self.radius <= MOST_RADIUS) {
            return Err(steps::refused("radius", self.radius, "use more than 0 and at most 4"));
        }
        Ok(())
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn notes(&self, _problem: &Problem) -> Vec<String> {
        vec![format!(
            "the prompt's embedding was moved by up to {} % of its length, and no text need exist that has such an \
             embedding: this is an upper bound on texts as near as that, not a prompt that can be typed",
            100. * self.radius
        )]
    }

    fn points(&self) -> u64 {
        steps::walks(self.steps, 1)
    }

    fn variant(&self) -> Option<String> {
        Some(format!("radius {}", self.radius))
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let x = problem.ball().clean();
        let own = oracle.embedding(&problem.setup().prompt)?;
        let radius = self.radius * length(&own)?.to_scalar::<f64>()?;
        let ball = Ball::new(&own, (Norm::L2, radius), None, None)?;
        let alpha = REACH * radius / self.steps as f64;
        let mut embedding = log.resume().map_or(own, |[embedding]| embedding);
        for step in log.step()..self.steps {
            let text = Text::Embedding(embedding.clone());
            log.turn_to(text.clone(), None);
            log.keep([&embedding]);
            let answer = oracle.text_gradient(&text, x, &Measure::after(step, self.steps))?;
            if answer.gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()? == 0. {
                log.remark("the gradient to the text is exactly 0: the objective does not see the text here".into());
            }
            log.visit_text(x, &answer)?;
            embedding = ball.advance(&embedding, &answer.gradient, alpha)?;
        }
        log.turn_to(Text::Embedding(embedding.clone()), None);
        log.keep([&embedding]);
        log.finish(x, oracle)
    }
}
