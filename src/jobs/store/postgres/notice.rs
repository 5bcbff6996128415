//! Telling all processes that a job has changed.
//!
//! A notification is part of the transaction: it arrives when what it tells of can be seen, or never. Whoever
//! waits also looks again after a while, because a connection that breaks loses what is told meanwhile.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use uuid::Uuid;

use super::error::store_error;
use crate::jobs::store::{StoreError, note_change};

const CHANNEL: &str = "segprobe_jobs";
/// Between two attempts to listen.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells other processes that a job has changed, once the transaction ends well. `process` is who tells.
pub(super) async fn tell(connection: &mut PgConnection, process: Uuid) -> Result<(), StoreError> {
    let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(process.to_string());
    notify.execute(connection).await.map(drop).map_err(store_error)
}

/// Counts what other processes than `process` tell from now on, on a task that ends with the pool.
pub(super) async fn listen(pool: PgPool, process: Uuid, changes: watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = Some(connect(&pool).await?);
    tokio::spawn(async move {
        let mut closed = pool.close_event();
        let listening = async {
            loop {
                let heard = match listener.take() {
                    Some(listener) => count(listener, process, &changes).await,
                    None => match connect(&pool).await {
                        Ok(connected) => {
                            // what was told meanwhile was not heard
                            note_change(&changes);
                            listener = Some(connected);
                            continue;
                        }
                        Err(error) => Err(error),
                    },
                };
                if let Err(error) = heard {
                    tracing::warn!(%error, "changes by other processes are noticed late");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        closed.do_until(listening).await
    });
    Ok(())
}

async fn connect(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Counts until the connection breaks.
async fn count(mut listener: PgListener, process: Uuid, changes: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let own = process.to_string();
    while let Some(told) = listener.try_recv().await? {
        if told.payload() != own {
            note_change(changes);
        }
    }
    Ok(())
}
