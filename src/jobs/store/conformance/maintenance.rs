//! Lost leases, restarts, old jobs and old keys.

use std::time::Duration;

use super::{ROOMY, Store, claim, claim_and_vanish, found, new_job, submit};
use crate::jobs::State;
use crate::jobs::store::{Idempotency, NewJob, Submitted};

const HOUR: Duration = Duration::from_secs(3600);

pub async fn a_sweep_ends_what_has_no_attempts_left(store: &Store) {
    let id = submit(store, NewJob { max_attempts: 2, ..new_job("a") }).await.id;
    claim_and_vanish(store).await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    let job = found(store, id).await;
    assert_eq!((job.state, job.failure.unwrap().code.as_str()), (State::Queued, "lost"));
    claim_and_vanish(store).await;
    assert_eq!(store.sweep().await.unwrap(), 1);
    let job = found(store, id).await;
    assert_eq!((job.state, job.attempt, job.failure.unwrap().code.as_str()), (State::Failed, 2, "lost"));
    assert!(job.finished_at.is_some());
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(claim(store).await, None);
}

pub async fn a_sweep_cancels_what_was_to_be_cancelled(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    claim_and_vanish(store).await;
    store.cancel(id).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert_eq!(found(store, id).await.state, State::Cancelled);
}

pub async fn a_sweep_leaves_live_leases_alone(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    claim(store).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(found(store, id).await.state, State::Running);
}

pub async fn recovery_puts_running_jobs_back(store: &Store) {
    let (first, second) = (submit(store, new_job("a")).await.id, submit(store, new_job("a")).await.id);
    let (_, lease) = claim(store).await.unwrap();
    claim(store).await.unwrap();
    store.cancel(second).await.unwrap();
    assert_eq!(store.recover().await.unwrap(), 2);
    assert_eq!(found(store, first).await.state, State::Queued);
    assert_eq!(found(store, second).await.state, State::Cancelled);
    assert!(!store.hand_back(&lease).await.unwrap());
    assert_eq!(store.recover().await.unwrap(), 0);
    assert_eq!(claim(store).await.unwrap().0.attempt, 2);
}

pub async fn recovery_gives_up_a_job_that_kills_its_process(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    for _ in 0..3 {
        assert_eq!(found(store, id).await.state, State::Queued);
        claim(store).await.unwrap();
        store.recover().await.unwrap();
    }
    assert_eq!(found(store, id).await.state, State::Failed);
}

pub async fn old_jobs_are_purged_in_portions(store: &Store) {
    let mut ended = vec![];
    for _ in 0..3 {
        let id = submit(store, new_job("a")).await.id;
        store.cancel(id).await.unwrap();
        ended.push(id);
    }
    let kept = submit(store, new_job("a")).await;
    assert_eq!(store.purge(HOUR, 10).await.unwrap(), []);
    let mut purged = store.purge(Duration::ZERO, 2).await.unwrap();
    assert_eq!(purged.len(), 2);
    assert_eq!(store.events(purged[0], 0).await.unwrap(), []);
    purged.extend(store.purge(Duration::ZERO, 2).await.unwrap());
    purged.sort();
    assert_eq!(purged, ended);
    assert_eq!(store.purge(Duration::ZERO, 2).await.unwrap(), []);
    assert_eq!(found(store, kept.id).await, kept);
}

pub async fn forgotten_keys_can_be_used_again(store: &Store) {
    let keyed =
        || NewJob { idempotency: Some(Idempotency { key: "k".into(), request_sha256: "1".into() }), ..new_job("a") };
    let job = submit(store, keyed()).await;
    assert_eq!(store.forget_keys(HOUR).await.unwrap(), 0);
    assert_eq!(store.submit(keyed(), ROOMY).await.unwrap(), Submitted::Replayed(job.clone()));
    assert_eq!(store.forget_keys(Duration::ZERO).await.unwrap(), 1);
    assert_ne!(submit(store, keyed()).await.id, job.id);
    assert_eq!(found(store, job.id).await, job);
}

pub async fn a_store_that_works_answers_a_ping(store: &Store) {
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}
