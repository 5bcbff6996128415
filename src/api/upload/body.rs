//! A body that is read by somebody who may stop before its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::{StreamExt, stream};

use crate::api::problem::{Kind, Problem};

/// Most bytes behind the last part of a form; nobody sends any.
const MOST_EPILOGUE_BYTES: usize = 64 << 10;

/// The body of a request, also after a reader has had enough. A form is complete at its closing boundary, where its
/// reader stops; a request is only once all has come that its header promised.
#[derive(Debug, Clone)]
pub(super) struct Rest(Arc<Mutex<BodyDataStream>>);

impl Rest {
    /// The same request, and what its reader will leave.
    pub(super) fn of(request: Request) -> (Request, Self) {
        let (head, body) = request.into_parts();
        let rest = Self(Arc::new(Mutex::new(body.into_data_stream())));
        let reader = rest.clone();
        let body = Body::from_stream(stream::poll_fn(move |context| reader.poll(context)));
        (Request::from_parts(head, body), rest)
    }

    /// Reads to the end.
    pub(super) async fn finish(self) -> Result<(), Problem> {
        let mut chunks = stream::poll_fn(|context| self.poll(context));
        let mut left = MOST_EPILOGUE_BYTES;
        while let Some(chunk) = chunks.next().await {
            let cut_off = |_| Problem::new(Kind::BadRequest, "the body ends before the length that its header says");
            let chunk = chunk.map_err(cut_off)?;
            let too_much = || Problem::new(Kind::BadRequest, "the body goes on after the end of the form");
            left = left.checked_sub(chunk.len()).ok_or_else(too_much)?;
        }
        Ok(())
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}
