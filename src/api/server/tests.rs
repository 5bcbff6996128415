//! The server with routes of its own, over real connections on the loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::access::{Admission, Refusal};

const TICK: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Authority for Nobody {
    async fn admit(&self, _key: &str) -> Result<Admission, Refusal> {
        Err(Refusal::Invalid)
    }
}

/// Serves with little patience.
async fn served(app: Router, stop: &CancellationToken) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Patience { head: 5 * TICK, stall: 10 * TICK, drain: 50 * TICK };
    (address, tokio::spawn(accept::serve(listener, app, patience, stop.clone())))
}

#[tokio::test]
async fn who_does_not_finish_the_head_of_a_request_is_cut_off() {
    let stop = CancellationToken::new();
    let (address, _server) = served(Router::new(), &stop).await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: loc", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ends: the last one with an answer, and then for being idle.
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{sent:?} holds its connection");
        assert_eq!(answer.starts_with(b"HTTP/1.1 404"), sent.ends_with("\r\n\r\n"));
    }
}

#[tokio::test]
async fn who_does_not_read_an_answer_is_cut_off() {
    let freed = Arc::new(AtomicBool::new(false));
    struct Free(Arc<AtomicBool>);
    impl Drop for Free {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let note = freed.clone();
    let endless = move || {
        let held = Free(note.clone());
        let chunks = futures_util::stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, std::io::Error>(vec![0u8; 1 << 16])
        });
        async move { axum::body::Body::from_stream(chunks) }
    };
    let stop = CancellationToken::new();
    let (address, _server) = served(Router::new().route("/", get(endless)), &stop).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let waited = async {
        while !freed.load(Ordering::SeqCst) {
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waited).await.expect("the answer is held for ever");
}

#[tokio::test]
async fn on_shutdown_answers_under_way_are_finished_and_streams_end() {
    let stop = CancellationToken::new();
    let ends = stop.clone();
    let slow = || async {
        tokio::time::sleep(10 * TICK).await;
        "done"
    };
    let events = move || {
        let ends = ends.clone();
        let opened =
            futures_util::stream::once(async { Ok::<_, std::convert::Infallible>(Event::default().data("1")) });
        let until_stop = futures_util::stream::once(async move {
            ends.cancelled().await;
            Ok(Event::default().data("2"))
        });
        async move { Sse::new(futures_util::StreamExt::chain(opened, until_stop)) }
    };
    let (address, server) = served(Router::new().route("/slow", get(slow)).route("/events", get(events)), &stop).await;
    let ask = move |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answers = tokio::spawn(async move { tokio::join!(ask("/slow"), ask("/events")) });
    tokio::time::sleep(4 * TICK).await;
    stop.cancel();
    let (slow, events) = answers.await.unwrap();
    assert!(slow.ends_with("done") && events.contains("data: 2"), "{slow}\n{events}");
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "a stopped server takes connections");
}

#[tokio::test]
async fn the_process_ends_after_its_workers_and_frees_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let folder = DataFolder::open(root.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let finished = Arc::new(AtomicBool::new(false));
    let (note, stopping) = (finished.clone(), stop.clone());
    let work = Box::pin(async move {
        stopping.cancelled().await;
        tokio::time::sleep(3 * TICK).await;
        note.store(true, Ordering::SeqCst);
    });
    let parts = Parts { routes: Router::new(), authority: Arc::new(Nobody), work };
    let (metrics, ()) = Metrics::of(|_| ());
    let config = Config::default();
    stop.cancel();
    run(&config, (folder, listener), parts, metrics, stop).await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
    DataFolder::open(root.path()).unwrap();
    assert!(root.path().join("audit.jsonl").exists());
}
