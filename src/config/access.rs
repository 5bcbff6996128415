//! Who may come in: API keys, and tokens of an OpenID Connect issuer beside them.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::check::{range, wrong};
use crate::access::Scope;
use crate::access::oidc::address;

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// Whether API keys are asked for.
    pub mode: AccessMode,
    /// Requests a minute of one key or of one token's subject (of one address without keys).
    pub requests_per_minute: u32,
    /// `https://...` of the issuer whose tokens are accepted beside keys; none are if empty.
    pub oidc_issuer: String,
    /// What tokens have to be made for (`aud`).
    pub oidc_audience: String,
    /// Where a token holds its subject's roles: a path with dots, or a JSON pointer.
    pub oidc_role_claim: String,
    /// Roles that mean the scope `reader`.
    pub oidc_reader_roles: Vec<String>,
    /// Roles that mean the scope `runner`.
    pub oidc_runner_roles: Vec<String>,
    /// Roles that mean the scope `admin`.
    pub oidc_admin_roles: Vec<String>,
    /// Seconds by which the issuer's clock and ours may differ.
    pub oidc_leeway_seconds: u64,
}

/// Whether API keys are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// Nobody is asked on a loopback address; any other address is refused at start.
    #[default]
    Loopback,
    /// Everybody needs a key, or a token if there is an issuer.
    Keys,
    /// Nobody is asked on any address: for a network that is closed by other means.
    OpenToEverybody,
}

impl Default for AccessConfig {
    fn default() -> Self {
        let role = |scope: Scope| vec![format!("segprobe-{}", scope.name())];
        Self {
            mode: AccessMode::Loopback,
            requests_per_minute: 1200,
            oidc_issuer: String::new(),
            oidc_audience: String::new(),
            oidc_role_claim: "roles".into(),
            oidc_reader_roles: role(Scope::Reader),
            oidc_runner_roles: role(Scope::Runner),
            oidc_admin_roles: role(Scope::Admin),
            oidc_leeway_seconds: 30,
        }
    }
}

impl AccessConfig {
    /// The roles that mean a scope.
    pub fn roles(&self, scope: Scope) -> &[String] {
        match scope {
            Scope::Reader => &self.oidc_reader_roles,
            Scope::Runner => &self.oidc_runner_roles,
            Scope::Admin => &self.oidc_admin_roles,
        }
    }

    /// Checks what concerns tokens.
    pub(super) fn check_oidc(&self) -> Result<(), ConfigError> {
        range("access.oidc_leeway_seconds", self.oidc_leeway_seconds, 0..=300)?;
        if self.oidc_issuer.is_empty() {
            return match self.oidc_audience.is_empty() {
                true => Ok(()),
                false => {
                    Err(wrong("access.oidc_issuer", "is empty: name the issuer of tokens for access.oidc_audience"))
                }
            };
        }
        if let Err(why) = address::issuer(&self.oidc_issuer) {
            return Err(wrong("access.oidc_issuer", format!("{:?} {why}", self.oidc_issuer)));
        }
        if self.mode != AccessMode::Keys {
            let advice = "asks nobody who they are, so tokens would mean nothing: set it to \"keys\"";
            return Err(wrong("access.mode", format!("{advice}, or leave access.oidc_issuer empty")));
        }
        if self.oidc_audience.is_empty() {
            let advice = "is empty: name what the issuer's tokens for this service have in `aud`";
            return Err(wrong("access.oidc_audience", advice));
        }
        if self.oidc_role_claim.split('.').any(str::is_empty) && !self.oidc_role_claim.starts_with('/') {
            let advice = "is no path: write roles, realm_access.roles or /https:~1~1example.org~1roles";
            return Err(wrong("access.oidc_role_claim", format!("{:?} {advice}", self.oidc_role_claim)));
        }
        for scope in Scope::ALL {
            if self.roles(scope).iter().any(String::is_empty) {
                return Err(wrong(format!("access.oidc_{}_roles", scope.name()), "has an empty role: name it"));
            }
        }
        if Scope::ALL.into_iter().all(|scope| self.roles(scope).is_empty()) {
            let advice = "is empty like those of the other scopes, so no token lets anybody in: name a role";
            return Err(wrong("access.oidc_reader_roles", advice));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut AccessConfig)) -> Result<(), String> {
        let mut access = AccessConfig {
            mode: AccessMode::Keys,
            oidc_issuer: "https://sso.example.org/realms/lab".into(),
            oidc_audience: "segprobe".into(),
            ..AccessConfig::default()
        };
        change(&mut access);
        access.check_oidc().map_err(|error| error.to_string())
    }

    #[test]
    fn an_issuer_and_an_audience_are_enough() {
        assert_eq!(checked(|_| ()), Ok(()));
        assert_eq!(checked(|access| access.oidc_issuer = "http://127.0.0.1:9000".into()), Ok(()));
    }

    #[test]
    fn settings_that_would_let_in_nobody_or_anybody_are_refused() {
        type Change = fn(&mut AccessConfig);
        let cases: [(Change, &str); 9] = [
            (|access| access.oidc_issuer.clear(), "access.oidc_issuer is empty"),
            (|access| access.oidc_issuer = "http://sso.example.org".into(), "access.oidc_issuer \"http://sso"),
            (|access| access.mode = AccessMode::OpenToEverybody, "access.mode asks nobody"),
            (|access| access.oidc_audience.clear(), "access.oidc_audience is empty"),
            (|access| access.oidc_role_claim.clear(), "access.oidc_role_claim \"\" is no path"),
            (|access| access.oidc_role_claim = "realm_access..roles".into(), "access.oidc_role_claim"),
            (|access| access.oidc_runner_roles = vec![String::new()], "access.oidc_runner_roles has an empty role"),
            (|access| access.oidc_leeway_seconds = 301, "access.oidc_leeway_seconds is 301"),
            (
                |access| {
                    access.oidc_reader_roles.clear();
                    access.oidc_runner_roles.clear();
                    access.oidc_admin_roles.clear();
                },
                "access.oidc_reader_roles is empty",
            ),
        ];
        for (change, says) in cases {
            let refused = checked(change).unwrap_err();
            assert!(refused.starts_with(says), "{refused}");
        }
    }
}
