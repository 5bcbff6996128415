//! One attack's access to the engine.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use candle_core::{DType, Device, Tensor, bail};

use super::batch::{Against, Query, Reply};
use super::text::TextQuery;
use super::thread::Command;
use super::{CancelToken, EngineError, Goal, Objective, Seat};
use crate::loss::{Counted, Term};
use crate::model::{Conditioning, ModelError, Preprocess, Resize, TextInput, Vocabulary};
use crate::oracle::{Answer, Measure, Oracle, OracleError, Text, TextAnswer};

/// What the points are that an attack asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The image `[3, h, w]` in [0, 1] at its own size; resizing and normalising belong to what is differentiated.
    Pixels,
    /// The network's input `[3, size, size]`, resized and normalised.
    PixelValues,
}

/// What a row is about.
#[derive(Debug, Clone)]
pub struct RowSpec {
    /// The prompt, from [`super::Engine::prepare`].
    pub conditioning: Conditioning,
    /// What the attack is after.
    pub objective: Objective,
    /// What the points are that the attack asks about.
    pub space: Space,
    /// Stops the attack at its next question.
    pub cancel: CancelToken,
}

/// An open row: answers questions one at a time, each in a batch with those of other rows, under its own prompt or
/// under any other text.
#[derive(Debug)]
pub struct Row {
    spec: RowSpec,
    seat: Seat,
    /// Prepared for the size of the last point; an attack asks about one size only.
    resize: Option<Resize>,
}

impl Row {
    pub(super) fn new(seat: Seat, mut spec: RowSpec) -> Result<Self, OracleError> {
        let input = seat.0.input();
        spec.objective.target = fitted(&spec.objective.target, input, seat.0.device())?;
        Ok(Self { spec, seat, resize: None })
    }

    /// What a question is measured by.
    fn against(&self, measure: &Measure) -> Result<Against, OracleError> {
        let Objective { loss, target, goal, counted } = &self.spec.objective;
        if let Some(weights) = &measure.weights {
            return Ok(Against::Weights(fitted(weights, self.seat.0.input(), self.seat.0.device())?));
        }
        let target = match &measure.target {
            None => target.clone(),
            Some(target) => fitted(target, self.seat.0.input(), self.seat.0.device())?,
        };
        let term = Term::new(measure.loss.unwrap_or(*loss), *goal == Goal::Targeted, measure.progress);
        let counted = measure.counted.as_ref().or(counted.as_ref());
        let counted = counted.map(|counted| counted.to_device(self.seat.0.device())).transpose()?;
        let (input, size) = (self.seat.0.input(), counted.as_ref().map(Counted::size).transpose()?);
        if let Some(size) = size.filter(|size| *size != (input.height, input.width)) {
            let text = format!("the pixels that count are those of {size:?}: resize them to the network's size");
            return Err(OracleError::Model(text));
        }
        Ok(Against::Loss { term, target, counted })
    }

    /// What values and slopes are multiplied with, so that attacks always raise them.
    fn sign(&self, measure: &Measure) -> f32 {
        if measure.weights.is_some() { 1. } else { self.spec.objective.goal.sign() }
    }

    /// Asks about `x` under a prompt and waits for the answer.
    fn ask(
        &mut self,
        x: &Tensor,
        conditioning: Conditioning,
        gradient_of: Option<Against>,
    ) -> Result<Reply, OracleError> {
        self.stop_if_cancelled()?;
        let (reply, answer) = sync_channel(1);
        let (pixel_values, cancel) = (self.pixel_values(x)?, self.spec.cancel.clone());
        self.send(Command::Query(Query { pixel_values, conditioning, gradient_of, cancel, reply }))?;
        answer.recv().map_err(|_| self.stopped())?
    }

    /// Asks for the gradient to a text.
    fn ask_about_text(&mut self, x: &Tensor, text: TextInput, gradient_of: Against) -> Result<Reply, OracleError> {
        self.stop_if_cancelled()?;
        let (reply, answer) = sync_channel(1);
        let (pixel_values, cancel) = (self.pixel_values(x)?, self.spec.cancel.clone());
        self.send(Command::Text(TextQuery { pixel_values, text, gradient_of, cancel, reply }))?;
        answer.recv().map_err(|_| self.stopped())?
    }

    fn stop_if_cancelled(&self) -> Result<(), OracleError> {
        if self.spec.cancel.is_cancelled() { Err(OracleError::Cancelled) } else { Ok(()) }
    }

    fn send(&self, command: Command) -> Result<(), OracleError> {
        self.seat.0.0.inbox.send(command).map_err(|_| self.stopped())
    }

    fn stopped(&self) -> OracleError {
        OracleError::Model(self.seat.0.0.why_stopped())
    }

    /// A text after the text tower.
    fn conditioning(&self, text: &Text) -> Result<Conditioning, OracleError> {
        match text {
            Text::Embedding(embedding) => Ok(Conditioning(embedding.to_device(self.seat.0.device())?)),
            Text::Prompt(prompt) => self.seat.0.prepare(prompt).map_err(|error| match error {
                EngineError::Model(error) => refused(error),
                other => OracleError::Model(other.to_string()),
            }),
        }
    }

    fn loss_with(
        &mut self,
        conditioning: Conditioning,
        x: &Tensor,
        measure: &Measure,
    ) -> Result<(f32, Tensor), OracleError> {
        let against = self.against(measure)?;
        let logits = self.ask(x, conditioning, None)?.logits;
        let value = against.value(&logits)?.to_scalar::<f32>()?;
        if !value.is_finite() {
            let loss = measure.loss.unwrap_or(self.spec.objective.loss);
            return Err(OracleError::Model(format!("the {loss} loss is {value}: the model's logits are not usable")));
        }
        Ok((self.sign(measure) * value, logits.to_device(x.device())?))
    }

    fn gradient_with(
        &mut self,
        conditioning: Conditioning,
        x: &Tensor,
        measure: &Measure,
    ) -> Result<Answer, OracleError> {
        let (asked, sign) = (self.against(measure)?, self.sign(measure));
        let reply = self.ask(x, conditioning, Some(asked))?;
        let (value, gradient) = reply.gradient.ok_or_else(|| OracleError::Gradient("missing".into()))?;
        Ok(Answer {
            loss: sign * value,
            gradient: self.pull_back(&gradient, x, sign)?,
            logits: reply.logits.to_device(x.device())?,
        })
    }

    /// The network's input for a point.
    fn pixel_values(&mut self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (channels, height, width) = x.dims3()?;
        if channels != 3 || x.dtype() != DType::F32 {
            bail!("a point must be [3, height, width] in f32, found {:?} in {:?}", x.dims(), x.dtype());
        }
        let input = self.seat.0.input();
        let x = x.detach().to_device(self.seat.0.device())?;
        match self.spec.space {
            Space::Pixels => {
                let resize = prepared(&mut self.resize, input, (height, width), x.device())?;
                input.forward_through(resize, &x)
            }
            Space::PixelValues if (height, width) == (input.height, input.width) => Ok(x),
            Space::PixelValues => {
                bail!("the network's input is {}x{}, found {height}x{width}", input.height, input.width)
            }
        }
    }

    /// A gradient with respect to the network's input, as one with respect to `x`.
    fn pull_back(&mut self, gradient: &Tensor, x: &Tensor, sign: f32) -> candle_core::Result<Tensor> {
        let (_, height, width) = x.dims3()?;
        let gradient = if sign < 0. { gradient.neg()? } else { gradient.clone() };
        let gradient = match self.spec.space {
            Space::Pixels => {
                let input = self.seat.0.input();
                let resize = prepared(&mut self.resize, input, (height, width), gradient.device())?;
                input.pull_back_through(resize, &gradient)?
            }
            Space::PixelValues => gradient,
        };
        gradient.to_device(x.device())
    }
}

/// A mask as the engine compares with it.
fn fitted(target: &Tensor, input: &Preprocess, device: &Device) -> Result<Tensor, OracleError> {
    if target.dims() != [input.height, input.width] {
        let (found, height, width) = (target.dims(), input.height, input.width);
        let text = format!("the target mask is {found:?}: resize it to the network's {height}x{width}");
        return Err(OracleError::Model(text));
    }
    Ok(target.detach().to_dtype(DType::F32)?.to_device(device)?)
}

/// The resizing for a size, made anew only if the last one was for another.
fn prepared<'a>(
    kept: &'a mut Option<Resize>,
    input: &Preprocess,
    from: (usize, usize),
    device: &Device,
) -> candle_core::Result<&'a Resize> {
    let resize = match kept.take() {
        Some(resize) if resize.from() == from => resize,
        _ => input.resize(from, device)?,
    };
    Ok(kept.insert(resize))
}

fn refused(error: ModelError) -> OracleError {
    match error {
        ModelError::Prompt { reason, .. } => OracleError::Prompt(reason),
        other => OracleError::Model(other.to_string()),
    }
}

impl Oracle for Row {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.loss_with(self.spec.conditioning.clone(), x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.gradient_with(self.spec.conditioning.clone(), x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        Ok(self.ask(x, self.spec.conditioning.clone(), None)?.logits.to_device(x.device())?)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.loss_with(self.conditioning(text)?, x, measure)
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.gradient_with(self.conditioning(text)?, x, measure)
    }

    fn text_gradient(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<TextAnswer, OracleError> {
        let input = match text {
            Text::Prompt(prompt) => TextInput::Tokens(self.vocabulary()?.ids(prompt).map_err(refused)?),
            Text::Embedding(_) => TextInput::Conditioning(self.conditioning(text)?),
        };
        let (asked, sign) = (self.against(measure)?, self.sign(measure));
        let reply = self.ask_about_text(x, input, asked)?;
        let (value, gradient) = reply.gradient.ok_or_else(|| OracleError::Gradient("missing".into()))?;
        Ok(TextAnswer {
            loss: sign * value,
            gradient: (gradient * f64::from(sign))?.to_device(x.device())?,
            logits: reply.logits.to_device(x.device())?,
        })
    }

    fn embedding(&mut self, prompt: &str) -> Result<Tensor, OracleError> {
        Ok(self.conditioning(&Text::Prompt(prompt.into()))?.0)
    }

    fn vocabulary(&self) -> Result<Arc<Vocabulary>, OracleError> {
        let missing = || OracleError::Prompt("this model does not read its prompt as tokens".into());
        self.seat.0.vocabulary().ok_or_else(missing)
    }
}
