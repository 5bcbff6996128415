//! Which job is given to whom.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{LONG, MODEL, Store, claim, failure, found, new_job, submit};
use crate::jobs::store::{Lease, NewJob};
use crate::jobs::{JobId, State};

async fn queued(store: &Store, caller: &str, priority: i32) -> JobId {
    let mut job = new_job(caller);
    job.spec.priority = priority;
    submit(store, job).await.id
}

/// The names of all jobs in the order in which they are given.
async fn order(store: &Store) -> Vec<JobId> {
    let mut order = vec![];
    while let Some((job, _)) = claim(store).await {
        order.push(job.id);
    }
    order
}

pub async fn an_empty_queue_gives_nothing(store: &Store) {
    assert_eq!(claim(store).await, None);
    assert_eq!(store.claim("worker", &[], LONG).await.unwrap(), None);
}

pub async fn a_claimed_job_runs(store: &Store) {
    let id = queued(store, "a", 0).await;
    let (job, lease) = claim(store).await.unwrap();
    assert_eq!(lease, Lease { id, worker: "worker".into(), attempt: 1 });
    assert_eq!((job.state, job.attempt), (State::Running, 1));
    assert!(job.started_at.unwrap() >= job.created_at);
    assert_eq!(found(store, id).await, job);
    assert_eq!(claim(store).await, None);
}

pub async fn higher_priority_goes_first(store: &Store) {
    let (low, high, middle) = (queued(store, "a", -9).await, queued(store, "b", 9).await, queued(store, "a", 0).await);
    assert_eq!(order(store).await, [high, middle, low]);
}

pub async fn callers_take_turns(store: &Store) {
    let a = [queued(store, "a", 0).await, queued(store, "a", 0).await, queued(store, "a", 0).await];
    let b = [queued(store, "b", 0).await, queued(store, "b", 0).await];
    let c = queued(store, "c", 0).await;
    assert_eq!(order(store).await, [a[0], b[0], c, a[1], b[1], a[2]]);
}

pub async fn a_new_caller_goes_before_those_who_were_served(store: &Store) {
    let a = [queued(store, "a", 0).await, queued(store, "a", 0).await];
    assert_eq!(claim(store).await.unwrap().0.id, a[0]);
    let z = queued(store, "z", 0).await;
    assert_eq!(order(store).await, [z, a[1]]);
}

pub async fn one_caller_is_served_in_order(store: &Store) {
    let mut jobs = vec![];
    for number in 0..20 {
        let model = if number % 2 == 0 { MODEL } else { "other" };
        jobs.push(submit(store, NewJob { model: model.into(), ..new_job("a") }).await.id);
    }
    let mut order = vec![];
    while let Some((job, _)) = store.claim("worker", &["other".into(), MODEL.into()], LONG).await.unwrap() {
        order.push(job.id);
    }
    assert_eq!(order, jobs);
}

pub async fn only_the_models_asked_for_are_given(store: &Store) {
    let mut other = NewJob { model: "other".into(), ..new_job("a") };
    other.spec.priority = 9;
    let other = submit(store, other).await.id;
    let usual = queued(store, "a", 0).await;
    assert_eq!(order(store).await, [usual]);
    let models = ["absent".into(), "other".into()];
    assert_eq!(store.claim("worker", &models, LONG).await.unwrap().unwrap().0.id, other);
}

pub async fn a_job_that_waits_for_its_retry_is_not_given(store: &Store) {
    let waiting = queued(store, "a", 9).await;
    let (_, lease) = claim(store).await.unwrap();
    assert!(store.fail(&lease, &failure("device"), Some(LONG)).await.unwrap());
    let job = found(store, waiting).await;
    assert_eq!(job.state, State::Queued);
    assert!(job.run_after.unwrap() > job.created_at + chrono::Duration::minutes(59));
    let ready = queued(store, "a", 0).await;
    assert_eq!(order(store).await, [ready]);
}

pub async fn claimers_at_once_never_share_a_job(store: &Store) {
    let mut jobs = BTreeSet::new();
    for number in 0..48 {
        jobs.insert(queued(store, ["a", "b", "c"][number % 3], 0).await);
    }
    let claimers = (0..16).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut given = vec![];
            while let Some((job, _)) = store.claim(&format!("worker {number}"), &[MODEL.into()], LONG).await.unwrap() {
                given.push(job.id);
            }
            given
        })
    });
    let given: Vec<JobId> = join_all(claimers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(given.len(), jobs.len());
    assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), jobs);
}
