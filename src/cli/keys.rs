//! `segprobe keys`: who may use the service.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::settings_args::StorageArgs;
use crate::access::Scope;
use crate::access::keys::{ApiKey, KeyStore, NewKey};
use crate::config::StorageConfig;
use crate::jobs::store::{OpenedStore, SqliteStore};

/// Longest name of a caller in characters.
const LONGEST_CALLER: usize = 64;

/// Make, list and revoke the API keys of the service; it may run meanwhile.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    storage: StorageArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(CreateArgs),
    /// List all keys, without their secrets.
    List,
    /// Take a key back, from now on.
    Revoke {
        /// The key's name: the part after spk_, without the secret.
        id: String,
    },
}

/// Make a key and print it; it is not shown again.
#[derive(Debug, Args)]
struct CreateArgs {
    /// Whose jobs its holder sees and submits: a team or a pipeline.
    #[arg(long, value_name = "NAME", value_parser = caller)]
    caller: String,
    /// What its holder may do: reader, runner or admin; each includes those before it.
    #[arg(long, value_parser = scope)]
    scope: Scope,
    /// Days that it is good for; for ever unless set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    expires_days: Option<u64>,
    /// Requests a minute; the service's limit unless set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
    /// Unfinished attacks its caller may have; the service's limit unless set.
    #[arg(long, value_name = "N")]
    max_unfinished: Option<u64>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

fn caller(text: &str) -> Result<String> {
    let plain = |character: char| character.is_alphanumeric() || "._-@".contains(character);
    ensure!(
        !text.is_empty() && text.chars().count() <= LONGEST_CALLER && text.chars().all(plain),
        "a caller is named by 1 to {LONGEST_CALLER} letters, digits, dots, hyphens, underscores or @"
    );
    Ok(text.into())
}

fn scope(text: &str) -> Result<Scope> {
    let names = Scope::ALL.map(Scope::name).join(", ");
    Scope::ALL.into_iter().find(|scope| scope.name() == text).with_context(|| format!("the scopes are {names}"))
}

/// Runs the command.
///
/// # Errors
/// A folder or database that cannot be used, or a key that does not exist.
pub fn run(args: &KeysArgs) -> Result<()> {
    let storage = args.storage.settings()?.storage;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        match &args.action {
            Action::Create(create_args) => create(&storage, create_args).await,
            Action::List => list(&storage).await,
            Action::Revoke { id } => revoke(&storage, id).await,
        }
    })
}

async fn create(storage: &StorageConfig, args: &CreateArgs) -> Result<()> {
    let keys = OpenedStore::open(storage).await?.keys;
    let key = NewKey {
        caller: args.caller.clone(),
        scope: args.scope,
        lifetime: args.expires_days.map(|days| Duration::from_secs(days * 24 * 60 * 60)),
        requests_per_minute: args.requests_per_minute,
        max_unfinished: args.max_unfinished,
        note: args.note.clone(),
    };
    let (key, text) = keys.create(key).await?;
    // the key alone on standard output, for scripts
    eprintln!("This is the key {} of {}. Keep it: it is not shown again.", key.id, key.caller);
    writeln!(stdout().lock(), "{}", text.reveal())?;
    Ok(())
}

async fn list(storage: &StorageConfig) -> Result<()> {
    let keys = existing(storage).await?.list().await?;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{:<12}  {:<20}  {:<6}  {:<7}  {:<10}  {:<10}  note",
        "id", "caller", "scope", "state", "expires", "last used"
    )?;
    for key in &keys {
        writeln!(out, "{}", line(key, Utc::now()))?;
    }
    Ok(())
}

/// A key in a line.
fn line(key: &ApiKey, now: DateTime<Utc>) -> String {
    let day = |time: Option<DateTime<Utc>>| time.map_or("never".into(), |time| time.format("%Y-%m-%d").to_string());
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(expires_at)) if expires_at <= now => "expired",
        _ => "good",
    };
    let (expires, used) = (day(key.expires_at), day(key.last_used_at));
    let line = format!(
        "{:<12}  {:<20}  {:<6}  {state:<7}  {expires:<10}  {used:<10}  {}",
        key.id,
        key.caller,
        key.scope.name(),
        key.note.as_deref().unwrap_or_default()
    );
    line.trim_end().into()
}

async fn revoke(storage: &StorageConfig, id: &str) -> Result<()> {
    if !existing(storage).await?.revoke(id).await? {
        bail!("there is no key {id}: see `segprobe keys list`");
    }
    writeln!(stdout().lock(), "revoked {id}")?;
    Ok(())
}

/// The database of a service; a mistyped folder does not make a new one.
async fn existing(storage: &StorageConfig) -> Result<Arc<dyn KeyStore>> {
    let folder = &storage.folder;
    let there = storage.is_shared() || folder.join(SqliteStore::FILE_NAME).is_file();
    ensure!(there, "there are no keys in {}: name the service's folder with --data", folder.display());
    Ok(OpenedStore::open(storage).await?.keys)
}
