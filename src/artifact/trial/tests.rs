//! Stores that do one thing wrong.

use std::fmt;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    RefusesAll,
    HasNoBucket,
    Overwrites,
    CannotCompare,
    ReadsOther,
    ListsNothing,
    KeepsAll,
}

/// A store in memory with a flaw.
#[derive(Debug)]
struct Flawed(InMemory, Flaw);

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.1)
    }
}

fn refused(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "AccessDenied\n  by a policy".into() }
}

#[async_trait]
impl ObjectStore for Flawed {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        match self.1 {
            Flaw::RefusesAll => return Err(refused(path)),
            Flaw::HasNoBucket => {
                return Err(Error::NotFound { path: path.to_string(), source: "NoSuchBucket".into() });
            }
            Flaw::Overwrites => options.mode = PutMode::Overwrite,
            Flaw::CannotCompare if self.0.head(path).await.is_ok() => {
                return Err(Error::NotImplemented { operation: "If-None-Match".into(), implementer: "it".into() });
            }
            _ => {}
        }
        self.0.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if self.1 == Flaw::ReadsOther && !options.head {
            self.0.put(path, "other".into()).await?;
        }
        self.0.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.1 == Flaw::KeepsAll { paths } else { self.0.delete_stream(paths) }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.1 == Flaw::ListsNothing { stream::empty().boxed() } else { self.0.list(prefix) }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

/// The last step before the deletion, and what is left behind.
async fn tried(flaw: Flaw) -> (Vec<(Step, std::result::Result<(), Refusal>)>, usize) {
    let memory = InMemory::new();
    let artifacts = Artifacts::over(Flawed(memory, flaw));
    let steps = artifacts.try_out().await;
    let left = artifacts.store.list(None).count().await;
    (steps, left)
}

#[tokio::test]
async fn a_good_store_passes_every_step_and_is_left_as_it_was() {
    let (steps, left) = tried(Flaw::None).await;
    assert_eq!(steps.len(), 5);
    assert!(steps.iter().all(|(_, result)| result.is_ok()) && left == 0, "{steps:?}");
    let folder = tempfile::tempdir().unwrap();
    let steps = Artifacts::open(folder.path()).unwrap().try_out().await;
    assert!(steps.iter().all(|(_, result)| result.is_ok()), "{steps:?}");
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_asked_for_nothing_more() {
    let (steps, _) = tried(Flaw::RefusesAll).await;
    let [(Step::Put, Err(Refusal::Forbidden(text)))] = &steps[..] else { panic!("{steps:?}") };
    assert!(text.ends_with("AccessDenied by a policy"), "one line: {text}");
    let (steps, _) = tried(Flaw::HasNoBucket).await;
    assert!(matches!(&steps[..], [(Step::Put, Err(Refusal::Absent(_)))]), "{steps:?}");
}

#[tokio::test]
async fn each_flaw_shows_in_its_step_and_the_file_is_deleted_all_the_same() {
    for (flaw, step) in [
        (Flaw::Overwrites, Step::PutAgain),
        (Flaw::CannotCompare, Step::PutAgain),
        (Flaw::ReadsOther, Step::Read),
        (Flaw::ListsNothing, Step::List),
    ] {
        let (steps, left) = tried(flaw).await;
        let [.., (last, Err(Refusal::Wrong(_))), (Step::Delete, Ok(()))] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!((*last, steps.iter().filter(|(_, result)| result.is_err()).count()), (step, 1), "{flaw:?}");
        assert!(left == 0 || flaw == Flaw::ListsNothing, "{flaw:?}");
    }
}

#[tokio::test]
async fn a_store_that_deletes_nothing_is_named_with_what_it_keeps() {
    let (steps, left) = tried(Flaw::KeepsAll).await;
    let [.., (Step::Delete, Err(Refusal::Wrong(text)))] = &steps[..] else { panic!("{steps:?}") };
    assert!(text.starts_with("doctor/") && left == 1, "{text}");
}
