//! What a defence is worth, as it stands in `result.json`.

use serde::Serialize;
use utoipa::ToSchema;

use super::defended::Beside;
use crate::attack::{AttackError, Outcome, Problem};
use crate::metric::statistics::mean;
use crate::oracle::defended::Defence;

/// The defence and four scores. The scores of the result itself are those of the adaptive attack.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DefenceResult {
    /// The defence and its parameters.
    pub defence: Defence,
    /// How the adaptive attack got through it.
    pub gradient: DefenceGradient,
    /// How often the model is asked for one answer of the defended model.
    pub samples: usize,
    /// DSC of the undefended model on the clean image.
    pub undefended_clean_dsc: f64,
    /// DSC of the undefended model on the file of the attack that did not know the defence.
    pub undefended_attacked_dsc: f64,
    /// DSC of the defended model on that file: what defences are often published with.
    pub oblivious_dsc: f64,
    /// Whether that file meets the criterion.
    pub oblivious_success: bool,
    /// DSC of the defended model on the file of the attack that knew the defence: the headline.
    pub adaptive_dsc: f64,
    /// The lower of the two: no attack should be weaker for knowing more.
    pub worst_dsc: f64,
    /// DSC of the adaptive attack's file under fresh draws of a random defence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repeated: Option<Repeated>,
}

/// How an attack gets a gradient through a defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefenceGradient {
    /// The defence is linear: its transpose.
    Exact,
    /// The defence has no useful derivative: the identity in its place (BPDA).
    StraightThrough,
    /// The defence is random: the mean over draws (EOT), each of them exact.
    MeanOverDraws,
    /// The model is asked under several prompts: the mean over them, each of them exact.
    MeanOverPrompts,
}

/// One score under several draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Repeated {
    /// How often.
    pub draws: usize,
    /// The lowest.
    pub lowest_dsc: f64,
    /// The mean.
    pub mean_dsc: f64,
    /// The highest.
    pub highest_dsc: f64,
}

impl DefenceResult {
    pub(super) fn new((defence, prompt): (&Defence, &str), adaptive: &Outcome, beside: &Beside) -> Self {
        let transformation = defence.transformation();
        let prompts = 1 + transformation.companions(prompt).len();
        let (adaptive_dsc, oblivious_dsc) = (adaptive.file.evaluation.dsc, beside.oblivious.dsc);
        Self {
            gradient: match (transformation.is_exact(), transformation.samples(), prompts) {
                (true, 1, 1) => DefenceGradient::Exact,
                (true, 1, _) => DefenceGradient::MeanOverPrompts,
                (true, ..) => DefenceGradient::MeanOverDraws,
                (false, ..) => DefenceGradient::StraightThrough,
            },
            samples: transformation.samples() * prompts,
            undefended_clean_dsc: beside.undefended_clean.dsc,
            undefended_attacked_dsc: beside.oblivious_file.evaluation.dsc,
            oblivious_dsc,
            oblivious_success: beside.oblivious_success.met,
            adaptive_dsc,
            worst_dsc: adaptive_dsc.min(oblivious_dsc),
            repeated: Repeated::of(&beside.repeated_dsc),
            defence: defence.clone(),
        }
    }

    /// What the reader should know of these numbers. For a targeted goal a lower DSC is not the aim.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn notes(
        &self,
        (problem, adaptive): (&Problem, &Outcome),
        beside: &Beside,
    ) -> Result<Vec<String>, AttackError> {
        let mut notes = vec![format!(
            "the model is behind the defence {}: all scores are those of an attack that knows it; an attack that does not \
             leaves a DSC of {:.3}",
            self.defence.name(),
            self.oblivious_dsc
        )];
        if beside.oblivious.beats(&adaptive.file.evaluation, problem)? {
            notes.push(
                "the attack that knows the defence is weaker than the one that does not: it does not measure the defence, \
                 take more steps"
                    .into(),
            );
        }
        Ok(notes)
    }
}

impl Repeated {
    fn of(scores: &[f64]) -> Option<Self> {
        Some(Self {
            draws: scores.len(),
            lowest_dsc: scores.iter().copied().min_by(f64::total_cmp)?,
            mean_dsc: mean(scores)?,
            highest_dsc: scores.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}
