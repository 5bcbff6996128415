//! Tokens of an OpenID Connect issuer beside keys.

use anyhow::{Context, Result, ensure};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, text};

/// An issuer with one key, on the loopback.
struct Issuer {
    url: String,
    key: Ed25519KeyPair,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    async fn start() -> Result<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok().context("a new key")?;
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).ok().context("a key")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let discovery = Json(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}));
        let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": base64(key.public_key())});
        let keys = Json(json!({"keys": [public]}));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { discovery }))
            .route("/keys", get(move || async move { keys }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, key })
    }

    fn token(&self, subject: &str, role: &str, seconds: i64) -> String {
        let header = json!({"alg": "EdDSA", "kid": "k"});
        let exp = chrono::Utc::now().timestamp() + seconds;
        let claims = json!({"iss": self.url, "sub": subject, "aud": "segprobe", "exp": exp, "roles": [role]});
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        format!("{message}.{}", base64(self.key.sign(message.as_bytes())))
    }

    fn options(&self) -> Options {
        Options::new()
            .set("access.oidc_issuer", &self.url)
            .set("access.oidc_audience", "segprobe")
            .set("access.oidc_runner_roles", r#"["scientist", "engineer"]"#)
    }
}

/// The first answer that is not about an issuer that has not been asked yet.
async fn settled(client: &Client, path: &str) -> Result<Answer> {
    loop {
        let answer = Answer::to(client.get(path)).await?;
        if answer.status != 503 {
            return Ok(answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_subject_is_a_caller_like_any_other() -> Checked {
    let issuer = Issuer::start().await?;
    let service = Service::start_with_keys(issuer.options()).await?;
    let admin = service.client();
    let with = |subject, role| admin.with_key(&issuer.token(subject, role, 60));
    let (ann, bob, cleo) = (with("ann", "engineer"), with("bob", "segprobe-reader"), with("cleo", "segprobe-admin"));
    settled(&ann, "/attacks").await?.with_status(200)?;
    let ended = ann.succeed(&Submission::fgsm()).await?;
    let name = format!("{}#ann", issuer.url);
    ensure!(ended["caller"] == name.as_str(), "{ended}");
    let path = format!("/attacks/{}", text(&ended, "id"));
    Answer::to(bob.get(&path)).await?.problem(404, "not-found")?;
    Answer::to(bob.attack(&Submission::fgsm())).await?.problem(403, "forbidden")?;
    for sees_all in [&admin, &cleo] {
        ensure!(sees_all.get_json(&path).await? == ended, "admins see everything");
        let page = sees_all.get_json(&format!("/attacks?caller={}", name.replace('#', "%23"))).await?;
        ensure!(page["items"].as_array().map(Vec::len) == Some(1), "{page}");
    }
    let audit = std::fs::read_to_string(service.data().join("audit.jsonl"))?;
    let line: Value = serde_json::from_str(audit.lines().next().context("a line")?)?;
    ensure!(line["caller"] == name.as_str() && line["key"] == name.as_str(), "{line}");
    ensure!(line["action"] == "POST /attacks", "{line}");
    let metrics = Answer::to(admin.get("/metrics")).await?.with_status(200)?;
    let metrics = String::from_utf8_lossy(&metrics.body);
    ensure!(metrics.contains("segprobe_oidc_ready 1\n"), "{metrics}");
    let secret = issuer.token("ann", "engineer", 60);
    let signature = secret.split('.').next_back().context("a signature")?;
    ensure!(!service.log().contains(signature) && !audit.contains(signature), "a token was written down");
    service.finish().await
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_as_the_standard_says() -> Checked {
    let issuer = Issuer::start().await?;
    let service = Service::start_with_keys(issuer.options()).await?;
    let with = |token: String| service.client().with_key(&token);
    let refused = settled(&with(issuer.token("ann", "engineer", -120)), "/attacks").await?;
    refused.problem(401, "unauthenticated")?;
    let challenge = refused.header("www-authenticate");
    ensure!(challenge.starts_with("Bearer error=\"invalid_token\"") && challenge.contains("expired"), "{challenge}");
    let powerless = Answer::to(with(issuer.token("ann", "other", 60)).get("/attacks")).await?;
    powerless.problem(403, "forbidden")?;
    ensure!(powerless.header("www-authenticate") == "Bearer error=\"insufficient_scope\"", "{:?}", powerless.headers);
    service.finish().await
}

#[tokio::test]
async fn keys_are_good_while_the_issuer_does_not_answer() -> Checked {
    let issuer = Issuer::start().await?;
    // nobody listens there
    let away = issuer.options().set("access.oidc_issuer", "http://127.0.0.1:1");
    let service = Service::start_with_keys(away).await?;
    let put_off = Answer::to(service.client().with_key(&issuer.token("ann", "engineer", 60)).get("/attacks")).await?;
    put_off.problem(503, "unavailable")?;
    ensure!(put_off.header("retry-after") == "10", "{:?}", put_off.headers);
    Answer::to(service.client().get("/attacks")).await?.with_status(200)?;
    Answer::to(service.client().get("/readyz")).await?.with_status(200)?;
    service.finish().await
}
