//! A service in a temporary folder, on the demo model, whose answers a test can hold up or spoil.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::store::{JobStore, SqliteStore, Submitted};
use super::{Catalogue, Host, Hosts, Job, JobError, JobId, JobSpec, Jobs, State, Submission, Upload, Workers};
use crate::artifact::Artifacts;
use crate::config::Config;
use crate::engine::EngineConfig;
use crate::imaging::{Image, Mask, encode};
use crate::model::{
    Conditioning, Description, ModelError, Preprocess, SegmentationModel, Source, TextInput, Vocabulary,
};
use crate::phantom::{self, Kind};
use crate::report::manifest::ModelIdentity;

/// What the model does when it is asked.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// It does not answer until this is false.
    pub(super) hold: AtomicBool,
    /// The next calls fail as told.
    pub(super) faults: Mutex<Vec<Fault>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Error,
    Panic,
}

impl Script {
    pub(super) fn hold(&self, hold: bool) {
        self.hold.store(hold, Ordering::SeqCst);
    }

    pub(super) fn spoil(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    fn act(&self) -> Result<(), ModelError> {
        while self.hold.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match fault {
            None => Ok(()),
            Some(Fault::Error) => Err(candle_core::Error::Msg("a scripted error in /secret/place".into()).into()),
            Some(Fault::Panic) => panic!("a scripted panic"),
        }
    }
}

struct Scripted {
    model: Box<dyn SegmentationModel>,
    script: Arc<Script>,
}

impl SegmentationModel for Scripted {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn preprocess(&self) -> &Preprocess {
        self.model.preprocess()
    }

    fn device(&self) -> &Device {
        self.model.device()
    }

    fn prepare_prompt(&self, prompt: &str) -> Result<Conditioning, ModelError> {
        self.model.prepare_prompt(prompt)
    }

    fn vocabulary(&self) -> Option<Arc<Vocabulary>> {
        self.model.vocabulary()
    }

    fn logits(&self, pixel_values: &Tensor, prompts: &[Conditioning]) -> Result<Tensor, ModelError> {
        self.script.act()?;
        self.model.logits(pixel_values, prompts)
    }

    fn logits_and_vjp(
        &self,
        pixel_values: &Tensor,
        prompts: &[Conditioning],
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.script.act()?;
        self.model.logits_and_vjp(pixel_values, prompts, cotangent)
    }

    fn logits_and_text_vjp(
        &self,
        pixel_values: &Tensor,
        text: &TextInput,
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        self.script.act()?;
        self.model.logits_and_text_vjp(pixel_values, text, cotangent)
    }
}

/// A service without HTTP.
pub(crate) struct Service {
    pub(super) folder: tempfile::TempDir,
    pub(crate) jobs: Jobs,
    pub(super) config: Config,
    pub(super) script: Arc<Script>,
}

/// Settings with which tests need not wait.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.queue.workers = 2;
    config.queue.retry_seconds = 0;
    config.server.shutdown_grace_seconds = 0;
    config
}

impl Service {
    pub(crate) async fn new(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(&folder.path().join("jobs.sqlite")).await.unwrap());
        let artifacts = Artifacts::open(&folder.path().join("artifacts")).unwrap();
        let script = Arc::new(Script::default());
        let hosts = Hosts::new(vec![host(script.clone())]).unwrap();
        let jobs = Jobs::new(store, artifacts, (hosts.clone(), Catalogue::of(hosts)), &config);
        Self { folder, jobs, config, script }
    }

    pub(super) fn start(&self) -> (Workers, CancellationToken) {
        let shutdown = CancellationToken::new();
        (Workers::start(self.jobs.clone(), &self.config, shutdown.clone()), shutdown)
    }

    pub(super) async fn submit(&self, upload: Upload) -> Result<Submitted, JobError> {
        self.submit_as(upload, None).await
    }

    pub(super) async fn submit_as(&self, upload: Upload, key: Option<&str>) -> Result<Submitted, JobError> {
        let submission = Submission {
            caller: "tests".into(),
            upload,
            idempotency_key: key.map(Into::into),
            request_id: Some("request-1".into()),
            max_unfinished: None,
        };
        self.jobs.submit(submission).await
    }

    /// Submits what has to be accepted.
    pub(super) async fn queued(&self, upload: Upload) -> JobId {
        created(self.submit(upload).await.unwrap()).id
    }

    /// Waits until the job is as wanted; a minute is far more than any test takes.
    pub(super) async fn until(&self, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let mut changes = self.jobs.changes();
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let job = self.jobs.find(id).await.unwrap();
                if wanted(&job) {
                    return job;
                }
                changes.next().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("the job {id} does not become what the test waits for"))
    }

    pub(super) async fn ended(&self, id: JobId) -> Job {
        self.until(id, |job| job.state.is_final()).await
    }

    pub(super) async fn running(&self, id: JobId) -> Job {
        self.until(id, |job| job.state == State::Running).await
    }
}

pub(super) fn created(submitted: Submitted) -> Job {
    match submitted {
        Submitted::Created(job) => job,
        Submitted::Replayed(job) => panic!("{} was there before", job.id),
    }
}

fn host(script: Arc<Script>) -> Host {
    let description = Description::of(&Source::Embedded).unwrap();
    let identity = ModelIdentity::new("demo", &Source::Embedded, None).unwrap();
    let open = move || {
        let model = Source::Embedded.open(None, &Device::Cpu, DType::F32)?;
        Ok(Box::new(Scripted { model: Box::new(model), script: script.clone() }) as _)
    };
    Host::new("demo".into(), (description, identity), Box::new(open), EngineConfig::default()).unwrap()
}

/// A small phantom with its mask.
pub(super) fn phantom() -> (Image, Mask) {
    phantom::draw(Kind::Endoscopy, 7, 64, 48)
}

pub(super) fn png(image: &Image) -> Bytes {
    encode::png(image).unwrap().into()
}

pub(super) fn mask_png(mask: &Mask) -> Bytes {
    encode::mask_png(mask).unwrap().into()
}

/// An attack by `attack` on the phantom, with its mask; `changes` replace fields of the spec.
pub(super) fn upload(attack: Value, changes: Value) -> Upload {
    let (image, mask) = phantom();
    let mut spec = json!({
        "prompt": "polyp",
        "attack": attack,
        "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}},
    });
    if let (Value::Object(fields), Value::Object(changes)) = (&mut spec, changes) {
        fields.extend(changes);
    }
    let spec = JobSpec::from_json(spec.to_string().as_bytes()).unwrap();
    let (image, mask) = (png(&image), Some(mask_png(&mask)));
    Upload { image, mask, target_mask: None, allowed_region: None, perturbation: None, spec }
}

/// The quickest attack.
pub(super) fn quick() -> Upload {
    upload(json!({"method": "fgsm"}), json!({}))
}

/// An attack that no test waits for.
pub(super) fn endless() -> Upload {
    upload(json!({"method": "pgd", "steps": 9_999}), json!({}))
}
