//! The file that is handed out, and what the model says about exactly that file.

use super::evaluation::Evaluation;
use super::problem::Problem;
use super::tracker::{At, Visited};
use crate::attack::AttackError;
use crate::attack::protocol::Iterate;
use crate::imaging::{Container, Image, Limits, decode, encode};
use crate::oracle::Oracle;

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
    /// The prompt it counts under, if not the problem's.
    pub prompt: Option<String>,
    /// What the model says about `image`.
    pub evaluation: Evaluation,
}

impl Saved {
    fn new(visited: &Visited, problem: &Problem, oracle: &mut dyn Oracle) -> Result<Self, AttackError> {
        // Where the prompt is attacked the image stays as it is.
        let container = if visited.prompt.is_some() { Container::Png } else { problem.container() };
        let (bytes, image) = round_trip(&problem.to_image(&visited.x)?, container)?;
        let prompt = visited.prompt.clone();
        let evaluation = match &prompt {
            Some(prompt) => problem.evaluate_under(prompt, &image, oracle)?,
            None => problem.evaluate(&image, oracle)?,
        };
        Ok(Self { at: visited.at, bytes, container, image, prompt, evaluation })
    }

    /// What another oracle says about the file.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn evaluated_again(&self, problem: &Problem, oracle: &mut dyn Oracle) -> Result<Evaluation, AttackError> {
        match &self.prompt {
            Some(prompt) => problem.evaluate_under(prompt, &self.image, oracle),
            None => problem.evaluate(&self.image, oracle),
        }
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
        Ok(if other.evaluation.beats(&saved.evaluation) { other } else { saved })
    }
}

/// The file of an image, and what is read back from it.
///
/// # Errors
/// A format that cannot hold the image.
pub fn round_trip(image: &Image, container: Container) -> Result<(Vec<u8>, Image), AttackError> {
    let bytes = encode::image(image, container)?;
    // The limits are for files that come from outside.
    let limits = Limits { bytes: u64::MAX, pixels: u64::MAX, side: u32::MAX };
    let image = decode::decode(&bytes, &limits)?.image;
    Ok((bytes, image))
}
