//! Where each file lies.
//!
//! ```text
//! inputs/{job}/{name}              the pictures of a request, as pixels
//! attacks/{job}/{attempt}/{name}   what one attempt wrote
//! checkpoints/{job}/{state}/{name} from where a running attack can go on
//! ```

use object_store::path::Path;
use uuid::Uuid;

/// Above the pictures of all requests.
pub fn all_inputs() -> Path {
    Path::from("inputs")
}

/// Above what all attempts of all jobs wrote.
pub fn all_attacks() -> Path {
    Path::from("attacks")
}

/// Above the pictures of a job's request.
pub fn inputs(job: Uuid) -> Path {
    all_inputs().join(job.to_string())
}

/// Above what all attempts of a job wrote.
pub fn attacks(job: Uuid) -> Path {
    all_attacks().join(job.to_string())
}

/// Above the states of all running attacks.
pub fn all_checkpoints() -> Path {
    Path::from("checkpoints")
}

/// Above the states of one running attack.
pub fn checkpoints(job: Uuid) -> Path {
    all_checkpoints().join(job.to_string())
}

/// Above what one attempt of a job wrote.
pub fn attempt(job: Uuid, attempt: u32) -> Path {
    attacks(job).join(attempt.to_string())
}
