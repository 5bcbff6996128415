//! The file that is handed out, and what the model says about exactly that file.

use candle_core::Tensor;

use super::evaluation::Evaluation;
use super::preference::{Preference, Seeks};
use super::problem::Problem;
use super::tracker::{At, Visited};
use crate::attack::AttackError;
use crate::attack::protocol::Iterate;
use crate::imaging::{Container, Image, Limits, decode, encode};
use crate::oracle::{Oracle, Text};

/// By how much a perturbation is enlarged, one after the other, until its file does what it did before rounding.
const ENLARGED: [f64; 6] = [1.1, 1.25, 1.5, 2., 3., 4.];

/// An adversarial image as a file.
#[derive(Debug, Clone)]
pub struct Saved {
    /// When the point that was rounded to it was visited.
    pub at: At,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub container: Container,
    /// What is read back from the file.
    pub image: Image,
    /// The text it counts under, if not the problem's prompt.
    pub text: Option<Text>,
    /// What the model says about `image`.
    pub evaluation: Evaluation,
}

impl Saved {
    fn new(visited: &Visited, problem: &Problem, oracle: &mut dyn Oracle) -> Result<Self, AttackError> {
        let text = visited.text.clone();
        let container = container(problem, text.as_ref());
        let (bytes, image) = round_trip(&problem.to_image(&visited.x)?, container)?;
        let evaluation = problem.evaluate_under(text.as_ref(), &image, oracle)?;
        Ok(Self { at: visited.at, bytes, container, image, text, evaluation })
    }

    /// What another oracle says about the file.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn evaluated_again(&self, problem: &Problem, oracle: &mut dyn Oracle) -> Result<Evaluation, AttackError> {
        problem.evaluate_under(self.text.as_ref(), &self.image, oracle)
    }

    /// The file of `bytes` about which the model gave this answer before.
    ///
    /// # Errors
    /// Bytes that are no image.
    pub(super) fn again(
        (at, text, bytes): (At, Option<Text>, Vec<u8>),
        (loss, logits): (f32, &Tensor),
        problem: &Problem,
    ) -> Result<Self, AttackError> {
        let image = read(&bytes)?;
        let container = container(problem, text.as_ref());
        Ok(Self { at, bytes, container, image, text, evaluation: problem.score(loss, logits)? })
    }

    /// The file of a restart: [`Self::better_of`] its best point and its last, or [`Self::nearest`].
    ///
    /// # Errors
    /// Those of the oracle, and a format that cannot hold the image.
    pub(super) fn of(
        best: &Visited,
        last: &Visited,
        (problem, preference): (&Problem, &Preference),
        oracle: &mut dyn Oracle,
    ) -> Result<Self, AttackError> {
        match preference.seeks() {
            Seeks::Strongest => Self::better_of(best, last, problem, oracle),
            Seeks::Nearest => Self::nearest(best, (problem, preference), oracle),
        }
    }

    /// The smallest perturbations are finer than the levels of a file, and rounding undoes them: a point that meets
    /// the criterion is moved outwards within the budget until its file meets it too. Where that fails, or the point
    /// does not meet the criterion itself, its own file is kept.
    fn nearest(
        best: &Visited,
        (problem, preference): (&Problem, &Preference),
        oracle: &mut dyn Oracle,
    ) -> Result<Self, AttackError> {
        let saved = Self::new(best, problem, oracle)?;
        if preference.meets(&saved.evaluation) || !preference.meets(&best.evaluation) {
            return Ok(saved);
        }
        let ball = problem.ball();
        let perturbation = (&best.x - ball.clean())?;
        for factor in ENLARGED {
            let x = ball.project(&(ball.clean() + (&perturbation * factor)?)?)?;
            let larger = Self::new(&Visited { x, ..best.clone() }, problem, oracle)?;
            if preference.meets(&larger.evaluation) {
                return Ok(larger);
            }
        }
        Ok(saved)
    }

    /// Rounding may spoil the best point more than the last one: writes both, asks the model about
    /// both files and keeps the better.
    ///
    /// # Errors
    /// Those of the oracle, and a format that cannot hold the image.
    pub fn better_of(
        best: &Visited,
        last: &Visited,
        problem: &Problem,
        oracle: &mut dyn Oracle,
    ) -> Result<Self, AttackError> {
        let saved = Self::new(best, problem, oracle)?;
        if best.at == last.at || problem.setup().choices.iterate == Iterate::Last {
            return Ok(saved);
        }
        let other = Self::new(last, problem, oracle)?;
        Ok(if other.evaluation.beats(&saved.evaluation, problem)? { other } else { saved })
    }
}

/// Where the text alone is attacked the image stays as it is.
fn container(problem: &Problem, text: Option<&Text>) -> Container {
    let stays = text.is_some() && problem.setup().budget.is_none();
    if stays { Container::Png } else { problem.container() }
}

/// The file of an image, and what is read back from it.
///
/// # Errors
/// A format that cannot hold the image.
pub fn round_trip(image: &Image, container: Container) -> Result<(Vec<u8>, Image), AttackError> {
    let bytes = encode::image(image, container)?;
    let image = read(&bytes)?;
    Ok((bytes, image))
}

fn read(bytes: &[u8]) -> Result<Image, AttackError> {
    // The limits are for files that come from outside.
    let limits = Limits { bytes: u64::MAX, pixels: u64::MAX, side: u32::MAX };
    Ok(decode::decode(bytes, &limits)?.image)
}
