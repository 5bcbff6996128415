//! Random operations on a store and on a model of it that fits on a page; both have to agree after each.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{LONG, MODEL, Opened, Store, failure, found, new_job, outcome};
use crate::jobs::State;
use crate::jobs::store::{Beat, Cancelled, Deleted, Lease, NewJob, QueueLimits, Submitted};

/// Enough for two jobs to wait while a third runs, and few enough to be met.
const LIMITS: QueueLimits = QueueLimits { queued: 5, per_caller: 4 };

/// Jobs and leases are picked by number, modulo how many there were.
#[derive(Debug, Clone)]
enum Operation {
    Submit { caller: usize, priority: i32, max_attempts: u32 },
    Claim { expired: bool },
    Beat { lease: usize },
    Succeed { lease: usize },
    Fail { lease: usize, retry: bool },
    Stop { lease: usize },
    HandBack { lease: usize },
    Cancel { job: usize },
    Delete { job: usize },
    Sweep,
    Recover,
}

fn operation() -> impl Strategy<Value = Operation> {
    let lease = || 0..64usize;
    prop_oneof![
        4 => (0..3usize, 0..2i32, 1..4u32).prop_map(|(caller, priority, max_attempts)| Operation::Submit {
            caller, priority, max_attempts
        }),
        6 => any::<bool>().prop_map(|expired| Operation::Claim { expired }),
        2 => lease().prop_map(|lease| Operation::Beat { lease }),
        2 => lease().prop_map(|lease| Operation::Succeed { lease }),
        2 => (lease(), any::<bool>()).prop_map(|(lease, retry)| Operation::Fail { lease, retry }),
        1 => lease().prop_map(|lease| Operation::Stop { lease }),
        1 => lease().prop_map(|lease| Operation::HandBack { lease }),
        2 => lease().prop_map(|job| Operation::Cancel { job }),
        1 => lease().prop_map(|job| Operation::Delete { job }),
        1 => Just(Operation::Sweep),
        1 => Just(Operation::Recover),
    ]
}

/// What the rules say of one job.
#[derive(Debug, Clone)]
struct Expected {
    new: NewJob,
    state: State,
    attempt: u32,
    max_attempts: u32,
    cancel_requested: bool,
    lease: Option<Lease>,
    expired: bool,
}

impl Expected {
    fn end(&mut self, state: State) {
        assert!(!self.state.is_final(), "{} would end twice", self.new.id);
        (self.state, self.lease) = (state, None);
    }

    /// Ends the attempt without a result: `again` if there may be another one.
    fn give_up(&mut self, again: bool) {
        self.lease = None;
        match (self.cancel_requested, again) {
            (true, _) => self.end(State::Cancelled),
            (false, true) => self.state = State::Queued,
            (false, false) => self.end(State::Failed),
        }
    }
}

/// What the rules say of all jobs, in the order of their submission.
#[derive(Debug, Default)]
struct Rules {
    jobs: Vec<Expected>,
    leases: Vec<Lease>,
    /// Callers, the one served last at the end.
    served: Vec<String>,
}

impl Rules {
    fn release(&mut self, all: bool) -> (u64, u64) {
        let (mut ended, mut requeued) = (0, 0);
        for job in self.jobs.iter_mut().filter(|job| job.state == State::Running && (all || job.expired)) {
            job.give_up(job.attempt < job.max_attempts);
            *(if job.state == State::Queued { &mut requeued } else { &mut ended }) += 1;
        }
        (ended, requeued)
    }

    /// The job that is next: priority, then the caller served longest ago, then age.
    fn next(&mut self) -> Option<&mut Expected> {
        let turn = |caller: &str| self.served.iter().position(|served| served == caller).map_or(0, |place| place + 1);
        let queued = self.jobs.iter().enumerate().filter(|(_, job)| job.state == State::Queued);
        let (index, _) = queued.min_by_key(|(index, job)| (-job.new.spec.priority, turn(&job.new.caller), *index))?;
        self.jobs.get_mut(index)
    }

    fn lease(&self, number: usize) -> Option<Lease> {
        self.leases.get(number % self.leases.len().max(1)).cloned()
    }

    /// The job that is run under a lease.
    fn held(&mut self, lease: &Lease) -> Option<&mut Expected> {
        self.jobs.iter_mut().find(|job| job.lease.as_ref() == Some(lease))
    }

    async fn apply(&mut self, store: &Store, operation: &Operation) {
        match *operation {
            Operation::Submit { caller, priority, max_attempts } => {
                let mut new = NewJob { max_attempts, ..new_job(["a", "b", "c"][caller]) };
                new.spec.priority = priority;
                self.submit(store, new).await;
            }
            Operation::Claim { expired } => self.claim(store, expired).await,
            Operation::Cancel { job } => self.cancel(store, job).await,
            Operation::Delete { job } => self.delete(store, job).await,
            Operation::Sweep => assert_eq!(store.sweep().await.unwrap(), self.release(false).0),
            Operation::Recover => {
                let (ended, requeued) = self.release(true);
                assert_eq!(store.recover().await.unwrap(), ended + requeued);
            }
            Operation::Beat { lease }
            | Operation::Succeed { lease }
            | Operation::Fail { lease, .. }
            | Operation::Stop { lease }
            | Operation::HandBack { lease } => {
                let Some(lease) = self.lease(lease) else { return };
                self.use_lease(store, &lease, operation).await;
            }
        }
    }

    async fn submit(&mut self, store: &Store, new: NewJob) {
        let queued = self.jobs.iter().filter(|job| job.state == State::Queued).count() as u64;
        let unfinished = self.jobs.iter().filter(|job| !job.state.is_final() && job.new.caller == new.caller).count();
        let room = queued < LIMITS.queued && (unfinished as u64) < LIMITS.per_caller;
        let submitted = store.submit(new.clone(), LIMITS).await;
        assert_eq!(matches!(submitted, Ok(Submitted::Created(_))), room, "{submitted:?}");
        if room {
            let (state, max_attempts) = (State::Queued, new.max_attempts);
            let job =
                Expected { new, state, attempt: 0, max_attempts, cancel_requested: false, lease: None, expired: false };
            self.jobs.push(job);
        }
    }

    async fn claim(&mut self, store: &Store, expired: bool) {
        self.release(false);
        let length = if expired { Duration::ZERO } else { LONG };
        let claimed = store.claim("worker", &[MODEL.into()], length).await.unwrap();
        let Some(job) = self.next() else { return assert_eq!(claimed, None) };
        (job.state, job.expired) = (State::Running, expired);
        job.attempt += 1;
        let lease = Lease { id: job.new.id, worker: "worker".into(), attempt: job.attempt };
        job.lease = Some(lease.clone());
        let caller = job.new.caller.clone();
        assert_eq!(claimed.map(|(_, lease)| lease), Some(lease.clone()));
        assert!(!self.leases.contains(&lease), "a lease was given twice");
        self.leases.push(lease);
        self.served.retain(|served| *served != caller);
        self.served.push(caller);
    }

    async fn use_lease(&mut self, store: &Store, lease: &Lease, operation: &Operation) {
        let job = self.held(lease);
        let done = match operation {
            Operation::Beat { .. } => {
                let expected = job.as_ref().map_or(Beat::Lost, |job| match job.cancel_requested {
                    true => Beat::Cancel,
                    false => Beat::Continue,
                });
                assert_eq!(store.beat(lease, LONG, None).await.unwrap(), expected);
                expected != Beat::Lost
            }
            Operation::Succeed { .. } => store.succeed(lease, &outcome()).await.unwrap(),
            Operation::Fail { retry, .. } => {
                store.fail(lease, &failure("device"), retry.then_some(Duration::ZERO)).await.unwrap()
            }
            Operation::Stop { .. } => store.stop(lease).await.unwrap(),
            _ => store.hand_back(lease).await.unwrap(),
        };
        assert_eq!(done, job.is_some());
        let Some(job) = job else { return };
        match operation {
            Operation::Beat { .. } => job.expired = false,
            Operation::Succeed { .. } => job.end(State::Succeeded),
            Operation::Fail { retry: true, .. } => job.give_up(job.attempt < job.max_attempts),
            Operation::Fail { retry: false, .. } => job.end(State::Failed),
            Operation::Stop { .. } => job.end(State::Cancelled),
            _ => {
                job.max_attempts += u32::from(!job.cancel_requested);
                job.give_up(true);
            }
        }
    }

    async fn cancel(&mut self, store: &Store, number: usize) {
        let count = self.jobs.len().max(1);
        let Some(job) = self.jobs.get_mut(number % count) else { return };
        let cancelled = store.cancel(job.new.id).await.unwrap();
        match job.state {
            State::Queued => {
                assert!(matches!(cancelled, Some(Cancelled::Done(_))));
                job.end(State::Cancelled);
            }
            State::Running => {
                assert!(matches!(cancelled, Some(Cancelled::Requested(_))));
                job.cancel_requested = true;
            }
            _ => assert!(matches!(cancelled, Some(Cancelled::TooLate(_)))),
        }
    }

    async fn delete(&mut self, store: &Store, number: usize) {
        let index = number % self.jobs.len().max(1);
        let Some(job) = self.jobs.get(index) else { return };
        let deleted = store.delete(job.new.id).await.unwrap();
        if job.state.is_final() {
            assert_eq!(deleted, Deleted::Done);
            self.jobs.remove(index);
        } else {
            assert_eq!(deleted, Deleted::NotFinal);
        }
    }

    /// Whether the store agrees about every job.
    async fn check(&self, store: &Store) {
        for expected in &self.jobs {
            let job = found(store, expected.new.id).await;
            assert_eq!(
                (job.state, job.attempt, job.max_attempts, job.cancel_requested),
                (expected.state, expected.attempt, expected.max_attempts, expected.cancel_requested)
            );
            assert!(job.attempt <= job.max_attempts);
        }
    }
}

/// Runs random operations on stores that `open` opens.
pub fn random_operations(open: impl Fn() -> Pin<Box<dyn Future<Output = Opened>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() });
    let operations = prop::collection::vec(operation(), 1..60);
    let result = runner.run(&operations, |operations| {
        runtime.block_on(async {
            let opened = open().await;
            let mut rules = Rules::default();
            for operation in &operations {
                rules.apply(&opened.store, operation).await;
                rules.check(&opened.store).await;
            }
        });
        Ok(())
    });
    result.unwrap();
}
