//! What every store does with API keys.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Scope;
use crate::access::keys::{KeyError, KeyStore, NewKey};

type Keys = Arc<dyn KeyStore>;

fn runner() -> NewKey {
    NewKey {
        caller: "radiology".into(),
        scope: Scope::Runner,
        lifetime: None,
        requests_per_minute: Some(60),
        max_unfinished: Some(5),
        note: Some("nightly run".into()),
    }
}

pub async fn a_key_lets_its_holder_in_as_its_caller(keys: &Keys) {
    let (key, text) = keys.create(runner()).await.unwrap();
    assert_eq!((key.caller.as_str(), key.scope, key.requests_per_minute), ("radiology", Scope::Runner, Some(60)));
    assert_eq!((key.expires_at, key.note.as_deref()), (None, Some("nightly run")));
    let verified = keys.verify(&text.reveal()).await.unwrap();
    assert_eq!(verified, key);
    let principal = verified.principal();
    assert_eq!((principal.caller.as_str(), principal.key, principal.scope), ("radiology", Some(key.id), Scope::Runner));
    assert_eq!(principal.max_unfinished, Some(5));
}

pub async fn neither_a_wrong_secret_nor_a_wrong_name_lets_anybody_in(keys: &Keys) {
    let (one, other) = (keys.create(runner()).await.unwrap().1, keys.create(runner()).await.unwrap().1);
    let secret = other.reveal()[17..].to_string();
    for text in [format!("spk_{}_{secret}", one.id()), format!("spk_{}_{secret}", "0".repeat(12))] {
        let refused = keys.verify(&text).await;
        assert!(matches!(refused, Err(KeyError::Unknown)), "{refused:?}");
    }
    assert!(matches!(keys.verify("spk_or_so").await, Err(KeyError::Malformed)));
}

pub async fn an_expired_key_is_refused(keys: &Keys) {
    let (_, expired) = keys.create(NewKey { lifetime: Some(Duration::ZERO), ..runner() }).await.unwrap();
    assert!(matches!(keys.verify(&expired.reveal()).await, Err(KeyError::Expired { .. })));
    let (_, fresh) = keys.create(NewKey { lifetime: Some(Duration::from_secs(60)), ..runner() }).await.unwrap();
    keys.verify(&fresh.reveal()).await.unwrap();
}

pub async fn a_revoked_key_is_refused_and_stays_in_the_list(keys: &Keys) {
    let (key, text) = keys.create(runner()).await.unwrap();
    let (other, other_text) = keys.create(NewKey { caller: "audit".into(), ..runner() }).await.unwrap();
    assert!(keys.revoke(&key.id).await.unwrap());
    assert!(matches!(keys.verify(&text.reveal()).await, Err(KeyError::Revoked { .. })));
    keys.verify(&other_text.reveal()).await.unwrap();
    let revoked_at = keys.list().await.unwrap()[1].revoked_at;
    assert!(revoked_at.is_some());
    assert!(keys.revoke(&key.id).await.unwrap(), "again");
    let listed = keys.list().await.unwrap();
    assert_eq!(listed.iter().map(|key| &key.id).collect::<Vec<_>>(), [&other.id, &key.id]);
    assert_eq!(listed[1].revoked_at, revoked_at);
    assert!(!keys.revoke("000000000000").await.unwrap());
}

pub async fn the_use_of_a_key_is_noted_once_a_minute(keys: &Keys) {
    let (key, text) = keys.create(runner()).await.unwrap();
    keys.verify(&text.reveal()).await.unwrap();
    // it is written beside the request
    let used = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(used) = keys.list().await.unwrap()[0].last_used_at {
                return used;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let used = used.await.expect("the use is noted");
    assert!(used >= key.created_at);
    assert_eq!(keys.verify(&text.reveal()).await.unwrap().last_used_at, Some(used));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(keys.list().await.unwrap()[0].last_used_at, Some(used), "once a minute is enough");
}
