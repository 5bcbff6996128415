//! Jobs from the upload to their end, and what happens when something is in the way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::artifact::layout;
use crate::imaging::{Limits, decode};
use crate::jobs::store::Cancelled;
use crate::jobs::testing::{Fault, Service, config, endless, phantom, quick, upload};
use crate::jobs::{JobError, State};
use crate::report::manifest::sha256;

const FILES: [&str; 9] = [
    "adversarial.png",
    "perturbation.png",
    "mask_clean.png",
    "mask_adversarial.png",
    "overlay.png",
    "result.json",
    "original.png",
    "reference.png",
    "manifest.json",
];

#[tokio::test]
async fn a_job_runs_to_success_with_whole_artifacts() {
    let service = Service::new(config()).await;
    let _workers = service.start();
    let wanted = upload(json!({"method": "pgd", "steps": 3}), json!({"seed": 4, "labels": {"run": "7"}}));
    let submitted = wanted.image.clone();
    let job = service.ended(service.queued(wanted).await).await;
    assert_eq!((job.state, job.attempt, &job.failure), (State::Succeeded, 1, &None));
    assert_eq!((job.progress.step, job.progress.steps), (4, 4));
    assert!(job.progress.step_seconds.is_some_and(|seconds| seconds > 0.));
    let outcome = job.outcome.as_ref().unwrap();
    assert_eq!(outcome.result["request"]["seed"], 4);
    assert_eq!(outcome.result.get("steps"), None);
    assert_eq!(outcome.result["adversarial_file"]["dsc"], json!(outcome.scores.adversarial_dsc));
    assert_eq!(outcome.artifacts.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), FILES);

    let mut files = std::collections::BTreeMap::new();
    for record in &outcome.artifacts {
        let blob = service.jobs.artifact(&job, &record.name).await.unwrap().unwrap();
        assert_eq!((blob.sha256.clone(), blob.bytes.len() as u64), (sha256(&blob.bytes), record.bytes));
        files.insert(record.name.clone(), blob.bytes);
    }
    assert!(service.jobs.artifact(&job, "other.png").await.unwrap().is_none());
    let original = decode::decode(&files["original.png"], &Limits::default()).unwrap().image;
    let (image, mask) = phantom();
    assert_eq!(original, image);
    assert_eq!(decode::decode_mask(&files["reference.png"], &Limits::default()).unwrap(), mask);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["inputs"]["image"], sha256(&submitted));
    assert_eq!(manifest["artifacts"]["overlay.png"], sha256(&files["overlay.png"]));
    let result: Value = serde_json::from_slice(&files["result.json"]).unwrap();
    assert_eq!(result["steps"].as_array().unwrap().len(), 4);
    assert!(service.jobs.hosts().find(None).unwrap().step_seconds().is_some());
    assert_eq!(service.jobs.estimate(&job).await.unwrap().eta_seconds, None);
}

#[tokio::test]
async fn a_rerun_gives_the_same_bytes_and_says_so() {
    let service = Service::new(config()).await;
    let _workers = service.start();
    let first = service.ended(service.queued(quick()).await).await;
    let again = service.jobs.rerun(first.id, "another", None).await.unwrap();
    assert_eq!((again.rerun_of, again.caller.as_str()), (Some(first.id), "another"));
    let again = service.ended(again.id).await;
    assert_eq!(again.inputs, first.inputs);
    let comparison = again.outcome.unwrap().comparison.unwrap();
    assert_eq!((comparison.with, comparison.identical, comparison.different), (first.id, true, vec![]));
}

#[tokio::test]
async fn only_what_succeeded_is_run_again() {
    let service = Service::new(config()).await;
    let id = service.queued(quick()).await;
    assert!(matches!(service.jobs.rerun(id, "tests", None).await, Err(JobError::NotSucceeded)));
    let absent = crate::jobs::JobId::new();
    assert!(matches!(service.jobs.rerun(absent, "tests", None).await, Err(JobError::Absent)));
}

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_a_running_one_at_its_next_step() {
    let service = Service::new(config()).await;
    let id = service.queued(quick()).await;
    assert!(matches!(service.jobs.cancel(id).await.unwrap(), Cancelled::Done(_)));
    assert_eq!(service.ended(id).await.state, State::Cancelled);

    let _workers = service.start();
    let id = service.queued(endless()).await;
    service.until(id, |job| job.progress.step > 0).await;
    assert!(matches!(service.jobs.cancel(id).await.unwrap(), Cancelled::Requested(_)));
    let job = service.ended(id).await;
    assert_eq!((job.state, job.outcome), (State::Cancelled, None));
    assert!(matches!(service.jobs.cancel(id).await.unwrap(), Cancelled::TooLate(_)));
    assert!(service.jobs.artifacts().below(&layout::attacks(id.0)).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_that_lost_its_job_publishes_nothing() {
    let service = Service::new(config()).await;
    service.script.hold(true);
    let _workers = service.start();
    let id = service.queued(quick()).await;
    service.running(id).await;
    service.jobs.store().recover().await.unwrap();
    service.until(id, |job| job.attempt == 2).await;
    service.script.hold(false);
    let job = service.ended(id).await;
    assert_eq!((job.state, job.attempt), (State::Succeeded, 2));
    assert!(service.jobs.artifact(&job, "adversarial.png").await.unwrap().is_some());
    let tidy = async {
        // The first attempt ends a moment earlier or later than the second.
        while service.jobs.artifacts().below(&layout::attacks(id.0)).await.unwrap() != ["2"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), tidy).await.unwrap();
}

#[tokio::test]
async fn a_device_fault_is_tried_again_and_then_given_up() {
    let mut config = config();
    config.queue.max_attempts = 2;
    let service = Service::new(config).await;
    service.script.spoil(&[Fault::Error; 100]);
    let _workers = service.start();
    let job = service.ended(service.queued(quick()).await).await;
    let failure = job.failure.unwrap();
    assert_eq!((job.state, job.attempt, failure.code.as_str()), (State::Failed, 2, "device"));
    assert!(!failure.detail.contains("secret"), "{failure:?}");
}

#[tokio::test]
async fn after_a_panic_the_model_is_opened_anew_and_the_job_succeeds() {
    let service = Service::new(config()).await;
    service.script.spoil(&[Fault::Panic]);
    let _workers = service.start();
    let job = service.ended(service.queued(quick()).await).await;
    assert_eq!((job.state, job.attempt), (State::Succeeded, 2));
    assert_eq!(service.jobs.hosts().find(None).unwrap().failure(), None);
}

#[tokio::test]
async fn a_device_that_hangs_loses_its_job_and_is_replaced() {
    let mut config = config();
    (config.queue.lease_seconds, config.queue.max_attempts) = (1, 20);
    let service = Service::new(config).await;
    service.script.hold(true);
    let _workers = service.start();
    let id = service.queued(quick()).await;
    service.until(id, |job| job.attempt >= 2).await;
    assert!(service.script.hold.load(Ordering::SeqCst));
    service.script.hold(false);
    assert_eq!(service.ended(id).await.state, State::Succeeded);
}

#[tokio::test]
async fn a_damaged_picture_is_a_storage_fault() {
    let mut config = config();
    config.queue.max_attempts = 1;
    let service = Service::new(config).await;
    let id = service.queued(quick()).await;
    let inputs = service.folder.path().join("artifacts").join(layout::inputs(id.0).as_ref());
    std::fs::write(inputs.join("mask.png"), "no picture").unwrap();
    let _workers = service.start();
    let failure = service.ended(id).await.failure.unwrap();
    assert_eq!(failure.code, "storage");
    assert!(failure.detail.contains("mask.png"), "{failure:?}");
}

#[tokio::test]
async fn a_shutdown_hands_running_jobs_back() {
    let service = Service::new(config()).await;
    let (workers, shutdown) = service.start();
    let id = service.queued(endless()).await;
    service.until(id, |job| job.progress.step > 0).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(30), workers.ended()).await.unwrap();
    let job = service.jobs.find(id).await.unwrap();
    assert_eq!((job.state, job.failure), (State::Queued, None));
    assert!(job.max_attempts > job.attempt);

    // The next process goes on with it.
    let _workers = service.start();
    assert!(service.until(id, |job| job.progress.step > 0 && job.state == State::Running).await.attempt > job.attempt);
    service.jobs.cancel(id).await.unwrap();
    service.ended(id).await;
}

#[tokio::test]
async fn a_job_goes_on_where_a_shutdown_or_a_lost_worker_left_it() {
    let mut config = config();
    config.queue.checkpoint_seconds = 1;
    let service = Service::new(config).await;
    let wanted = || upload(json!({"method": "pgd", "steps": 80}), json!({"seed": 9}));
    let (workers, shutdown) = service.start();
    let whole = service.ended(service.queued(wanted()).await).await;

    // handed back
    let id = service.queued(wanted()).await;
    service.until(id, |job| job.progress.step > 0).await;
    service.script.hold(true);
    shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    service.script.hold(false);
    workers.ended().await;
    let left = service.jobs.artifacts().below(&layout::checkpoints(id.0)).await.unwrap();
    assert_eq!(left.len(), 1, "the newest state and no other: {left:?}");
    let reached: u64 = left[0].split('-').next().unwrap().parse().unwrap();
    assert!((1..80).contains(&reached), "{left:?}");

    // a state that is damaged is passed over
    let name = format!("{}/0000009999-1/state.safetensors", layout::checkpoints(id.0));
    let file = service.folder.path().join("artifacts").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, b"no state").unwrap();

    let (_workers, _shutdown) = service.start();
    let again = service.until(id, |job| job.attempt == 2 && job.progress.step > 0).await;
    assert!(again.progress.step >= reached, "it began anew: {:?}", again.progress);
    // lost while its worker is held up
    service.script.hold(true);
    service.jobs.store().recover().await.unwrap();
    service.until(id, |job| job.attempt == 3).await;
    service.script.hold(false);
    let job = service.ended(id).await;
    assert_eq!(job.state, State::Succeeded);
    assert_eq!((job.progress.step, job.progress.steps), (81, 81));
    let numbers = |job: &crate::jobs::Job| job.outcome.as_ref().unwrap().result.clone();
    assert_eq!(numbers(&job), numbers(&whole), "the result is that of an attack that was never stopped");
    let files = |job: &crate::jobs::Job| {
        let artifacts = &job.outcome.as_ref().unwrap().artifacts;
        artifacts.iter().map(|file| file.sha256.clone()).take(FILES.len() - 1).collect::<Vec<_>>()
    };
    assert_eq!(files(&job), files(&whole));
    let gone = async {
        while !service.jobs.artifacts().below(&layout::checkpoints(id.0)).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("its states are deleted");
}

#[tokio::test]
async fn a_shutdown_lets_a_job_end_within_its_grace() {
    let mut config = config();
    config.server.shutdown_grace_seconds = 60;
    let service = Service::new(config).await;
    service.script.hold(true);
    let (workers, shutdown) = service.start();
    let id = service.queued(quick()).await;
    service.running(id).await;
    shutdown.cancel();
    service.script.hold(false);
    workers.ended().await;
    assert_eq!(service.jobs.find(id).await.unwrap().state, State::Succeeded);
}
