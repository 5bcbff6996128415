//! Trying out all that the service asks of a store, step by step, for an operator who wants to know which one fails.
//!
//! [`Artifacts::ping`] asks whether the store works; here each answer is looked at, with the store's own words.

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode};
use uuid::Uuid;

use super::Artifacts;

/// Above what is tried; not above files of jobs.
const PREFIX: &str = "doctor";
const FIRST: &[u8] = b"first";
const SECOND: &[u8] = b"second";
/// Characters of a store's answer that are told; some answer with pages.
const TOLD: usize = 500;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Writing a file that is not there.
    Put,
    /// Writing the same file once more, which has to be refused: files never change.
    PutAgain,
    /// Reading the file.
    Read,
    /// Finding it in a list.
    List,
    /// Deleting it.
    Delete,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The store does not know who we are, or does not allow us to.
    Forbidden(String),
    /// There is no such bucket.
    Absent(String),
    /// It did something else than it was asked to.
    Wrong(String),
    /// Anything else: most likely it cannot be reached.
    Failed(String),
}

impl Artifacts {
    /// Writes a small file under a name of its own, and takes every other step with it. Ends at the first step that fails,
    /// except that a file that was written is deleted in any case.
    pub async fn try_out(&self) -> Vec<(Step, Result<(), Refusal>)> {
        let path = Path::from(PREFIX).join(Uuid::now_v7().to_string());
        let mut steps = Vec::new();
        for step in [Step::Put, Step::PutAgain, Step::Read, Step::List] {
            let result = self.take(step, &path).await;
            let failed = result.is_err();
            steps.push((step, result));
            if failed && step == Step::Put {
                return steps;
            }
            if failed {
                break;
            }
        }
        steps.push((Step::Delete, self.take(Step::Delete, &path).await));
        steps
    }

    async fn take(&self, step: Step, path: &Path) -> Result<(), Refusal> {
        let put =
            |bytes: &'static [u8]| self.store.put_opts(path, Bytes::from_static(bytes).into(), PutMode::Create.into());
        match step {
            Step::Put => put(FIRST).await.map(drop).map_err(Refusal::of),
            Step::PutAgain => match put(SECOND).await {
                Err(Error::AlreadyExists { .. }) => Ok(()),
                Err(error) => Err(Refusal::of(error)),
                Ok(_) => Err(Refusal::Wrong("a file that was there was overwritten".into())),
            },
            Step::Read => {
                let found = self.store.get(path).await.map_err(Refusal::of)?;
                match found.bytes().await.map_err(Refusal::of)? == FIRST {
                    true => Ok(()),
                    false => Err(Refusal::Wrong("other bytes were read than were written".into())),
                }
            }
            Step::List => {
                let listed: Vec<_> =
                    self.store.list(Some(&Path::from(PREFIX))).try_collect().await.map_err(Refusal::of)?;
                match listed.iter().any(|object| object.location == *path) {
                    true => Ok(()),
                    false => Err(Refusal::Wrong("a file that was written is not listed".into())),
                }
            }
            Step::Delete => {
                self.store.delete(path).await.map_err(Refusal::of)?;
                match self.store.head(path).await {
                    Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(Refusal::of(error)),
                    Ok(_) => Err(Refusal::Wrong(format!("{path} is still there after it was deleted"))),
                }
            }
        }
    }
}

impl Refusal {
    fn of(error: Error) -> Self {
        let text: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.chars().take(TOLD).collect();
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Forbidden(text),
            Error::NotFound { .. } => Self::Absent(text),
            Error::NotImplemented { .. } | Error::NotSupported { .. } => Self::Wrong(text),
            _ => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests;
