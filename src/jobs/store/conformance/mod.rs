//! What every [`JobStore`] has to do, as tests that know nothing of the database behind it.
//!
//! A store joins with `suite!(open)`, where `open` answers an empty store. No test waits: a lease of no length has
//! expired when it is given.

pub mod announcements;
pub mod cancel;
pub mod claim;
pub mod history;
pub mod keys;
pub mod lease;
pub mod list;
pub mod maintenance;
mod random;
pub mod speed;
pub mod submit;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{JobStore, Lease, NewJob, QueueLimits, Submitted};
use crate::access::keys::KeyStore;
use crate::jobs::{ArtifactRecord, Failure, InputRecord, Inputs, Job, JobId, Outcome, Scores};

/// An empty store and whatever has to live as long.
pub struct Opened {
    pub store: Arc<dyn JobStore>,
    pub keys: Arc<dyn KeyStore>,
    pub keep: Box<dyn Any + Send>,
}

/// Makes a test of each function below for the store that `$open` opens.
macro_rules! suite {
    ($open:path) => {
        $crate::jobs::store::conformance::tests! { $open, store;
            submit {
                a_job_is_stored_as_it_was_submitted; the_queue_takes_no_more_than_it_may;
                a_caller_is_limited_by_unfinished_jobs; a_repeated_request_finds_its_job;
                a_repeated_request_is_answered_by_a_full_queue; a_key_with_another_request_is_a_conflict;
                callers_do_not_share_keys; equal_requests_at_once_make_one_job
            }
            claim {
                an_empty_queue_gives_nothing; a_claimed_job_runs; higher_priority_goes_first; callers_take_turns;
                a_new_caller_goes_before_those_who_were_served; one_caller_is_served_in_order;
                only_the_models_asked_for_are_given; a_job_that_waits_for_its_retry_is_not_given;
                claimers_at_once_never_share_a_job
            }
            lease {
                a_beat_extends_the_lease_and_tells_the_progress; an_expired_lease_holds_until_somebody_takes_the_job;
                a_lost_lease_changes_nothing; a_lease_is_good_for_one_ending; a_failed_attempt_is_tried_again;
                the_last_attempt_is_not_tried_again; a_failure_without_retry_is_final;
                success_forgets_earlier_failures; handing_back_costs_no_attempt;
                a_lease_that_was_handed_back_never_becomes_valid_again
            }
            cancel {
                a_queued_job_is_cancelled_at_once; a_running_job_is_asked_to_stop; an_ended_job_cannot_be_cancelled;
                a_cancelled_job_is_not_queued_again; only_ended_jobs_are_deleted
            }
            list {
                jobs_are_listed_newest_first_in_pages; filters_hold_together; times_of_submission_are_a_filter;
                a_place_counts_what_is_ahead; jobs_are_counted_by_state
            }
            history {
                every_change_of_state_is_an_event; events_after_a_number_are_given;
                old_progress_is_forgotten_but_no_state; those_who_wait_are_told_of_changes;
                a_look_that_finds_nothing_tells_nobody
            }
            announcements {
                announcements_are_listed_by_rank; a_worker_says_last_what_holds; two_workers_may_hold_one_model
            }
            maintenance {
                a_sweep_ends_what_has_no_attempts_left; a_sweep_cancels_what_was_to_be_cancelled;
                a_sweep_leaves_live_leases_alone; recovery_puts_running_jobs_back;
                recovery_gives_up_a_job_that_kills_its_process; old_jobs_are_purged_in_portions;
                forgotten_keys_can_be_used_again; a_store_that_works_answers_a_ping
            }
        }

        $crate::jobs::store::conformance::tests! { $open, keys;
            keys {
                a_key_lets_its_holder_in_as_its_caller; neither_a_wrong_secret_nor_a_wrong_name_lets_anybody_in;
                an_expired_key_is_refused; a_revoked_key_is_refused_and_stays_in_the_list;
                the_use_of_a_key_is_noted_once_a_minute
            }
        }

        /// Prints figures: `cargo test --lib operations_a_second -- --ignored --nocapture`.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "it measures, and needs a machine that does nothing else"]
        async fn operations_a_second() {
            let opened = $open().await;
            let name = module_path!().rsplit("::").nth(1).unwrap();
            $crate::jobs::store::conformance::speed::operations_a_second(&opened.store, name).await;
            drop(opened.keep);
        }

        #[test]
        fn random_operations_follow_the_rules() {
            $crate::jobs::store::conformance::random_operations(|| Box::pin($open()));
        }
    };
}

macro_rules! tests {
    ($open:path, $part:ident; $($group:ident { $($name:ident);+ })+) => {$(
        mod $group {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let opened = $open().await;
                    $crate::jobs::store::conformance::$group::$name(&opened.$part).await;
                    drop(opened.keep);
                }
            )+
        }
    )+};
}

pub(crate) use {suite, tests};

pub use random::random_operations;

pub type Store = Arc<dyn JobStore>;

/// Limits that no test meets by chance.
pub const ROOMY: QueueLimits = QueueLimits { queued: 10_000, per_caller: 10_000 };

/// The model of all jobs that do not say otherwise.
pub const MODEL: &str = "demo";

pub const LONG: Duration = Duration::from_secs(3600);

pub fn new_job(caller: &str) -> NewJob {
    let spec = json!({
        "prompt": "lungs",
        "attack": {"method": "pgd", "steps": 40},
        "budget": {"norm": "linf", "epsilon": {"value": 8, "unit": "pixel255"}},
    });
    let image =
        InputRecord { sha256: "ab".repeat(32), bytes: 3, format: "png".into(), width: 2, height: 1, notes: vec![] };
    NewJob {
        id: JobId::new(),
        caller: caller.into(),
        spec: serde_json::from_value(spec).unwrap(),
        model: MODEL.into(),
        inputs: Inputs { image, mask: None, target_mask: None, allowed_region: None, perturbation: None },
        steps: 41,
        max_attempts: 3,
        idempotency: None,
        rerun_of: None,
        request_id: None,
        trace: None,
    }
}

/// Submits a job that is new.
pub async fn submit(store: &Store, job: NewJob) -> Job {
    match store.submit(job, ROOMY).await.unwrap() {
        Submitted::Created(job) => job,
        Submitted::Replayed(job) => panic!("{} was there before", job.id),
    }
}

/// Claims a job of the usual model with a lease that lasts.
pub async fn claim(store: &Store) -> Option<(Job, Lease)> {
    store.claim("worker", &[MODEL.into()], LONG).await.unwrap()
}

/// Claims the only job there is, with a lease that has expired already.
pub async fn claim_and_vanish(store: &Store) -> Lease {
    store.claim("vanished", &[MODEL.into()], Duration::ZERO).await.unwrap().unwrap().1
}

pub async fn found(store: &Store, id: JobId) -> Job {
    store.find(id).await.unwrap().unwrap()
}

pub fn outcome() -> Outcome {
    Outcome {
        scores: Scores { clean_dsc: 0.9, adversarial_dsc: 0.1, clean_iou: 0.8, adversarial_iou: 0.05, success: true },
        result: json!({"linf": 8.0 / 255.0}),
        artifacts: vec![ArtifactRecord {
            name: "adversarial.png".into(),
            content_type: "image/png".into(),
            bytes: 7,
            sha256: "cd".repeat(32),
        }],
        comparison: None,
        duration_seconds: 1.5,
    }
}

pub fn failure(code: &str) -> Failure {
    Failure { code: code.into(), detail: "try again".into(), pointer: None }
}
