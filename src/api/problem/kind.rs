//! What can be wrong, each with its status, slug and title. The documentation is made from the same table.

use axum::http::StatusCode;

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not HTTP, form data or JSON as it should be.
    BadRequest,
    /// No valid key or token.
    Unauthenticated,
    /// A valid key or token that does not allow this.
    Forbidden,
    /// Nothing at this address, or nothing that the caller may know of.
    NotFound,
    /// The address exists, the method does not.
    MethodNotAllowed,
    /// The body did not arrive in time.
    ReceivedTooSlowly,
    /// Not in the state that the job is in.
    Conflict,
    /// A body, a part or a picture is too large.
    PayloadTooLarge,
    /// A body or a picture of a format that is not read.
    UnsupportedMediaType,
    /// A range beyond the end of a file.
    RangeNotSatisfiable,
    /// A field, parameter or header that cannot be used.
    Invalid,
    /// An idempotency key that was used for another request.
    IdempotencyConflict,
    /// The queue is full.
    QueueFull,
    /// The caller has as many unfinished jobs as they may.
    CallerFull,
    /// Too many requests of one caller.
    RateLimited,
    /// A fault of this program; the log has the details.
    Internal,
    /// Something that the service needs is busy or gone for a while.
    Unavailable,
    /// The answer was not ready in time.
    AnsweredTooSlowly,
    /// The disk is full.
    OutOfSpace,
}

impl Kind {
    /// All kinds, by status.
    pub const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ReceivedTooSlowly,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RangeNotSatisfiable,
        Self::Invalid,
        Self::IdempotencyConflict,
        Self::QueueFull,
        Self::CallerFull,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
        Self::AnsweredTooSlowly,
        Self::OutOfSpace,
    ];

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The last part of the problem's `type`; never changes.
    pub fn slug(self) -> &'static str {
        self.facts().1
    }

    /// The same for people.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read"),
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "A valid API key or token is needed")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "The request is not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here")
            }
            Self::ReceivedTooSlowly => (StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "The attack is in another state"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The format is not supported")
            }
            Self::RangeNotSatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "The range lies beyond the file")
            }
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request cannot be used"),
            Self::IdempotencyConflict => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-conflict",
                "The idempotency key belongs to another request",
            ),
            Self::QueueFull => (StatusCode::TOO_MANY_REQUESTS, "queue-full", "The queue is full"),
            Self::CallerFull => (StatusCode::TOO_MANY_REQUESTS, "caller-full", "Too many unfinished attacks"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service is not available now"),
            Self::AnsweredTooSlowly => (StatusCode::GATEWAY_TIMEOUT, "timeout", "The answer took too long"),
            Self::OutOfSpace => (StatusCode::INSUFFICIENT_STORAGE, "out-of-space", "The service has no space left"),
        }
    }
}
