//! Stopping and removing jobs.

use std::time::Duration;

use super::{LONG, Store, claim, failure, found, new_job, outcome, submit};
use crate::jobs::store::{Beat, Cancelled, Deleted};
use crate::jobs::{JobId, State};

pub async fn a_queued_job_is_cancelled_at_once(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let Some(Cancelled::Done(job)) = store.cancel(id).await.unwrap() else { panic!() };
    assert_eq!(job.state, State::Cancelled);
    assert!(job.finished_at.is_some());
    assert_eq!(found(store, id).await, job);
    assert_eq!(claim(store).await, None);
    assert_eq!(store.cancel(JobId::new()).await.unwrap(), None);
}

pub async fn a_running_job_is_asked_to_stop(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    for _ in 0..2 {
        let Some(Cancelled::Requested(job)) = store.cancel(id).await.unwrap() else { panic!() };
        assert_eq!((job.state, job.cancel_requested), (State::Running, true));
    }
    assert_eq!(store.beat(&lease, LONG, None).await.unwrap(), Beat::Cancel);
    assert!(store.stop(&lease).await.unwrap());
    assert_eq!(found(store, id).await.state, State::Cancelled);
}

pub async fn an_ended_job_cannot_be_cancelled(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    store.cancel(id).await.unwrap();
    assert!(store.succeed(&lease, &outcome()).await.unwrap(), "it was done before it could stop");
    let job = found(store, id).await;
    assert_eq!(job.state, State::Succeeded);
    assert_eq!(store.cancel(id).await.unwrap(), Some(Cancelled::TooLate(job)));
}

pub async fn a_cancelled_job_is_not_queued_again(store: &Store) {
    for hand_back in [false, true] {
        let id = submit(store, new_job("a")).await.id;
        let (_, lease) = claim(store).await.unwrap();
        store.cancel(id).await.unwrap();
        let done = match hand_back {
            true => store.hand_back(&lease).await.unwrap(),
            false => store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap(),
        };
        assert!(done);
        assert_eq!(found(store, id).await.state, State::Cancelled);
    }
}

pub async fn only_ended_jobs_are_deleted(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    assert_eq!(store.delete(id).await.unwrap(), Deleted::NotFinal);
    let (_, lease) = claim(store).await.unwrap();
    assert_eq!(store.delete(id).await.unwrap(), Deleted::NotFinal);
    store.succeed(&lease, &outcome()).await.unwrap();
    assert_eq!(store.delete(id).await.unwrap(), Deleted::Done);
    assert_eq!(store.delete(id).await.unwrap(), Deleted::Absent);
    assert_eq!(store.find(id).await.unwrap(), None);
    assert_eq!(store.events(id, 0).await.unwrap(), []);
}
