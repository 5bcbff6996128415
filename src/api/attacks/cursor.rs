//! Where a page of a list ends, as a word that clients hand back without looking inside.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::api::problem::Problem;
use crate::jobs::JobId;

/// The cursor after a job.
pub(super) fn write(last: JobId) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last.0)
}

/// The job before which a page begins.
pub(super) fn read(cursor: &str) -> Result<JobId, Problem> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.map(JobId).ok_or_else(|| Problem::parameter("cursor", "use the `next_cursor` of the page before, unchanged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_job() {
        let id = JobId::new();
        let cursor = write(id);
        assert_eq!((read(&cursor).unwrap(), cursor.len()), (id, 22));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for wrong in ["", "nonsense", "\0", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAA==", &"A".repeat(44)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
