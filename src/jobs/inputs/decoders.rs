//! Reading pictures costs memory and time, so only a few are read at once, and those that wait may hold so many bytes.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::jobs::JobError;

const KIB: u64 = 1024;

/// A bounded pool for work on uploads.
#[derive(Debug)]
pub(in crate::jobs) struct Decoders {
    /// KiB that those who wait or work may hold.
    memory: Semaphore,
    working: Arc<Semaphore>,
}

impl Decoders {
    /// A pool of `workers` for uploads that together hold `bytes` while they wait and are read.
    pub(in crate::jobs) fn new(workers: usize, bytes: u64) -> Self {
        let memory = usize::try_from(bytes / KIB).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { memory: Semaphore::new(memory), working: Arc::new(Semaphore::new(workers.max(1))) }
    }

    /// Does some work on `bytes` off the async threads, when its turn has come.
    ///
    /// # Errors
    /// [`JobError::Busy`] if those who wait already hold too much.
    ///
    /// # Panics
    /// If the work does.
    pub(in crate::jobs) async fn run<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobError> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).map_err(|_| JobError::Busy)?;
        let _held = self.memory.try_acquire_many(kib).map_err(|_| JobError::Busy)?;
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
    async fn an_upload_for_which_there_is_no_memory_is_refused() {
        let pool = Arc::new(Decoders::new(1, 2 * KIB));
        let (release, gate) = mpsc::channel::<()>();
        let first = pool.run(KIB, move || gate.recv());
        let second = pool.run(KIB, || 2);
        let third = async {
            // The first two are polled before this, so the memory is taken.
            assert!(matches!(pool.run(1, || 3).await, Err(JobError::Busy)));
            release.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, third);
        first.unwrap().unwrap();
        assert_eq!(second.unwrap(), 2);
        assert_eq!(pool.run(2 * KIB, || 4).await.unwrap(), 4);
    }
}
