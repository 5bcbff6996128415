//! Events, and those who wait for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{LONG, Store, claim, claim_and_vanish, failure, new_job, outcome, submit};
use crate::jobs::Progress;
use crate::jobs::store::Deleted;

pub async fn every_change_of_state_is_an_event(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    claim_and_vanish(store).await;
    let (_, lease) = claim(store).await.unwrap();
    let progress = Progress { step: 1, steps: 41, ..Progress::default() };
    store.beat(&lease, LONG, Some(&progress)).await.unwrap();
    store.fail(&lease, &failure("device"), Some(Duration::ZERO)).await.unwrap();
    let (_, lease) = claim(store).await.unwrap();
    store.succeed(&lease, &outcome()).await.unwrap();

    let events = store.events(id, 0).await.unwrap();
    assert!(events.iter().enumerate().all(|(index, event)| event.sequence == index as i64 + 1), "{events:?}");
    let lost = events[2].data["failure"].clone();
    assert_eq!(lost["code"], "lost");
    let expected: [(&str, Value); 8] = [
        ("state", json!({"state": "queued", "attempt": 0})),
        ("state", json!({"state": "running", "attempt": 1})),
        ("state", json!({"state": "queued", "attempt": 1, "failure": lost})),
        ("state", json!({"state": "running", "attempt": 2})),
        ("progress", json!(progress)),
        ("state", json!({"state": "queued", "attempt": 2, "failure": failure("device")})),
        ("state", json!({"state": "running", "attempt": 3})),
        ("state", json!({"state": "succeeded", "attempt": 3})),
    ];
    let events: Vec<(&str, Value)> = events.iter().map(|event| (event.kind.as_str(), event.data.clone())).collect();
    assert_eq!(events, expected);
}

pub async fn events_after_a_number_are_given(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    claim(store).await.unwrap();
    let events = store.events(id, 1).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [2]);
    assert_eq!(store.events(id, 2).await.unwrap(), []);
}

pub async fn old_progress_is_forgotten_but_no_state(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    for step in 1..=220 {
        let progress = Progress { step, steps: 220, ..Progress::default() };
        store.beat(&lease, LONG, Some(&progress)).await.unwrap();
    }
    store.stop(&lease).await.unwrap();
    let events = store.events(id, 0).await.unwrap();
    let steps: Vec<u64> = events.iter().filter_map(|event| event.data["step"].as_u64()).collect();
    assert_eq!(steps, (21..=220).collect::<Vec<_>>());
    let states: Vec<&str> = events.iter().filter_map(|event| event.data["state"].as_str()).collect();
    assert_eq!(states, ["queued", "running", "cancelled"]);
    assert_eq!(events.last().unwrap().sequence, 223);
}

pub async fn those_who_wait_are_told_of_changes(store: &Store) {
    let mut changes = store.changes();
    let id = submit(store, new_job("a")).await.id;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let (_, lease) = claim(store).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    store.beat(&lease, LONG, Some(&Progress::default())).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    store.cancel(id).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    store.stop(&lease).await.unwrap();
    assert!(changes.has_changed().unwrap());
}

/// Idle workers wait for changes: a claim without a job that counted as one would wake them all, for ever.
pub async fn a_look_that_finds_nothing_tells_nobody(store: &Store) {
    let id = submit(store, new_job("a")).await.id;
    let (_, lease) = claim(store).await.unwrap();
    let changes = store.changes();
    assert_eq!(claim(store).await, None);
    store.beat(&lease, LONG, None).await.unwrap();
    store.sweep().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.delete(id).await.unwrap(), Deleted::NotFinal);
    assert_eq!(store.purge(LONG, 10).await.unwrap(), []);
    assert!(!changes.has_changed().unwrap());
}
