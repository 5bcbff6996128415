//! What is accepted, what is refused and where the blame goes, and what is left behind.

use bytes::Bytes;
use serde_json::json;

use crate::artifact::layout;
use crate::imaging::Selection;
use crate::imaging::{Limits, Mask, decode, encode};
use crate::jobs::store::{StoreError, Submitted};
use crate::jobs::testing::{Service, config, created, mask_png, phantom, quick, upload};
use crate::jobs::{JobError, Upload};

fn pointer(error: &JobError) -> &str {
    match error {
        JobError::Spec(error) => &error.pointer,
        JobError::Picture { pointer, .. } => pointer,
        other => panic!("no field is to blame: {other}"),
    }
}

#[tokio::test]
async fn pictures_that_do_not_fit_are_pointed_at_and_nothing_is_kept() {
    let service = Service::new(config()).await;
    let fgsm = || json!({"method": "fgsm"});
    let small = || Some(mask_png(&Mask::from_fn(3, 3, |x, _| x == 0)));
    let empty = || Some(mask_png(&Mask::from_fn(64, 48, |_, _| false)));
    let fitting = || Some(mask_png(&phantom().1));
    let junk = || Some(Bytes::from_static(b"GIF89a"));
    let goal = |goal: &str| upload(fgsm(), json!({"goal": goal}));
    let altered = |goal: serde_json::Value, mask| Upload { mask, ..upload(fgsm(), json!({"goal": goal})) };
    let (away, grown) = (json!({"shift": {"dx_px": 64}}), json!({"grow": {"percent": 20}}));
    let universal = || upload(json!({"method": "universal"}), json!({}));
    let budget = json!({"norm": "l2", "epsilon": {"value": 30_000, "unit": "pixel255"}});
    let normalised = json!({"norm": "linf", "epsilon": {"value": 5, "unit": "normalised"}});
    for (upload, wanted) in [
        (Upload { image: Bytes::new(), ..quick() }, "/image"),
        (Upload { image: junk().unwrap(), ..quick() }, "/image"),
        (Upload { mask: small(), ..quick() }, "/mask"),
        (Upload { mask: junk(), ..quick() }, "/mask"),
        (Upload { allowed_region: small(), ..quick() }, "/allowed_region"),
        (Upload { allowed_region: empty(), ..quick() }, "/allowed_region"),
        (Upload { target_mask: small(), ..goal("target") }, "/target_mask"),
        (Upload { target_mask: fitting(), ..goal("erase") }, "/target_mask"),
        (goal("target"), "/target_mask"),
        (altered(away.clone(), fitting()), "/spec/goal/shift"),
        (altered(grown.clone(), empty()), "/spec/goal/grow"),
        (Upload { target_mask: fitting(), ..altered(grown.clone(), fitting()) }, "/target_mask"),
        (upload(fgsm(), json!({"budget": budget})), "/spec/budget/epsilon"),
        (upload(fgsm(), json!({"budget": normalised})), "/spec/budget/epsilon"),
        (upload(fgsm(), json!({"model": "other"})), "/spec/model"),
        (universal(), "/perturbation"),
        (Upload { perturbation: junk(), ..universal() }, "/perturbation"),
        (Upload { perturbation: junk(), ..quick() }, "/perturbation"),
    ] {
        let error = service.submit(upload).await.unwrap_err();
        assert_eq!(pointer(&error), wanted, "{error}");
    }
    assert!(service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_the_pixels_of_a_picture_are_kept() {
    let service = Service::new(config()).await;
    let (image, _) = phantom();
    let jpeg = Bytes::from(encode::jpeg(&image, 90).unwrap());
    let job = created(service.submit(Upload { image: jpeg.clone(), ..quick() }).await.unwrap());
    let record = &job.inputs.image;
    assert_eq!((record.format.as_str(), record.bytes), ("jpeg", jpeg.len() as u64));
    assert_eq!((record.width, record.height), (64, 48));
    let kept = service.jobs.artifacts().get(&layout::inputs(job.id.0), "image.png").await.unwrap().unwrap();
    let pixels = |bytes: &[u8]| decode::decode(bytes, &Limits::default()).unwrap().image;
    assert_eq!(pixels(&kept), pixels(&jpeg));
    let loaded = super::load(service.jobs.artifacts(), &job).await.unwrap();
    assert_eq!(loaded.request.image.container, crate::imaging::Container::Jpeg);
    assert_eq!(loaded.request.reference, Some(phantom().1));
}

#[tokio::test]
async fn an_idempotent_request_makes_one_job_and_another_one_under_its_key_is_refused() {
    let service = Service::new(config()).await;
    let first = created(service.submit_as(quick(), Some("key")).await.unwrap());
    let again = service.submit_as(quick(), Some("key")).await.unwrap();
    assert!(matches!(again, Submitted::Replayed(job) if job.id == first.id));
    let (race, other) = (service.submit_as(quick(), Some("race")), service.submit_as(quick(), Some("race")));
    let (race, other) = tokio::join!(race, other);
    let id = |submitted: Submitted| match submitted {
        Submitted::Created(job) | Submitted::Replayed(job) => job.id,
    };
    assert_eq!(id(race.unwrap()), id(other.unwrap()));
    for changed in [Upload { mask: None, ..quick() }, upload(json!({"method": "fgsm"}), json!({"seed": 1}))] {
        let error = service.submit_as(changed, Some("key")).await.unwrap_err();
        assert!(matches!(error, JobError::Store(StoreError::IdempotencyConflict)), "{error}");
    }
    assert_eq!(service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refused_job_leaves_no_files() {
    let mut config = config();
    config.queue.max_queued = 1;
    let service = Service::new(config).await;
    let id = service.queued(quick()).await;
    let error = service.submit(quick()).await.unwrap_err();
    assert!(matches!(error, JobError::Store(StoreError::QueueFull { queued: 1 })), "{error}");
    assert_eq!(service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap(), [id.to_string()]);
    assert!((1..=300).contains(&service.jobs.retry_after_seconds().await));

    service.jobs.begin_shutdown();
    assert!(matches!(service.submit(quick()).await, Err(JobError::ShuttingDown)));
}

#[tokio::test]
async fn a_picture_is_read_under_the_same_limits_outside_jobs() {
    let mut config = config();
    config.limits.pixels = 64 * 48;
    let service = Service::new(config).await;
    let (image, mask) = phantom();
    let read = service.jobs.picture(quick().image, "/image", Selection::default()).await.unwrap();
    assert_eq!(read.image, image);
    assert_eq!(service.jobs.mask(mask_png(&mask), "/mask").await.unwrap(), mask);
    let large = mask_png(&Mask::from_fn(64, 49, |_, _| true));
    let error = service.jobs.mask(large, "/mask").await.unwrap_err();
    assert_eq!(pointer(&error), "/mask");
}
