//! The engine as an oracle that answers under other prompts too.

use candle_core::Tensor;

use crate::engine::{Engine, EngineError, Row, RowSpec};
use crate::model::ModelError;
use crate::oracle::{Answer, Measure, Oracle, OracleError};

/// One row at a time: under the request's prompt, or under the one that was asked about last.
pub(super) struct AnyPrompt<'a> {
    engine: &'a Engine,
    /// Under the request's prompt.
    spec: RowSpec,
    /// The open row and its prompt; `None` stands for the request's.
    open: Option<(Option<String>, Row)>,
}

impl<'a> AnyPrompt<'a> {
    /// Opens the row.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub(super) fn open(engine: &'a Engine, spec: RowSpec) -> Result<Self, OracleError> {
        let row = engine.open(spec.clone())?;
        Ok(Self { engine, spec, open: Some((None, row)) })
    }

    fn row(&mut self, prompt: Option<&str>) -> Result<&mut Row, OracleError> {
        let open = match self.open.take() {
            Some((under, row)) if under.as_deref() == prompt => (under, row),
            // The old row is closed before the new one is opened: an attack never takes two seats.
            old => {
                drop(old);
                let spec = match prompt {
                    None => self.spec.clone(),
                    Some(prompt) => {
                        let conditioning = self.engine.prepare(prompt).map_err(refused)?;
                        RowSpec { conditioning, ..self.spec.clone() }
                    }
                };
                (prompt.map(str::to_owned), self.engine.open(spec)?)
            }
        };
        Ok(&mut self.open.insert(open).1)
    }
}

fn refused(error: EngineError) -> OracleError {
    match error {
        EngineError::Model(ModelError::Prompt { reason, .. }) => OracleError::Prompt(reason),
        other => OracleError::Model(other.to_string()),
    }
}

impl Oracle for AnyPrompt<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.row(None)?.loss_by(x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.row(None)?.gradient_by(x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.row(None)?.logits(x)
    }

    fn loss_under(&mut self, prompt: &str, x: &Tensor) -> Result<(f32, Tensor), OracleError> {
        self.row(Some(prompt))?.loss(x)
    }
}
