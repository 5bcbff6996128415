//! What a token says about its subject: who it is, and which roles it has.

use serde_json::Value;

use crate::access::Scope;
use crate::config::AccessConfig;

/// Longest subject in characters, as the standard has it.
const LONGEST_SUBJECT: usize = 255;

/// Which roles mean which scope, and where a token holds them.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    claim: String,
    /// The widest scope first.
    meanings: Vec<(Scope, Vec<String>)>,
}

impl Roles {
    pub fn of(settings: &AccessConfig) -> Self {
        let meaning = |scope| (scope, settings.roles(scope).to_vec());
        Self { claim: settings.oidc_role_claim.clone(), meanings: Scope::ALL.into_iter().rev().map(meaning).collect() }
    }

    /// The widest scope that the roles in a token mean.
    pub fn scope(&self, claims: &Value) -> Option<Scope> {
        let held = texts(at(claims, &self.claim)?);
        let means = |roles: &[String]| roles.iter().any(|role| held.contains(&role.as_str()));
        self.meanings.iter().find(|(_, roles)| means(roles)).map(|(scope, _)| *scope)
    }
}

/// The claim of a name: `a.b` is `b` in `a`, and a JSON pointer says the same where names have dots in them.
fn at<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    match name.starts_with('/') {
        true => claims.pointer(name),
        false => name.split('.').try_fold(claims, |value, part| value.get(part)),
    }
}

/// A list has several roles. A text is one, or several with spaces between them, as `scope` has them.
fn texts(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => std::iter::once(text.as_str()).chain(text.split(' ')).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

/// The name of a token's subject among callers: `ISSUER#SUBJECT`. A subject is unique at its issuer only. No issuer has
/// a `#` in it, and no caller of a key has one either, so nobody can take the name of somebody else.
pub(super) fn caller(issuer: &str, claims: &Value) -> Option<String> {
    let subject = claims.get("sub")?.as_str()?;
    let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let is_good = (1..=LONGEST_SUBJECT).contains(&subject.len()) && subject.bytes().all(fits);
    is_good.then(|| format!("{issuer}#{subject}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(claim: &str, claims: Value) -> Option<Scope> {
        let settings = AccessConfig {
            oidc_role_claim: claim.into(),
            oidc_reader_roles: vec!["look".into(), "staff".into()],
            oidc_runner_roles: vec!["run".into()],
            oidc_admin_roles: vec!["CN=Segprobe Admins,OU=Groups".into()],
            ..AccessConfig::default()
        };
        Roles::of(&settings).scope(&claims)
    }

    #[test]
    fn roles_are_found_wherever_the_issuer_puts_them() {
        assert_eq!(scope("roles", json!({"roles": ["run"]})), Some(Scope::Runner));
        assert_eq!(scope("realm_access.roles", json!({"realm_access": {"roles": ["look"]}})), Some(Scope::Reader));
        let client = json!({"resource_access": {"my.client": {"roles": ["run"]}}});
        assert_eq!(scope("/resource_access/my.client/roles", client), Some(Scope::Runner));
        let namespaced = json!({"https://example.org/roles": ["run"]});
        assert_eq!(scope("/https:~1~1example.org~1roles", namespaced), Some(Scope::Runner));
        assert_eq!(scope("scope", json!({"scope": "openid run"})), Some(Scope::Runner));
        assert_eq!(scope("group", json!({"group": "CN=Segprobe Admins,OU=Groups"})), Some(Scope::Admin));
    }

    #[test]
    fn the_widest_of_several_roles_counts() {
        let claims = json!({"roles": ["look", "run", "other", 7, null]});
        assert_eq!(scope("roles", claims), Some(Scope::Runner));
        assert_eq!(scope("roles", json!({"roles": ["staff"]})), Some(Scope::Reader));
    }

    #[test]
    fn other_roles_and_other_forms_mean_nothing() {
        let others =
            [json!(["admin", "RUN", "ru", ""]), json!([["run"]]), json!({"run": true}), json!(null), json!("")];
        for other in others {
            assert_eq!(scope("roles", json!({"roles": other})), None, "{other}");
        }
        assert_eq!(scope("roles", json!({"groups": ["run"]})), None);
        assert_eq!(scope("realm_access.roles", json!({"realm_access.roles": ["run"]})), None);
    }

    #[test]
    fn a_caller_is_a_subject_of_an_issuer() {
        let named = |subject: Value| caller("https://sso.example.org", &json!({"sub": subject}));
        assert_eq!(named(json!("auth0|42")).as_deref(), Some("https://sso.example.org#auth0|42"));
        for bad in [json!(""), json!("a\nb"), json!("ä"), json!(7), json!(null), json!("x".repeat(256))] {
            assert_eq!(named(bad.clone()), None, "{bad}");
        }
    }
}
