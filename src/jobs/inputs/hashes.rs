//! What was handed in, as SHA-256.

use std::collections::BTreeMap;

use super::Role;
use crate::jobs::{JobSpec, Upload};
use crate::report::manifest::sha256;

/// The SHA-256 of each file as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jobs) struct Hashes(BTreeMap<Role, String>);

impl Hashes {
    pub(in crate::jobs) fn of(upload: &Upload) -> Self {
        Self(upload.files().map(|(role, bytes)| (role, sha256(bytes))).collect())
    }

    /// That of one picture; empty for one that was not handed in.
    pub(super) fn get(&self, role: Role) -> String {
        self.0.get(&role).cloned().unwrap_or_default()
    }

    /// The SHA-256 of a whole request: equal if all files and all fields are, defaults filled in.
    pub(in crate::jobs) fn request(&self, spec: &JobSpec) -> String {
        let mut text = serde_json::to_string(spec).expect("a spec is plain JSON");
        for (role, hash) in &self.0 {
            text.push_str(&format!("\n{} {hash}", role.name()));
        }
        sha256(text.as_bytes())
    }
}
