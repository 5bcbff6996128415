//! Tokens against an issuer on the loopback, with real signatures.

mod issuer;
mod signer;

use std::time::Duration;

use axum::http::StatusCode;
use chrono::Utc;
use serde_json::{Value, json};

use super::*;
use crate::access::Scope;
use crate::config::AccessMode;
use issuer::{Answers, LocalIssuer};
use signer::{Signer, base64, hmac_token, unsigned_token};

/// So that a test decides when the issuer is asked.
const NEVER_AGAIN: Timing =
    Timing { refresh: Duration::from_secs(9999), pause: Duration::from_secs(9999), keep: Duration::from_secs(9999) };
const AT_ONCE: Timing = Timing { pause: Duration::ZERO, ..NEVER_AGAIN };

fn settings(issuer: &str) -> AccessConfig {
    AccessConfig {
        mode: AccessMode::Keys,
        oidc_issuer: issuer.into(),
        oidc_audience: "segprobe".into(),
        oidc_role_claim: "realm_access.roles".into(),
        ..AccessConfig::default()
    }
}

/// An issuer with these keys, and what knows its tokens.
async fn asked(signers: &[&Signer], timing: Timing) -> (LocalIssuer, Issuer) {
    let local = LocalIssuer::start(signers.iter().map(|signer| signer.jwk()).collect()).await;
    let issuer = Issuer::with_timing(&settings(&local.url), timing).unwrap();
    issuer.keyring.refresh().await;
    (local, issuer)
}

/// What a good token says, and what a test wants to be different; `null` leaves a claim out.
fn claims(issuer: &LocalIssuer, changes: Value) -> Value {
    let now = Utc::now().timestamp();
    let mut claims = json!({
        "iss": issuer.url, "sub": "ann", "aud": ["account", "segprobe"], "iat": now, "nbf": now, "exp": now + 300,
        "realm_access": {"roles": ["offline_access", "segprobe-runner"]},
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn refused(answer: Result<Principal, Refusal>) -> &'static str {
    match answer {
        Err(Refusal::Token(why)) => why,
        other => panic!("{other:?} is no refused token"),
    }
}

#[tokio::test]
async fn good_tokens_of_every_accepted_algorithm_say_who_it_is() {
    let [rsa, p256, p384, ed] = [Signer::rsa("r"), Signer::p256("p"), Signer::p384("q"), Signer::ed25519("e")];
    let (local, issuer) = asked(&[&rsa, &p256, &p384, &ed], NEVER_AGAIN).await;
    let of_rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(|algorithm| (algorithm, &rsa));
    for (algorithm, signer) in of_rsa.into_iter().chain([("ES256", &p256), ("ES384", &p384), ("EdDSA", &ed)]) {
        let who = issuer.whose(&signer.token(algorithm, &claims(&local, json!({})))).await.unwrap();
        let name = format!("{}#ann", local.url);
        let expected = Principal { caller: name.clone(), key: Some(name), scope: Scope::Runner, max_unfinished: None };
        assert_eq!(who, expected, "{algorithm}");
    }
}

#[tokio::test]
async fn tokens_for_another_time_or_place_are_refused() {
    let signer = Signer::ed25519("a");
    let (local, issuer) = asked(&[&signer], NEVER_AGAIN).await;
    let now = Utc::now().timestamp();
    let answer = async |changes| issuer.whose(&signer.token("EdDSA", &claims(&local, changes))).await;
    for (changes, says) in [
        (json!({"exp": now - 60}), "has expired"),
        (json!({"exp": 0}), "has expired"),
        (json!({"exp": null}), "lacks one"),
        (json!({"exp": "tomorrow"}), "lacks one"),
        (json!({"nbf": now + 90}), "is not valid yet"),
        (json!({"aud": "other"}), "is for another audience"),
        (json!({"aud": ["account", "segprobe2"]}), "is for another audience"),
        (json!({"aud": []}), "is for another audience"),
        (json!({"aud": null}), "lacks one"),
        (json!({"iss": "https://evil.example"}), "is of another issuer"),
        (json!({"iss": format!("{}/", local.url)}), "is of another issuer"),
        (json!({"iss": [local.url, "https://evil.example"]}), "is of another issuer"),
        (json!({"iss": null}), "lacks one"),
        (json!({"sub": null}), "lacks one"),
        (json!({"sub": ""}), "has no usable subject"),
        (json!({"sub": "a\nb"}), "has no usable subject"),
    ] {
        let why = refused(answer(changes.clone()).await);
        assert!(why.starts_with(says), "{changes}: {why}");
    }
    for close in [json!({"exp": now - 10}), json!({"nbf": now + 10}), json!({"nbf": null}), json!({"aud": "segprobe"})]
    {
        answer(close.clone()).await.unwrap_or_else(|refusal| panic!("{close}: {refusal}"));
    }
}

#[tokio::test]
async fn tokens_that_the_issuer_did_not_sign_are_refused() {
    let (signer, rsa, stranger) = (Signer::ed25519("a"), Signer::rsa("r"), Signer::ed25519("a"));
    let (local, issuer) = asked(&[&signer, &rsa], NEVER_AGAIN).await;
    let said = claims(&local, json!({}));
    let good = signer.token("EdDSA", &said);
    issuer.whose(&good).await.unwrap();
    let admin = base64(claims(&local, json!({"realm_access": {"roles": ["segprobe-admin"]}})).to_string());
    let parts: Vec<&str> = good.split('.').collect();
    let public = rsa.jwk();
    let modulus = public["n"].as_str().unwrap();
    for token in [
        format!("{}.{admin}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], base64([0; 64])),
        stranger.token("EdDSA", &said),
        unsigned_token("none", "a", &said),
        unsigned_token("None", "a", &said),
        unsigned_token("HS256", "r", &said),
        hmac_token("r", modulus.as_bytes(), &said),
        hmac_token("r", public.to_string().as_bytes(), &said),
        hmac_token("a", signer.jwk()["x"].as_str().unwrap().as_bytes(), &said),
        // a good signature of another kind than the token says
        rsa.token_with(&json!({"alg": "PS256", "kid": "a"}), &said),
        rsa.token_with(&json!({"alg": "ES256", "kid": "r"}), &said),
        // nobody here knows what has to be understood
        signer.token_with(&json!({"alg": "EdDSA", "kid": "a", "crit": ["exp"], "exp": 1}), &said),
        // its own key, where there is no such name
        stranger.token_with(&json!({"alg": "EdDSA", "kid": "b", "jwk": stranger.jwk()}), &said),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        format!("{good}.{}", parts[2]),
        signer.token("EdDSA", &claims(&local, json!({"padding": "x".repeat(16 << 10)}))),
    ] {
        refused(issuer.whose(&token).await);
    }
}

#[tokio::test]
async fn roles_decide_what_a_subject_may_do() {
    let signer = Signer::ed25519("a");
    let (local, issuer) = asked(&[&signer], NEVER_AGAIN).await;
    let scope = async |roles: Value| {
        let said = claims(&local, json!({"realm_access": {"roles": roles}}));
        issuer.whose(&signer.token("EdDSA", &said)).await.map(|who| who.scope)
    };
    assert_eq!(scope(json!(["segprobe-reader"])).await, Ok(Scope::Reader));
    assert_eq!(scope(json!(["segprobe-reader", "segprobe-admin", "x"])).await, Ok(Scope::Admin));
    for none in [json!([]), json!(["admin"]), json!(null)] {
        assert_eq!(scope(none).await, Err(Refusal::NoRole));
    }
}

#[tokio::test]
async fn an_unknown_key_is_fetched_and_one_that_is_gone_is_forgotten() {
    let (old, new) = (Signer::ed25519("old"), Signer::p256("new"));
    let (local, issuer) = asked(&[&old], AT_ONCE).await;
    let said = claims(&local, json!({}));
    let (of_old, of_new) = (old.token("EdDSA", &said), new.token("ES256", &said));
    issuer.whose(&of_old).await.unwrap();
    assert_eq!(local.asked(), 1, "a known key needs no question");
    refused(issuer.whose(&of_new).await);
    local.change(|answers| answers.keys = vec![old.jwk(), new.jwk()]);
    issuer.whose(&of_new).await.unwrap();
    issuer.whose(&of_old).await.unwrap();
    assert_eq!(local.asked(), 3);
    local.change(|answers| answers.keys = vec![new.jwk()]);
    issuer.keyring.refresh().await;
    refused(issuer.whose(&of_old).await);
    issuer.whose(&of_new).await.unwrap();
}

#[tokio::test]
async fn made_up_names_of_keys_do_not_make_us_ask_again_and_again() {
    let (signer, stranger) = (Signer::ed25519("a"), Signer::ed25519("made-up"));
    let (local, issuer) = asked(&[&signer], NEVER_AGAIN).await;
    let token = stranger.token("EdDSA", &claims(&local, json!({})));
    for _ in 0..5 {
        refused(issuer.whose(&token).await);
    }
    assert_eq!(local.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_not_missed_for_a_while() {
    let signer = Signer::ed25519("a");
    let (local, issuer) = asked(&[&signer], AT_ONCE).await;
    let token = signer.token("EdDSA", &claims(&local, json!({})));
    local.change(|answers| answers.status = StatusCode::BAD_GATEWAY);
    assert!(!issuer.keyring.refresh().await);
    issuer.whose(&token).await.unwrap();
    let keep = Duration::from_millis(200);
    let (local, issuer) = asked(&[&signer], Timing { keep, ..NEVER_AGAIN }).await;
    let token = signer.token("EdDSA", &claims(&local, json!({})));
    tokio::time::sleep(keep).await;
    assert_eq!(issuer.whose(&token).await, Err(Refusal::IssuerAway { retry_seconds: 9999 }));
}

#[tokio::test]
async fn tokens_wait_for_an_issuer_that_is_down_at_start() {
    let signer = Signer::rsa("a");
    let local = LocalIssuer::start(vec![signer.jwk()]).await;
    local.change(|answers| answers.status = StatusCode::SERVICE_UNAVAILABLE);
    let timing = Timing { pause: Duration::from_millis(20), ..NEVER_AGAIN };
    let issuer = Arc::new(Issuer::with_timing(&settings(&local.url), timing).unwrap());
    let (fetching, stop) = (issuer.clone(), CancellationToken::new());
    let stopped = stop.clone();
    let work = tokio::spawn(async move { fetching.keep_fresh(stopped).await });
    let token = signer.token("RS256", &claims(&local, json!({})));
    assert_eq!(issuer.whose(&token).await, Err(Refusal::IssuerAway { retry_seconds: 1 }));
    local.change(|answers| answers.status = StatusCode::OK);
    let accepted = async {
        while issuer.whose(&token).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), accepted).await.expect("the issuer answers");
    stop.cancel();
    work.await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_lets_nobody_in() {
    let signer = Signer::ed25519("a");
    let (gone, _) = asked(&[&signer], NEVER_AGAIN).await;
    let token = signer.token("EdDSA", &claims(&gone, json!({})));
    let address = settings(&gone.url);
    drop(gone);
    let issuer = Issuer::with_timing(&address, AT_ONCE).unwrap();
    assert!(!issuer.keyring.refresh().await);
    assert!(matches!(issuer.whose(&token).await, Err(Refusal::IssuerAway { .. })));
}

type Change = fn(&mut Answers);

#[tokio::test]
async fn odd_answers_of_an_issuer_are_not_used() {
    let signer = Signer::ed25519("a");
    let (local, issuer) = asked(&[], AT_ONCE).await;
    let failure = async |change: Change| {
        let mut answers = Answers::good(vec![signer.jwk()]);
        change(&mut answers);
        local.change(|old| *old = answers);
        let fetched = Source::new(&local.url).unwrap().keys().await;
        fetched.map(|keys| keys.len()).map_err(|error| format!("{error:#}"))
    };
    assert!(!issuer.keyring.refresh().await, "no key at all");
    assert_eq!(failure(|_| ()).await, Ok(1));
    let cases: [(Change, &str); 6] = [
        (|answers| answers.padding = 256 << 10, "more than 256 KiB"),
        (|answers| answers.redirects = true, "answered 307"),
        (|answers| answers.name = Some("https://evil.example".into()), "calls itself"),
        (|answers| answers.jwks_uri = Some("http://evil.example/keys".into()), "cannot be trusted"),
        (|answers| answers.jwks_uri = Some("http://127.0.0.1:1/".into()), "127.0.0.1:1"),
        (|answers| answers.keys = vec![json!({"kty": "oct", "k": "AA"})], "no key that"),
    ];
    for (change, says) in cases {
        let error = failure(change).await.unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

/// Knows one key.
#[derive(Debug)]
struct OneKey;

#[async_trait]
impl Authority for OneKey {
    async fn admit(&self, key: &str) -> Result<Admission, Refusal> {
        match key {
            "spk_abc_secret" => Ok(Admission { principal: Principal::without_key(), requests_per_minute: Some(7) }),
            _ => Err(Refusal::Invalid),
        }
    }
}

#[tokio::test]
async fn keys_are_good_beside_tokens_and_without_the_issuer() {
    let signer = Signer::ed25519("a");
    let (local, issuer) = asked(&[&signer], NEVER_AGAIN).await;
    let token = signer.token("EdDSA", &claims(&local, json!({})));
    let both = KeysAndTokens::new(Arc::new(OneKey), Arc::new(issuer));
    assert_eq!(both.admit(&token).await.unwrap().principal.caller, format!("{}#ann", local.url));
    assert_eq!(both.admit("spk_abc_secret").await.unwrap().requests_per_minute, Some(7));
    assert_eq!(both.admit("spk_abc_other").await, Err(Refusal::Invalid));
    assert_eq!(both.admit("nonsense").await, Err(Refusal::Invalid));
    let never_asked = Arc::new(Issuer::with_timing(&settings(&local.url), NEVER_AGAIN).unwrap());
    let both = KeysAndTokens::new(Arc::new(OneKey), never_asked);
    assert!(matches!(both.admit(&token).await, Err(Refusal::IssuerAway { .. })));
    both.admit("spk_abc_secret").await.unwrap();
}
