//! What the holder of a lease may do, and one who lost it may not.

use std::time::Duration;

use super::{LONG, Store, claim, claim_and_vanish, failure, found, new_job, outcome, submit};
use crate::jobs::store::{Beat, Lease, NewJob};
use crate::jobs::{Progress, State};

/// A job with a lease that somebody else has by now.
async fn lost_lease(store: &Store) -> Lease {
    submit(store, new_job("a")).await;
    let lost = claim_and_vanish(store).await;
    let (job, lease) = claim(store).await.unwrap();
    assert_eq!((job.id, lease.attempt), (lost.id, 2));
    lost
}

pub async fn a_beat_extends_the_lease_and_tells_the_progress(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let lease = claim_and_vanish(store).await;
    let progress = Progress { step: 3, steps: 41, dsc: Some(0.5), loss: Some(0.1), ..Progress::default() };
    assert_eq!(store.beat(&lease, LONG, Some(&progress)).await.unwrap(), Beat::Continue);
    assert_eq!(claim(store).await, None, "the lease was extended");
    assert_eq!(store.beat(&lease, LONG, None).await.unwrap(), Beat::Continue);
    assert_eq!(found(store, id).await.progress, progress);
}

pub async fn an_expired_lease_holds_until_somebody_takes_the_job(store: &Store) {
    submit(store, new_job("a")).await;
    let lease = claim_and_vanish(store).await;
    assert_eq!(store.beat(&lease, Duration::ZERO, None).await.unwrap(), Beat::Continue);
    assert!(store.succeed(&lease, &outcome()).await.unwrap());
}

pub async fn a_lost_lease_changes_nothing(store: &Store) {
    let lost = lost_lease(store).await;
    let before = (found(store, lost.id).await, store.events(lost.id, 0).await.unwrap());
    assert_eq!(store.beat(&lost, LONG, Some(&Progress::default())).await.unwrap(), Beat::Lost);
    assert!(!store.succeed(&lost, &outcome()).await.unwrap());
    assert!(!store.fail(&lost, &failure("device"), Some(LONG)).await.unwrap());
    assert!(!store.fail(&lost, &failure("device"), None).await.unwrap());
    assert!(!store.stop(&lost).await.unwrap());
    assert!(!store.hand_back(&lost).await.unwrap());
    let stranger = Lease { worker: "stranger".into(), attempt: 2, ..lost.clone() };
    assert!(!store.succeed(&stranger, &outcome()).await.unwrap());
    assert_eq!((found(store, lost.id).await, store.events(lost.id, 0).await.unwrap()), before);
}

pub async fn a_lease_is_good_for_one_ending(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    assert!(store.succeed(&lease, &outcome()).await.unwrap());
    assert!(!store.succeed(&lease, &outcome()).await.unwrap());
    assert!(!store.fail(&lease, &failure("device"), None).await.unwrap());
    let job = found(store, id).await;
    assert_eq!((job.state, job.outcome, job.failure), (State::Succeeded, Some(outcome()), None));
    assert!(job.finished_at.unwrap() >= job.started_at.unwrap());
}

pub async fn a_failed_attempt_is_tried_again(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    let progress = Progress { step: 9, steps: 41, ..Progress::default() };
    store.beat(&lease, LONG, Some(&progress)).await.unwrap();
    assert!(store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap());
    let job = found(store, id).await;
    assert_eq!((job.state, job.attempt, job.started_at), (State::Queued, 1, None));
    assert_eq!(job.failure, Some(failure("device")));
    let (job, lease) = claim(store).await.unwrap();
    assert_eq!((job.attempt, lease.attempt, job.progress.step, job.progress.steps), (2, 2, 0, 41));
}

pub async fn the_last_attempt_is_not_tried_again(store: &Store) {
    let id = submit(store, NewJob { max_attempts: 1, ..new_job("a") }).await.id;
    let (_, lease) = claim(store).await.unwrap();
    assert!(store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap());
    let job = found(store, id).await;
    assert_eq!((job.state, job.failure), (State::Failed, Some(failure("device"))));
    assert_eq!(claim(store).await, None);
}

pub async fn a_failure_without_retry_is_final(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    assert!(store.fail(&lease, &failure("gradient"), None).await.unwrap());
    assert_eq!(found(store, id).await.state, State::Failed);
    assert_eq!(claim(store).await, None);
}

pub async fn success_forgets_earlier_failures(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap();
    let (_, lease) = claim(store).await.unwrap();
    assert!(store.succeed(&lease, &outcome()).await.unwrap());
    assert_eq!(found(store, id).await.failure, None);
}

pub async fn handing_back_costs_no_attempt(store: &Store) {
    let id = submit(store, NewJob { max_attempts: 1, ..new_job("a") }).await.id;
    for _ in 0..3 {
        let (_, lease) = claim(store).await.unwrap();
        assert!(store.hand_back(&lease).await.unwrap());
        assert_eq!(found(store, id).await.state, State::Queued);
    }
    let (job, lease) = claim(store).await.unwrap();
    assert_eq!(job.attempt, job.max_attempts);
    assert!(store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap());
    assert_eq!(found(store, id).await.state, State::Failed);
}

pub async fn a_lease_that_was_handed_back_never_becomes_valid_again(store: &Store) {
    submit(store, new_job("a")).await;
    let (_, handed_back) = claim(store).await.unwrap();
    assert!(store.hand_back(&handed_back).await.unwrap());
    claim(store).await.unwrap();
    assert!(!store.succeed(&handed_back, &outcome()).await.unwrap());
}
