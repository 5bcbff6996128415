//! An issuer on the loopback, whose answers a test can change.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the issuer answers.
#[derive(Debug, Clone)]
pub struct Answers {
    pub status: StatusCode,
    /// What it calls itself; its address if `None`.
    pub name: Option<String>,
    /// Where it says that its keys are; where they are if `None`.
    pub jwks_uri: Option<String>,
    pub keys: Vec<Value>,
    /// Bytes of blanks in front of the keys.
    pub padding: usize,
    /// Sends whoever asks for keys to the place where they are.
    pub redirects: bool,
    /// How often its keys were asked for.
    pub asked: usize,
}

impl Answers {
    /// Those of an issuer that is as it should be.
    pub fn good(keys: Vec<Value>) -> Self {
        Self { status: StatusCode::OK, name: None, jwks_uri: None, keys, padding: 0, redirects: false, asked: 0 }
    }
}

/// Ends when dropped.
pub struct LocalIssuer {
    pub url: String,
    answers: Arc<Mutex<Answers>>,
    server: tokio::task::JoinHandle<()>,
}

type Shared = State<(String, Arc<Mutex<Answers>>)>;

impl LocalIssuer {
    pub async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realms/lab", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Answers::good(keys)));
        let routes = Router::new()
            .route("/realms/lab/.well-known/openid-configuration", get(discovery))
            .route("/realms/lab/keys", get(keys_or_redirect))
            .route("/realms/lab/moved", get(keys_of))
            .with_state((url.clone(), answers.clone()));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, answers, server }
    }

    /// Changes what it answers from now on.
    pub fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.answers.lock().unwrap().asked
    }
}

impl Drop for LocalIssuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn discovery(State((url, answers)): Shared) -> Response {
    let answers = answers.lock().unwrap().clone();
    let jwks_uri = answers.jwks_uri.unwrap_or_else(|| format!("{url}/keys"));
    let document = json!({
        "issuer": answers.name.unwrap_or_else(|| url.clone()),
        "jwks_uri": jwks_uri,
        "id_token_signing_alg_values_supported": ["RS256", "none"],
    });
    (answers.status, Json(document)).into_response()
}

async fn keys_or_redirect(state: Shared) -> Response {
    let moved = state.1.lock().unwrap().redirects;
    match moved {
        true => Redirect::temporary("/realms/lab/moved").into_response(),
        false => keys_of(state).await,
    }
}

async fn keys_of(State((_, answers)): Shared) -> Response {
    let mut answers = answers.lock().unwrap();
    answers.asked += 1;
    let document = format!("{}{}", " ".repeat(answers.padding), json!({"keys": answers.keys}));
    (answers.status, document).into_response()
}
