//! How many operations a second a store takes: not a rule, so it runs only when asked for (`docs/scale.md`).

use std::time::Instant;

use serde_json::json;

use super::{LONG, MODEL, ROOMY, Store, new_job, outcome};
use crate::jobs::store::Submitted;

/// Jobs, and how many tasks ask at once.
const JOBS: usize = 2000;
const TASKS: usize = 8;

/// Prints one line of JSON for `store`: operations a second of [`TASKS`] that ask at once.
pub async fn operations_a_second(store: &Store, name: &str) {
    let submit = |store: Store, task: usize| async move {
        for _ in 0..JOBS / TASKS {
            let submitted = store.submit(new_job(&format!("caller-{task}")), ROOMY).await.unwrap();
            assert!(matches!(submitted, Submitted::Created(_)));
        }
    };
    let submissions = at_once(store, submit).await;

    // what a worker writes for a short job: it takes it, says once that it goes on, and ends it
    let work = |store: Store, task: usize| async move {
        let (worker, models) = (format!("worker-{task}"), [MODEL.to_owned()]);
        for _ in 0..JOBS / TASKS {
            let (job, lease) = store.claim(&worker, &models, LONG).await.unwrap().expect("as many jobs as claims");
            store.beat(&lease, LONG, Some(&job.progress)).await.unwrap();
            assert!(store.succeed(&lease, &outcome()).await.unwrap());
        }
    };
    let jobs = at_once(store, work).await;
    let figures = json!({"store": name, "jobs": JOBS, "tasks": TASKS,
        "submissions_a_second": submissions.round(), "jobs_a_second": jobs.round()});
    println!("{figures}");
}

async fn at_once<F: Future<Output = ()> + Send + 'static>(store: &Store, work: impl Fn(Store, usize) -> F) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(work(store.clone(), task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    JOBS as f64 / began.elapsed().as_secs_f64()
}
