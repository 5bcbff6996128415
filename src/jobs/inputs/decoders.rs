//! Reading pictures costs memory and time, so only a few are read at once and a few more may wait.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::jobs::JobError;

/// A bounded pool for work on uploads.
#[derive(Debug)]
pub(in crate::jobs) struct Decoders {
    /// Places for those who work and those who wait.
    places: Semaphore,
    working: Arc<Semaphore>,
}

impl Decoders {
    /// A pool of `workers`, before which `waiting` uploads may wait.
    pub(in crate::jobs) fn new(workers: usize, waiting: usize) -> Self {
        let workers = workers.max(1);
        Self { places: Semaphore::new(workers.saturating_add(waiting)), working: Arc::new(Semaphore::new(workers)) }
    }

    /// Does some work off the async threads, when its turn has come.
    ///
    /// # Errors
    /// [`JobError::Busy`] if too many wait already.
    ///
    /// # Panics
    /// If the work does.
    pub(in crate::jobs) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let _place = self.places.try_acquire().map_err(|_| JobError::Busy)?;
        let turn = self.working.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The turn ends with the work, even if the one who asked for it has gone.
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match done.await {
            Ok(result) => Ok(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(JobError::ShuttingDown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn one_upload_more_than_may_wait_is_refused() {
        let pool = Arc::new(Decoders::new(1, 1));
        let (release, gate) = mpsc::channel::<()>();
        let first = pool.run(move || gate.recv());
        let second = pool.run(|| 2);
        let third = async {
            // The first two are polled before this, so their places are taken.
            assert!(matches!(pool.run(|| 3).await, Err(JobError::Busy)));
            release.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, third);
        first.unwrap().unwrap();
        assert_eq!(second.unwrap(), 2);
        assert_eq!(pool.run(|| 4).await.unwrap(), 4);
    }
}
