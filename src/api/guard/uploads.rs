//! Bounds the memory that bodies take while they are received.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::refusal;

/// Bodies up to this size need no seat.
const SMALL_BYTES: u64 = 64 << 10;

/// How long a body waits for a seat: many clients at once are soon served.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Places for bodies that are being received. Once one is read, the decoders' own queue bounds what follows.
#[derive(Debug, Clone)]
pub(super) struct Seats(Arc<Semaphore>);

impl Seats {
    pub fn new(seats: usize) -> Self {
        Self(Arc::new(Semaphore::new(seats)))
    }
}

/// Gives a large body a seat until it was read, or answers that there is none.
pub(super) async fn layer(State(Seats(seats)): State<Seats>, request: Request, next: Next) -> Response {
    // Without an upper bound the body is chunked: it may become large.
    if request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
        return next.run(request).await;
    }
    // Nothing of the body is read meanwhile, so those who wait cost a connection and no memory.
    let Ok(Ok(seat)) = timeout(LONGEST_WAIT, seats.acquire_owned()).await else {
        return refusal::unavailable("too many uploads arrive at once: try again later").into_response();
    };
    let hold = move |body: Body| {
        let chunks = body.into_data_stream().inspect(move |_| {
            let _held = &seat;
        });
        Body::from_stream(chunks)
    };
    next.run(request.map(hold)).await
}
