//! `segprobe keys` as an operator runs it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `segprobe keys` in a folder.
fn keys(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segprobe"));
    command.arg("keys").args(args).current_dir(folder).output().expect("the program starts")
}

fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = keys(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program writes UTF-8")
}

fn fails(folder: &Path, args: &[&str]) -> String {
    let output = keys(folder, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).expect("the program writes UTF-8")
}

#[test]
fn a_key_is_printed_once_listed_without_its_secret_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["create", "--caller", "radiology", "--scope", "runner", "--expires-days", "30", "--note", "nightly"];
    let printed = succeeds(folder.path(), &create);
    let parts: Vec<&str> = printed.trim_end().split('_').collect();
    let [prefix, id, secret] = parts[..] else { panic!("{printed}") };
    assert_eq!((prefix, id.len(), secret.len()), ("spk", 12, 64));
    assert!(folder.path().join("segprobe-data/segprobe.sqlite").is_file());

    let list = succeeds(folder.path(), &["list"]);
    assert!(
        list.contains(id) && list.contains("radiology") && list.contains("good") && list.contains("nightly"),
        "{list}"
    );
    assert!(!list.contains(secret), "{list}");

    assert_eq!(succeeds(folder.path(), &["revoke", id]), format!("revoked {id}\n"));
    assert!(succeeds(folder.path(), &["list"]).contains("revoked"));
    let error = fails(folder.path(), &["revoke", "000000000000"]);
    assert!(error.contains("there is no key 000000000000"), "{error}");
}

#[test]
fn a_wrong_request_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = fails(folder.path(), &["list", "--data", "elsewhere"]);
    assert!(error.contains("there are no keys in elsewhere"), "{error}");
    assert!(!folder.path().join("elsewhere").exists());
    let error = fails(folder.path(), &["create", "--caller", "a", "--scope", "root"]);
    assert!(error.contains("reader, runner, admin"), "{error}");
    let error = fails(folder.path(), &["create", "--caller", "a b", "--scope", "admin"]);
    assert!(error.contains("letters, digits"), "{error}");
}

#[test]
fn keys_are_kept_in_the_folder_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(folder.path(), &["create", "--caller", "a", "--scope", "admin", "--data", "there"]);
    assert!(succeeds(folder.path(), &["list", "--data", "there"]).contains("admin"));
}
