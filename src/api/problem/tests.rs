use axum::http::StatusCode;
use serde_json::json;

use super::*;
use crate::api::testing;
use crate::artifact::ArtifactError;
use crate::imaging::ImagingError;
use crate::jobs::store::StoreError;
use crate::jobs::{JobError, SpecError};

async fn document(problem: Problem) -> serde_json::Value {
    testing::json(problem.into_response()).await
}

#[tokio::test]
async fn a_problem_points_to_the_field() {
    let error = SpecError { pointer: "/spec/attack/steps".into(), detail: "steps is 0: take at least one".into() };
    let response = Problem::from(error).into_response();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    let expected = json!({
        "type": "/problems/invalid",
        "title": "The request cannot be used",
        "status": 422,
        "detail": "steps is 0: take at least one",
        "errors": [{"pointer": "/spec/attack/steps", "detail": "steps is 0: take at least one"}],
    });
    assert_eq!(testing::json(response).await, expected);
}

#[tokio::test]
async fn what_went_wrong_inside_is_not_told() {
    const SECRET: &str = "/var/lib/segprobe/attacks/7";
    let io = std::io::Error::other(SECRET);
    let errors: [JobError; 5] = [
        StoreError::Corrupt(SECRET.into()).into(),
        StoreError::Unavailable(SECRET.into()).into(),
        StoreError::Full(SECRET.into()).into(),
        ArtifactError::Unavailable(SECRET.into()).into(),
        JobError::Picture {
            pointer: "/image",
            source: ImagingError::Io { doing: "read", path: SECRET.into(), source: io },
        },
    ];
    for error in errors {
        let document = document(error.into()).await;
        assert!(!document.to_string().contains(SECRET), "{document}");
        assert!(document["status"].as_u64() >= Some(500), "{document}");
    }
}

#[test]
fn pictures_are_too_large_unknown_or_invalid() {
    let kind = |error| Problem::picture("/mask", &error).kind();
    assert_eq!(kind(ImagingError::TooManyBytes { found: 2, limit: 1 }), Kind::PayloadTooLarge);
    let huge = ImagingError::TooManyPixels { width: 9, height: 9, side: 8, pixels: 64 };
    assert_eq!(kind(huge), Kind::PayloadTooLarge);
    assert_eq!(kind(ImagingError::UnknownFormat), Kind::UnsupportedMediaType);
    assert_eq!(kind(ImagingError::Empty), Kind::Invalid);
    assert_eq!(kind(ImagingError::FaintMask { brightest: 1 }), Kind::Invalid);
}

#[test]
fn what_passes_by_itself_says_when_to_come_again() {
    let pause = |error: JobError| Problem::from(error).into_response().headers().get(RETRY_AFTER).cloned();
    assert!(pause(JobError::Busy).is_some());
    assert!(pause(JobError::ShuttingDown).is_some());
    assert!(pause(StoreError::QueueFull { queued: 1000 }.into()).is_some());
    assert!(pause(StoreError::CallerFull { unfinished: 500 }.into()).is_some());
    assert_eq!(pause(JobError::Absent), None);
    let later = Problem::new(Kind::QueueFull, "full").retry_after(77).into_response();
    assert_eq!(later.headers().get_all(RETRY_AFTER).iter().collect::<Vec<_>>(), ["77"]);
}

#[tokio::test]
async fn a_key_that_was_used_before_is_blamed_on_its_header() {
    let document = document(StoreError::IdempotencyConflict.into()).await;
    assert_eq!(document["type"], "/problems/idempotency-conflict");
    assert_eq!(document["errors"][0]["header"], "Idempotency-Key");
}

#[test]
fn every_kind_is_listed_once_and_by_status() {
    let statuses = Kind::ALL.map(|kind| kind.status());
    assert!(statuses.is_sorted(), "{statuses:?}");
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        assert!(!Kind::ALL[..at].contains(&kind), "{kind:?}");
    }
}
