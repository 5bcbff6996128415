//! What every store knows of the workers' models.

use std::time::Duration;

use serde_json::json;

use super::Store;
use crate::jobs::store::Announcement;

fn holds(name: &str, rank: u32, ready: bool) -> Announcement {
    Announcement { name: name.into(), rank, model: json!({"ready": ready}) }
}

async fn known(store: &Store) -> Vec<Announcement> {
    store.announced().await.unwrap().into_iter().map(|(announcement, _)| announcement).collect()
}

pub async fn announcements_are_listed_by_rank(store: &Store) {
    assert!(known(store).await.is_empty());
    store.announce("worker", &[holds("b", 0, true), holds("a", 1, true)]).await.unwrap();
    assert_eq!(known(store).await, [holds("b", 0, true), holds("a", 1, true)]);
    let ages: Vec<Duration> = store.announced().await.unwrap().into_iter().map(|(_, age)| age).collect();
    assert!(ages.iter().all(|age| *age < Duration::from_secs(60)), "{ages:?}");
}

pub async fn a_worker_says_last_what_holds(store: &Store) {
    store.announce("worker", &[holds("a", 0, true)]).await.unwrap();
    store.announce("worker", &[holds("a", 2, false)]).await.unwrap();
    assert_eq!(known(store).await, [holds("a", 2, false)]);
}

pub async fn two_workers_may_hold_one_model(store: &Store) {
    store.announce("one", &[holds("a", 0, true)]).await.unwrap();
    store.announce("other", &[holds("a", 0, false)]).await.unwrap();
    let mut known = known(store).await;
    known.sort_by_key(|announcement| announcement.model.to_string());
    assert_eq!(known, [holds("a", 0, false), holds("a", 0, true)]);
}
