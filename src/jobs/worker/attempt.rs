//! One attempt at one job: load, attack, publish, with a heartbeat beside it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Pool;
use super::checkpoints::Checkpoints;
use super::end::End;
use super::failure::Fault;
use super::follow::Follow;
use super::lifeline::{GivenUp, Lifeline};
use super::publish::{manifest, publish};
use super::traced::Trace;
use crate::attack::StepRecord;
use crate::engine::Engine;
use crate::evaluation::result::AttackResult;
use crate::evaluation::{Artifact, Control, RunError, run_attack};
use crate::jobs::inputs::{Loaded, load};
use crate::jobs::store::Lease;
use crate::jobs::{Host, Job};
use crate::report::manifest::Machine;

/// A claimed job and the right to run it.
pub(super) struct Attempt {
    pub(super) pool: Arc<Pool>,
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) lifeline: Lifeline,
    pub(super) follow: Follow,
    /// Once the job's model is known.
    pub(super) checkpoints: OnceLock<Checkpoints>,
    pub(super) trace: Trace,
}

/// An attack that ran to its end, with all its files but the manifest.
pub(super) struct Attacked {
    pub(super) result: AttackResult,
    pub(super) duration: Duration,
    pub(super) files: Vec<Artifact>,
}

impl Attempt {
    pub(super) fn new(pool: Arc<Pool>, job: Job, lease: Lease, trace: Trace) -> Self {
        let lifeline = Lifeline::new(&pool, lease.clone());
        let follow = Follow::new(job.spec.points());
        Self { pool, job, lease, lifeline, follow, checkpoints: OnceLock::new(), trace }
    }

    /// Runs the job to one of its ends and writes it down.
    pub(super) async fn run(self) {
        let began = Instant::now();
        let _entry = self.pool.jobs.live().enter(&self.lease, &self.lifeline.cancel);
        if let Some(started) = self.job.started_at {
            let waited = (started - self.job.created_at).as_seconds_f64();
            metrics::histogram!("segprobe_queue_wait_seconds").record(waited.max(0.));
        }
        tracing::info!(model = %self.job.model, method = self.job.spec.attack.method(), "job begun");
        let end = self.reach_end().await;
        self.conclude(end, began).await;
    }

    async fn reach_end(&self) -> End {
        if self.job.cancel_requested {
            return End::Cancelled;
        }
        // A model that is not served any more cannot be claimed.
        let Some(host) = self.pool.jobs.hosts().find(Some(&self.job.model)).cloned() else { return End::HandedBack };
        let engine = host.engine();
        let end = tokio::select! {
            end = self.work(&host, &engine) => end,
            given_up = self.lifeline.keep(&self.pool, &self.follow, &engine) => match given_up {
                GivenUp::Lost => End::Lost,
                GivenUp::ShutDown => End::HandedBack,
                GivenUp::Stuck => {
                    host.give_up("its device has not answered for a whole lease");
                    End::Lost
                }
            },
        };
        // An attack that is not waited for any more ends at its next question.
        self.lifeline.cancel.cancel();
        end
    }

    async fn work(&self, host: &Arc<Host>, engine: &Engine) -> End {
        match self.try_work(host, engine).await {
            Ok(end) => end,
            Err(Fault::Stopped) if self.lifeline.is_handed_back() => End::HandedBack,
            Err(Fault::Stopped) => End::Cancelled,
            Err(Fault::Final(failure)) => End::Failed { failure, again: false },
            Err(Fault::Passing(failure)) => End::Failed { failure, again: true },
        }
    }

    async fn try_work(&self, host: &Arc<Host>, engine: &Engine) -> Result<End, Fault> {
        let jobs = &self.pool.jobs;
        let loading = self.trace.load();
        let loaded = load(jobs.artifacts(), &self.job).await?;
        drop(loading);
        let others = self.others()?;
        let checkpoints = self.checkpoints.get_or_init(|| Checkpoints::new(jobs, &self.job, host, engine));
        let mut attacked = self.attack(loaded, (host, engine), &others, checkpoints).await?;
        let machine = Machine::this(engine.device(), engine.precision());
        let identities = others.iter().map(|host| host.identity.clone()).collect();
        attacked.files.push(manifest(&self.job, (host, identities), (machine, &attacked)));
        let _publishing = self.trace.publish(attacked.files.len());
        let outcome = publish(jobs, &self.job, attacked).await?;
        Ok(End::Succeeded(Box::new(outcome)))
    }

    /// The other models that the attack is shown to.
    fn others(&self) -> Result<Vec<Arc<Host>>, Fault> {
        let hosts = self.pool.jobs.hosts();
        let host = |name: &String| hosts.find(Some(name)).cloned().ok_or_else(|| Fault::not_held(name));
        self.job.spec.transfer_to.iter().map(host).collect()
    }

    /// Runs the attack on a thread of its own: one that hangs must not keep the process from ending. Its states are
    /// written beside it, and it goes on from that of an attempt before.
    async fn attack(
        &self,
        loaded: Loaded,
        (host, engine): (&Arc<Host>, &Engine),
        others: &[Arc<Host>],
        checkpoints: &Checkpoints,
    ) -> Result<Attacked, Fault> {
        let _steps = self.trace.attack(&self.follow);
        let (answer, answered) = oneshot::channel();
        let (newest, states) = watch::channel(None);
        let resumes = checkpoints.load(engine.device()).await;
        if let Some(checkpoint) = &resumes {
            tracing::info!(points = checkpoint.records().len(), "an attack goes on from its checkpoint");
        }
        let others: Vec<_> = others.iter().map(|host| (host.name.clone(), host.engine())).collect();
        let (host, engine) = (host.clone(), engine.clone());
        let (cancel, follow, span) = (self.lifeline.cancel.clone(), self.follow.clone(), tracing::Span::current());
        let (rows, paced) = (engine.clone(), follow.clone());
        let note = move |record: &StepRecord| paced.note(record, &host, rows.rows());
        let mut watcher = checkpoints.watcher(resumes, newest, (note, &follow));
        let work = move || {
            let _inside = span.entered();
            let control = Control { cancel, watcher: &mut watcher };
            // Nobody listens any more if the attempt was given up.
            let _ = answer.send(attack(&engine, loaded, (control, &others), &follow));
        };
        std::thread::Builder::new().name("attack".into()).spawn(work).map_err(|error| Fault::device(&error))?;
        let (answered, ()) = tokio::join!(answered, checkpoints.follow(states));
        // A thread that panics drops its end of the channel.
        Ok(answered.map_err(|_| Fault::panicked())??)
    }
}

fn attack(
    engine: &Engine,
    loaded: Loaded,
    (control, others): (Control, &[(String, Engine)]),
    follow: &Follow,
) -> Result<Attacked, RunError> {
    follow.enter_device();
    let run = run_attack(engine, &loaded.request, control).and_then(|mut run| {
        run.transfer_to(others)?;
        Ok(run)
    });
    follow.leave_device();
    let run = run?;
    follow.complete();
    let mut files = run.artifacts()?;
    files.push(Artifact { name: "original.png".into(), bytes: loaded.image.into() });
    files.extend(loaded.reference.map(|bytes| Artifact { name: "reference.png".into(), bytes: bytes.into() }));
    Ok(Attacked { result: run.result, duration: run.duration, files })
}
