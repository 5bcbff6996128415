//! New jobs, limits and repeated requests.

use futures_util::future::join_all;
use serde_json::json;

use super::{MODEL, ROOMY, Store, claim, found, new_job, outcome, submit};
use crate::jobs::store::{Idempotency, NewJob, QueueLimits, StoreError, Submitted};
use crate::jobs::{JobId, Progress, State};

fn keyed(caller: &str, key: &str, request: &str) -> NewJob {
    NewJob { idempotency: Some(Idempotency { key: key.into(), request_sha256: request.into() }), ..new_job(caller) }
}

pub async fn a_job_is_stored_as_it_was_submitted(store: &Store) {
    let mut new = NewJob { rerun_of: Some(JobId::new()), request_id: Some("r1".into()), ..new_job("team") };
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    new.trace = Some(serde_json::from_value(json!({"traceparent": traceparent, "tracestate": "a=1"})).unwrap());
    new.spec.labels.insert("patient".into(), "phantom 3".into());
    let job = submit(store, new.clone()).await;
    assert_eq!((job.id, job.caller.as_str(), job.state, job.model.as_str()), (new.id, "team", State::Queued, MODEL));
    assert_eq!((&job.spec, &job.inputs), (&new.spec, &new.inputs));
    assert_eq!((job.attempt, job.max_attempts, job.cancel_requested), (0, 3, false));
    assert_eq!((job.rerun_of, job.request_id.as_deref()), (new.rerun_of, Some("r1")));
    assert!(job.trace.is_some() && job.trace == new.trace);
    assert_eq!(job.progress, Progress { steps: 41, ..Progress::default() });
    assert_eq!((job.started_at, job.finished_at, job.run_after), (None, None, None));
    assert_eq!(store.find(new.id).await.unwrap(), Some(job));
    assert_eq!(store.find(JobId::new()).await.unwrap(), None);
}

pub async fn the_queue_takes_no_more_than_it_may(store: &Store) {
    let limits = QueueLimits { queued: 2, ..ROOMY };
    store.submit(new_job("a"), limits).await.unwrap();
    store.submit(new_job("b"), limits).await.unwrap();
    let refused = store.submit(new_job("c"), limits).await;
    assert!(matches!(refused, Err(StoreError::QueueFull { queued: 2 })), "{refused:?}");
    claim(store).await.unwrap();
    store.submit(new_job("c"), limits).await.unwrap();
}

pub async fn a_caller_is_limited_by_unfinished_jobs(store: &Store) {
    let limits = QueueLimits { per_caller: 1, ..ROOMY };
    store.submit(new_job("a"), limits).await.unwrap();
    let (_, lease) = claim(store).await.unwrap();
    let refused = store.submit(new_job("a"), limits).await;
    assert!(matches!(refused, Err(StoreError::CallerFull { unfinished: 1 })), "{refused:?}");
    store.submit(new_job("b"), limits).await.unwrap();
    store.succeed(&lease, &outcome()).await.unwrap();
    store.submit(new_job("a"), limits).await.unwrap();
}

pub async fn a_repeated_request_finds_its_job(store: &Store) {
    let first = keyed("a", "k", "1");
    let idempotency = first.idempotency.clone().unwrap();
    assert_eq!(store.replay("a", &idempotency).await.unwrap(), None);
    let job = submit(store, first).await;
    claim(store).await.unwrap();
    let now = found(store, job.id).await;
    assert_eq!(now.state, State::Running);
    assert_eq!(store.submit(keyed("a", "k", "1"), ROOMY).await.unwrap(), Submitted::Replayed(now.clone()));
    assert_eq!(store.replay("a", &idempotency).await.unwrap(), Some(now));
    assert_eq!(store.counts().await.unwrap().queued, 0);
}

pub async fn a_repeated_request_is_answered_by_a_full_queue(store: &Store) {
    let job = submit(store, keyed("a", "k", "1")).await;
    let full = QueueLimits { queued: 0, per_caller: 0 };
    assert_eq!(store.submit(keyed("a", "k", "1"), full).await.unwrap(), Submitted::Replayed(job));
}

pub async fn a_key_with_another_request_is_a_conflict(store: &Store) {
    submit(store, keyed("a", "k", "1")).await;
    let other = keyed("a", "k", "2");
    let replayed = store.replay("a", other.idempotency.as_ref().unwrap()).await;
    assert!(matches!(replayed, Err(StoreError::IdempotencyConflict)), "{replayed:?}");
    let submitted = store.submit(other, ROOMY).await;
    assert!(matches!(submitted, Err(StoreError::IdempotencyConflict)), "{submitted:?}");
    assert_eq!(store.counts().await.unwrap().queued, 1);
}

pub async fn callers_do_not_share_keys(store: &Store) {
    submit(store, keyed("a", "k", "1")).await;
    submit(store, keyed("b", "k", "2")).await;
}

pub async fn equal_requests_at_once_make_one_job(store: &Store) {
    let submissions = (0..12).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.submit(keyed("a", "k", "1"), ROOMY).await.unwrap() })
    });
    let answers: Vec<Submitted> = join_all(submissions).await.into_iter().map(Result::unwrap).collect();
    let created = answers.iter().filter(|answer| matches!(answer, Submitted::Created(_))).count();
    assert_eq!(created, 1);
    let id = |answer: &Submitted| match answer {
        Submitted::Created(job) | Submitted::Replayed(job) => job.id,
    };
    assert!(answers.iter().all(|answer| id(answer) == id(&answers[0])));
    assert_eq!(store.counts().await.unwrap().queued, 1);
}
