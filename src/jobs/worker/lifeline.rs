//! The heartbeat of an attempt: keeps its lease, carries its progress, hears that it has to stop.
//!
//! A beat is sent only if the attempt has moved: it visited a point, the engine made a step for anybody, or the
//! work is off the device. A device that hangs thus loses its jobs, although this process is alive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Pool;
use super::follow::Follow;
use crate::engine::{CancelToken, Engine};
use crate::jobs::Progress;
use crate::jobs::store::{Beat, Lease};

/// How long an attempt may take to notice that it has to be handed back; a step of a large model.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why an attempt was given up while its work went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// The job belongs to another worker, or to nobody.
    Lost,
    /// The same, and nothing has moved for a whole lease: the device hangs.
    Stuck,
    /// The service stops, and the work did not.
    ShutDown,
}

/// Keeps the lease of an attempt.
#[derive(Debug)]
pub(super) struct Lifeline {
    lease: Lease,
    extend: Duration,
    pub(super) cancel: CancelToken,
    /// When the lease ends by this process's clock; after a beat that is early, since it counts from before the answer.
    until: Mutex<Instant>,
    /// Whether the attack was told to stop because the service does, and for no other reason.
    handed_back: AtomicBool,
}

impl Lifeline {
    pub(super) fn new(pool: &Pool, lease: Lease) -> Self {
        Self {
            lease,
            extend: pool.lease,
            cancel: CancelToken::default(),
            until: Mutex::new(Instant::now() + pool.lease),
            handed_back: AtomicBool::new(false),
        }
    }

    /// Until when the lease is held if nothing more is heard.
    pub(super) fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the attack was told to stop because the service does, and for no other reason.
    pub(super) fn is_handed_back(&self) -> bool {
        self.handed_back.load(Ordering::Relaxed)
    }

    /// Beats until the attempt has to be given up; dropped when its work ends.
    pub(super) async fn keep(&self, pool: &Pool, follow: &Follow, engine: &Engine) -> GivenUp {
        let (mut moved, mut last_moved, mut sent) = (None, Instant::now(), Progress::default());
        let mut stopping: Option<Instant> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pool.beat) => {}
                () = pool.hand_back.cancelled(), if stopping.is_none() => {
                    stopping = Some(Instant::now());
                    self.handed_back.store(!self.cancel.is_cancelled(), Ordering::Relaxed);
                    self.cancel.cancel();
                }
            }
            if stopping.is_some_and(|since| since.elapsed() > PATIENCE) {
                return GivenUp::ShutDown;
            }
            let now = Some((follow.progress().step, engine.stats().steps));
            if now != moved || !follow.is_on_device() {
                (moved, last_moved) = (now, Instant::now());
                let progress = follow.progress();
                let news = (progress != sent).then_some(&progress);
                match self.beat(pool, news).await {
                    Some(Beat::Lost) => return GivenUp::Lost,
                    Some(Beat::Cancel) => self.cancel.cancel(),
                    Some(Beat::Continue) => sent = progress,
                    None => {}
                }
            }
            if Instant::now() > self.until() {
                return if last_moved.elapsed() < self.extend { GivenUp::Lost } else { GivenUp::Stuck };
            }
        }
    }

    /// One beat; `None` if the store did not answer.
    pub(super) async fn beat(&self, pool: &Pool, progress: Option<&Progress>) -> Option<Beat> {
        let began = Instant::now();
        match pool.jobs.store().beat(&self.lease, self.extend, progress).await {
            Ok(Beat::Lost) => Some(Beat::Lost),
            Ok(beat) => {
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = began + self.extend;
                Some(beat)
            }
            Err(error) => {
                tracing::warn!(%error, "a heartbeat failed");
                None
            }
        }
    }
}
