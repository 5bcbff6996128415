//! Why an attempt failed, in words for the caller; the log gets the rest.

use crate::artifact::ArtifactError;
use crate::attack::AttackError;
use crate::engine::EngineError;
use crate::evaluation::RunError;
use crate::imaging::ImagingError;
use crate::jobs::Failure;
use crate::jobs::spec::parameter_pointer;
use crate::metric::MetricError;
use crate::model::ModelError;
use crate::oracle::OracleError;

/// What an attempt ended with that is no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// The attack was told to stop, and did.
    Stopped,
    /// The request can never work: bad input, or a gradient that is missing.
    Final(Failure),
    /// Another attempt may work: the device or the storage.
    Passing(Failure),
}

impl Fault {
    fn input(pointer: impl Into<Option<String>>, detail: impl ToString) -> Self {
        Self::Final(Failure { code: "bad_input".into(), detail: detail.to_string(), pointer: pointer.into() })
    }

    fn gradient(detail: impl ToString) -> Self {
        Self::Final(Failure { code: "gradient".into(), detail: detail.to_string(), pointer: None })
    }

    /// What the device says goes to the log only: it may hold addresses and paths.
    pub(super) fn device(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "the model or its device failed");
        Self::passing("device", "the model or its device failed: submit again later, or ask the operator")
    }

    /// The attack's thread is gone without an answer.
    pub(super) fn panicked() -> Self {
        Self::passing("device", "the attack ended by a fault of this program: tell its operator the attack's id")
    }

    /// Another worker may hold the model.
    pub(super) fn not_held(model: &str) -> Self {
        let detail = format!(
            "the worker that holds the attacked model does not hold {model:?}: leave it out of transfer_to, or have \
             its operator serve both models in one process"
        );
        Self::Passing(Failure { code: "not_held".into(), detail, pointer: Some("/spec/transfer_to".into()) })
    }

    fn passing(code: &str, detail: &str) -> Self {
        Self::Passing(Failure { code: code.into(), detail: detail.into(), pointer: None })
    }
}

impl From<ArtifactError> for Fault {
    fn from(error: ArtifactError) -> Self {
        Self::passing("storage", &error.to_string())
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Engine(error) => error.into(),
            RunError::Attack(error) => error.into(),
            RunError::Oracle(error) => error.into(),
            RunError::Imaging(error) => error.into(),
            RunError::Metric(error) => error.into(),
            RunError::Tensor(error) => Self::device(&error),
        }
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Model(ModelError::Prompt { .. }) => Self::input("/spec/prompt".to_owned(), error),
            EngineError::Model(ModelError::Gradient(_)) => Self::gradient(error),
            EngineError::Model(ModelError::Tensor(_))
            | EngineError::Stopped(_)
            | EngineError::Spawn(_)
            | EngineError::Memory { .. } => Self::device(&error),
        }
    }
}

impl From<AttackError> for Fault {
    fn from(error: AttackError) -> Self {
        match error {
            AttackError::Parameter { name, .. } => Self::input(parameter_pointer(name), error),
            AttackError::Size { what, .. } => Self::input(parameter_pointer(what), error),
            AttackError::Budget(_) => Self::input("/spec/budget/epsilon".to_owned(), error),
            AttackError::Loss(_) => Self::gradient(error),
            AttackError::Oracle(error) => error.into(),
            AttackError::Imaging(error) => error.into(),
            AttackError::Metric(error) => error.into(),
            AttackError::Tensor(error) => Self::device(&error),
        }
    }
}

impl From<OracleError> for Fault {
    fn from(error: OracleError) -> Self {
        match error {
            OracleError::Cancelled => Self::Stopped,
            OracleError::Gradient(_) => Self::gradient(error),
            OracleError::Prompt(_) => Self::input("/spec/prompt".to_owned(), error),
            OracleError::Full { .. } | OracleError::Model(_) | OracleError::Tensor(_) => Self::device(&error),
        }
    }
}

impl From<ImagingError> for Fault {
    fn from(error: ImagingError) -> Self {
        match error {
            ImagingError::Tensor(_) | ImagingError::Io { .. } => Self::device(&error),
            _ => Self::input("/image".to_owned(), error),
        }
    }
}

impl From<MetricError> for Fault {
    fn from(error: MetricError) -> Self {
        Self::input(None, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: impl Into<RunError>) -> (String, bool, Option<String>) {
        match Fault::from(error.into()) {
            Fault::Stopped => ("stopped".into(), false, None),
            Fault::Final(failure) => (failure.code, false, failure.pointer),
            Fault::Passing(failure) => (failure.code, true, failure.pointer),
        }
    }

    #[test]
    fn only_faults_of_device_and_storage_are_worth_another_attempt() {
        let passing = |code: &str| (code.to_owned(), true, None);
        assert_eq!(code(EngineError::Stopped("the model panicked".into())), passing("device"));
        assert_eq!(code(AttackError::Oracle(OracleError::Model("CUDA_ERROR_OUT_OF_MEMORY".into()))), passing("device"));
        assert_eq!(code(OracleError::Full { rows: 256 }), passing("device"));
        assert_eq!(code(OracleError::Gradient("zero".into())), ("gradient".into(), false, None));
        assert_eq!(code(AttackError::Loss(f32::NAN)), ("gradient".into(), false, None));
        let prompt = ModelError::Prompt { prompt: "?".into(), reason: "is empty".into() };
        assert_eq!(code(EngineError::Model(prompt)), ("bad_input".into(), false, Some("/spec/prompt".into())));
        let steps = AttackError::Parameter { name: "steps", value: "0".into(), rule: "take at least one step" };
        assert_eq!(code(steps), ("bad_input".into(), false, Some("/spec/attack/steps".into())));
        assert_eq!(code(AttackError::Oracle(OracleError::Cancelled)).0, "stopped");
        assert!(matches!(Fault::from(ArtifactError::Full), Fault::Passing(failure) if failure.code == "storage"));
    }

    #[test]
    fn what_the_device_says_is_not_told() {
        let Fault::Passing(failure) = Fault::from(OracleError::Model("0xdeadbeef in /opt/secret".into())) else {
            panic!("a passing fault")
        };
        assert!(!failure.detail.contains("secret") && !failure.detail.contains("0x"), "{failure:?}");
    }
}
