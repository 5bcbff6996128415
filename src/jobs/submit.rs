//! From an upload to a queued job.
//!
//! The pictures are kept before the row is written, so a job that can be claimed has its pictures; if the row is
//! not written, they are deleted, by the janitor at the latest.

use std::sync::Arc;

use bytes::Bytes;

use super::catalogue::Offered;
use super::inputs::{Hashes, Ingested, Role, Rules, ingest};
use super::store::{Idempotency, NewJob, QueueLimits, Submitted};
use super::{Inputs, Job, JobError, JobId, JobSpec, Jobs, SpecError, State};
use crate::artifact::{ArtifactError, layout};
use crate::telemetry::traces::TraceContext;

/// A job without its pictures.
struct Order {
    caller: String,
    spec: JobSpec,
    idempotency: Option<Idempotency>,
    rerun_of: Option<JobId>,
    request_id: Option<String>,
    max_unfinished: Option<u64>,
}

impl Jobs {
    /// Checks an upload, keeps its pixels and queues a job.
    ///
    /// # Errors
    /// A field or picture that cannot be used, a full queue, too many uploads at once, a store that fails.
    pub async fn submit(&self, submission: super::Submission) -> Result<Submitted, JobError> {
        self.check_open()?;
        let model = self.model(submission.upload.spec.model.as_deref())?;
        self.check_others(&submission.upload.spec.transfer_to, &model)?;
        let upload = Arc::new(submission.upload);
        let bytes = upload.files().map(|(_, bytes)| bytes.len() as u64).sum();
        let hashes = self.decoders().run(bytes, {
            let upload = upload.clone();
            move || Hashes::of(&upload)
        });
        let hashes = hashes.await?;
        let idempotency =
            submission.idempotency_key.map(|key| Idempotency { key, request_sha256: hashes.request(&upload.spec) });
        if let Some(idempotency) = &idempotency
            && let Some(job) = self.store().replay(&submission.caller, idempotency).await?
        {
            return Ok(Submitted::Replayed(job));
        }
        let rules = Rules { limits: self.limits().clone(), input: model.input.clone() };
        let ingested = self.decoders().run(bytes, {
            let upload = upload.clone();
            move || ingest(&upload, &hashes, &rules)
        });
        let Ingested { inputs, files } = ingested.await??;
        let order = Order {
            caller: submission.caller,
            spec: upload.spec.clone(),
            idempotency,
            rerun_of: None,
            request_id: submission.request_id,
            max_unfinished: submission.max_unfinished,
        };
        // The uploaded bytes have served.
        drop(upload);
        self.queue(order, (inputs, files), &model).await
    }

    /// Queues the same request again; the result will say whether the bytes are the same.
    ///
    /// # Errors
    /// [`JobError::Absent`], [`JobError::NotSucceeded`]; a model that is not served any more; and as
    /// [`Self::submit`].
    pub async fn rerun(&self, id: JobId, caller: &str, request_id: Option<String>) -> Result<Job, JobError> {
        self.check_open()?;
        let original = self.find(id).await?;
        if original.state != State::Succeeded {
            return Err(JobError::NotSucceeded);
        }
        let model = self.model(Some(&original.model))?;
        self.check_others(&original.spec.transfer_to, &model)?;
        let mut files = Vec::new();
        for (role, _) in original.inputs.records() {
            let name = role.file();
            let bytes = self.artifacts().get(&layout::inputs(id.0), &name).await?;
            files.push((role, bytes.ok_or(ArtifactError::Damaged { name })?));
        }
        let order = Order {
            caller: caller.into(),
            spec: original.spec,
            idempotency: None,
            rerun_of: Some(id),
            request_id,
            max_unfinished: None,
        };
        match self.queue(order, (original.inputs, files), &model).await? {
            Submitted::Created(job) | Submitted::Replayed(job) => Ok(job),
        }
    }

    async fn queue(
        &self,
        order: Order,
        (inputs, files): (Inputs, Vec<(Role, Bytes)>),
        model: &Offered,
    ) -> Result<Submitted, JobError> {
        let (id, config) = (JobId::new(), self.queue_config());
        let limits = QueueLimits {
            queued: config.max_queued,
            per_caller: order.max_unfinished.unwrap_or(config.max_per_caller),
        };
        let kept = self.keep(id, files).await;
        let submitted = match kept {
            Err(error) => Err(error),
            Ok(()) => {
                let job = NewJob {
                    id,
                    caller: order.caller,
                    steps: order.spec.points(),
                    spec: order.spec,
                    model: model.name.clone(),
                    inputs,
                    max_attempts: config.max_attempts,
                    idempotency: order.idempotency,
                    rerun_of: order.rerun_of,
                    request_id: order.request_id,
                    trace: TraceContext::current(),
                };
                self.store().submit(job, limits).await.map_err(JobError::from)
            }
        };
        // A store that failed may have written the row all the same: then the pictures are needed.
        let refused = matches!(submitted, Err(JobError::Artifact(_)) | Ok(Submitted::Replayed(_)));
        if refused || submitted.as_ref().is_err_and(JobError::is_refusal) {
            self.forget_files(id).await;
        }
        submitted
    }

    async fn keep(&self, id: JobId, files: Vec<(Role, Bytes)>) -> Result<(), JobError> {
        for (role, bytes) in files {
            self.artifacts().put(&layout::inputs(id.0), &role.file(), bytes).await?;
        }
        Ok(())
    }

    /// Refuses to show an attack to a model that is not there, or to the one that is attacked.
    fn check_others(&self, names: &[String], attacked: &Offered) -> Result<(), SpecError> {
        for (at, name) in names.iter().enumerate() {
            let pointer = format!("/spec/transfer_to/{at}");
            if *name == attacked.name {
                let detail = format!("{name:?} is the model that is attacked: name another, or leave it out");
                return Err(SpecError::new(pointer, detail));
            }
            self.model(Some(name)).map_err(|error| SpecError { pointer, ..error })?;
        }
        Ok(())
    }

    fn model(&self, name: Option<&str>) -> Result<Arc<Offered>, SpecError> {
        self.catalogue().find(name).ok_or_else(|| {
            let all = self.catalogue().all();
            let names: Vec<&str> = all.iter().map(|model| model.name.as_str()).collect();
            if names.is_empty() {
                return SpecError::new("/spec/model", "no worker has announced a model yet: try again later");
            }
            let detail = format!("there is no model {:?}: use one of {}", name.unwrap_or_default(), names.join(", "));
            SpecError::new("/spec/model", detail)
        })
    }
}
