//! The bucket of files: every step that the service takes in it, with what it needs.

use super::report::Finding::{self, Fail, Fine};
use crate::artifact::{Artifacts, Bucket, Refusal, Step};

/// Tries a bucket out.
pub(super) async fn examine(bucket: &Bucket) -> Vec<(&'static str, Finding)> {
    match Artifacts::in_bucket(bucket) {
        Err(error) => vec![("bucket", Fail(format!("{error}: correct storage.artifacts and storage.s3_endpoint")))],
        Ok(artifacts) => judge(artifacts.try_out().await),
    }
}

fn judge(steps: Vec<(Step, Result<(), Refusal>)>) -> Vec<(&'static str, Finding)> {
    steps.into_iter().map(|(step, result)| ("bucket", finding(step, result))).collect()
}

fn finding(step: Step, result: Result<(), Refusal>) -> Finding {
    let (does, does_not, right) = match step {
        Step::Put => ("writes a file", "cannot write a file", "s3:PutObject"),
        Step::PutAgain => ("refuses to overwrite a file", "does not refuse to overwrite a file", "s3:PutObject"),
        Step::Read => ("reads a file", "cannot read a file", "s3:GetObject"),
        Step::List => ("lists files", "cannot list files", "s3:ListBucket"),
        Step::Delete => ("deletes a file", "cannot delete a file", "s3:DeleteObject"),
    };
    match result {
        Ok(()) => Fine(does.into()),
        Err(refusal) => {
            let (text, advice) = advise(step, right, refusal);
            Fail(format!("{does_not}: {text}: {advice}"))
        }
    }
}

/// What the store said, and what to do.
fn advise(step: Step, right: &str, refusal: Refusal) -> (String, String) {
    match (refusal, step) {
        (Refusal::Forbidden(text), _) => (
            text,
            format!("correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the role, and allow {right} on the bucket"),
        ),
        (Refusal::Absent(text), _) => {
            (text, "make the bucket, or correct its name in storage.artifacts and its region".into())
        }
        (Refusal::Wrong(text), Step::PutAgain) => (
            text,
            "results could be overwritten: use a server that knows conditional writes (If-None-Match), or a newer \
             version of it"
                .into(),
        ),
        (Refusal::Wrong(text), Step::Delete) => {
            (text, "see whether the bucket is locked, and delete it by hand".into())
        }
        (Refusal::Wrong(text), _) => (text, "see whether a cache or a replica answers instead of the bucket".into()),
        (Refusal::Failed(text), _) => {
            (text, "correct storage.s3_endpoint and storage.s3_region; see the network and the server's log".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_says_what_it_did_or_what_it_needs() {
        let steps = [Step::Put, Step::PutAgain, Step::Read, Step::List, Step::Delete];
        let rights = ["s3:PutObject", "s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"];
        for (step, right) in steps.into_iter().zip(rights) {
            assert!(matches!(finding(step, Ok(())), Fine(text) if text.contains("file")));
            let forbidden = finding(step, Err(Refusal::Forbidden("AccessDenied".into())));
            assert!(
                matches!(forbidden, Fail(text) if text.contains("AccessDenied") && text.contains(right)),
                "{step:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_decides_what_to_do() {
        let advice = |step, refusal| match finding(step, Err(refusal)) {
            Fail(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(advice(Step::Put, Refusal::Absent("NoSuchBucket".into())).contains("make the bucket"));
        assert!(advice(Step::PutAgain, Refusal::Wrong("overwritten".into())).contains("conditional writes"));
        assert!(advice(Step::Put, Refusal::Failed("connection refused".into())).contains("storage.s3_endpoint"));
        assert!(advice(Step::Delete, Refusal::Wrong("doctor/1 is still there".into())).contains("by hand"));
    }

    #[tokio::test]
    async fn an_address_that_is_none_names_the_setting() {
        let bucket = Bucket { url: "s3://b/a//b".into(), endpoint: None, region: None, path_style: true };
        let findings = examine(&bucket).await;
        assert!(
            matches!(&findings[..], [("bucket", Fail(text))] if text.contains("storage.artifacts")),
            "{findings:?}"
        );
    }
}
