//! Lists, places and counts.

use chrono::Duration;
use serde_json::json;

use super::{LONG, Store, claim, failure, found, new_job, outcome, submit};
use crate::jobs::store::{Counts, Filter, NewJob, Page, Place};
use crate::jobs::{Job, JobId, Progress, State};

const ALL: Page = Page { before: None, limit: 100 };

async fn names(store: &Store, filter: Filter) -> Vec<JobId> {
    store.list(&filter, ALL).await.unwrap().into_iter().map(|job| job.id).collect()
}

pub async fn jobs_are_listed_newest_first_in_pages(store: &Store) {
    let mut jobs = vec![];
    for _ in 0..5 {
        jobs.insert(0, submit(store, new_job("a")).await);
    }
    let mut seen: Vec<Job> = vec![];
    loop {
        let page = Page { before: seen.last().map(|job| job.id), limit: 2 };
        let next = store.list(&Filter::default(), page).await.unwrap();
        if next.is_empty() {
            break;
        }
        assert!(next.len() <= 2);
        seen.extend(next);
        // what is submitted meanwhile is on no later page
        submit(store, new_job("b")).await;
    }
    assert_eq!(seen, jobs);
}

pub async fn filters_hold_together(store: &Store) {
    let mut special = NewJob { model: "other".into(), ..new_job("a") };
    special.spec.attack = serde_json::from_value(json!({"method": "fgsm"})).unwrap();
    special.spec.labels.insert("ward".into(), "3".into());
    special.spec.labels.insert("round".into(), "2".into());
    let special = submit(store, special).await.id;
    let usual = submit(store, new_job("a")).await.id;
    let foreign = submit(store, new_job("b")).await.id;
    store.cancel(usual).await.unwrap();

    let of = |caller: &str| Filter { caller: Some(caller.into()), ..Filter::default() };
    let states = |states: &[State]| Filter { states: states.into(), ..Filter::default() };
    let label = |key: &str, value: &str| Filter { label: Some((key.into(), value.into())), ..Filter::default() };
    assert_eq!(names(store, Filter::default()).await, [foreign, usual, special]);
    assert_eq!(names(store, of("a")).await, [usual, special]);
    assert_eq!(names(store, of("nobody")).await, []);
    assert_eq!(names(store, states(&[State::Queued])).await, [foreign, special]);
    assert_eq!(names(store, states(&[State::Cancelled, State::Queued])).await, [foreign, usual, special]);
    assert_eq!(names(store, Filter { model: Some("other".into()), ..Filter::default() }).await, [special]);
    assert_eq!(names(store, Filter { method: Some("pgd".into()), ..Filter::default() }).await, [foreign, usual]);
    assert_eq!(names(store, label("ward", "3")).await, [special]);
    assert_eq!(names(store, label("ward", "2")).await, []);
    assert_eq!(names(store, Filter { states: vec![State::Queued], ..of("a") }).await, [special]);
    assert_eq!(names(store, Filter { caller: Some("b".into()), ..label("ward", "3") }).await, []);
}

pub async fn times_of_submission_are_a_filter(store: &Store) {
    let job = submit(store, new_job("a")).await;
    let second = Duration::seconds(1);
    let after = |time| Filter { created_after: Some(time), ..Filter::default() };
    let before = |time| Filter { created_before: Some(time), ..Filter::default() };
    assert_eq!(names(store, after(job.created_at - second)).await, [job.id]);
    assert_eq!(names(store, after(job.created_at)).await, []);
    assert_eq!(names(store, before(job.created_at + second)).await, [job.id]);
    assert_eq!(names(store, before(job.created_at)).await, []);
}

pub async fn a_place_counts_what_is_ahead(store: &Store) {
    let running = submit(store, NewJob { steps: 100, ..new_job("a") }).await.id;
    let (_, lease) = claim(store).await.unwrap();
    store.beat(&lease, LONG, Some(&Progress { step: 70, steps: 100, ..Progress::default() })).await.unwrap();
    let first = submit(store, NewJob { steps: 5, ..new_job("a") }).await.id;
    let second = submit(store, NewJob { steps: 7, ..new_job("b") }).await.id;
    let mut urgent = NewJob { steps: 1000, ..new_job("b") };
    urgent.spec.priority = 1;
    let urgent = submit(store, urgent).await.id;
    let place = |jobs_ahead, steps_ahead| Some(Place { jobs_ahead, steps_ahead });
    assert_eq!(store.place(urgent).await.unwrap(), place(0, 30));
    assert_eq!(store.place(first).await.unwrap(), place(1, 1030));
    assert_eq!(store.place(second).await.unwrap(), place(2, 1035));
    assert_eq!(store.place(running).await.unwrap(), None);
    assert_eq!(store.place(JobId::new()).await.unwrap(), None);
}

pub async fn jobs_are_counted_by_state(store: &Store) {
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    for _ in 0..5 {
        submit(store, new_job("a")).await;
    }
    let (_, succeeded) = claim(store).await.unwrap();
    let (_, failed) = claim(store).await.unwrap();
    let (cancelled, lease) = claim(store).await.unwrap();
    store.succeed(&succeeded, &outcome()).await.unwrap();
    store.fail(&failed, &failure("gradient"), None).await.unwrap();
    store.stop(&lease).await.unwrap();
    claim(store).await.unwrap();
    assert_eq!(found(store, cancelled.id).await.state, State::Cancelled);
    let expected = Counts { queued: 1, running: 1, succeeded: 1, failed: 1, cancelled: 1 };
    assert_eq!(store.counts().await.unwrap(), expected);
}
