//! The database: reachable, with the tables of this version, and with a clock that agrees.

use super::report::Finding::{self, Fail, Fine, Warn};
use crate::config::Config;
use crate::jobs::store::{Inspection, Tables};

/// The oldest PostgreSQL that is tested.
const TESTED: u32 = 15;
/// Seconds by which clocks may differ without a word.
const AGREEING: f64 = 2.;

/// Looks at the database that the settings name.
pub(super) async fn examine(config: &Config) -> Vec<(&'static str, Finding)> {
    match Inspection::of(&config.storage).await {
        Err(error) => vec![("database", Fail(error.to_string()))],
        Ok(None) => vec![("database", absent())],
        Ok(Some(found)) => judge(&found, config.queue.lease_seconds),
    }
}

fn absent() -> Finding {
    Warn("there is no SQLite file yet: the service makes one; if it should be there, correct storage.folder".into())
}

fn judge(found: &Inspection, lease_seconds: u64) -> Vec<(&'static str, Finding)> {
    let mut findings = vec![("database", server(found)), ("tables", tables(found.tables))];
    findings.extend(found.ahead_seconds.map(|ahead| ("clock", clock(ahead, lease_seconds))));
    findings
}

fn server(found: &Inspection) -> Finding {
    let text = format!("{}, {:.2} ms to an answer", found.server, found.round_trip.as_secs_f64() * 1e3);
    if found.read_only {
        return Fail(format!("{text}, but it takes no writes: name the primary server in storage.database"));
    }
    // a file has no server whose age could matter
    match found.ahead_seconds {
        Some(_) if found.major < TESTED => Warn(format!("{text}; {TESTED} or newer is tested: upgrade the server")),
        _ => Fine(text),
    }
}

fn tables(tables: Tables) -> Finding {
    match tables {
        Tables::Current { migrations } => Fine(format!("all {migrations} migrations are applied")),
        Tables::Missing { missing, of } => {
            Fail(format!("{missing} of {of} migrations are missing: make a backup, then run `segprobe migrate`"))
        }
        Tables::Newer => Fail(
            "a newer version of the program made them: run that version, or restore the backup from before it".into(),
        ),
        Tables::Broken { version } => Fail(format!(
            "migration {version} did not end, or is not the one of this version: restore the backup from before it"
        )),
    }
}

/// Leases are told apart by the database's clock alone, but retention, signatures for a bucket and what people read in
/// logs go by this machine's.
fn clock(ahead: f64, lease_seconds: u64) -> Finding {
    let text = format!("the database's clock is {:.1} s {}", ahead.abs(), if ahead < 0. { "behind" } else { "ahead" });
    let advice = "let both machines follow the same time servers (NTP)";
    if ahead.abs() > lease_seconds as f64 {
        Fail(format!("{text}, more than a lease of {lease_seconds} s: {advice}"))
    } else if ahead.abs() > AGREEING {
        Warn(format!("{text}: {advice}"))
    } else {
        Fine(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found() -> Inspection {
        Inspection {
            server: "PostgreSQL 16.4".into(),
            major: 16,
            read_only: false,
            tables: Tables::Current { migrations: 3 },
            round_trip: Duration::from_micros(1500),
            ahead_seconds: Some(-0.01),
        }
    }

    #[test]
    fn a_good_database_is_described() {
        let findings = judge(&found(), 60);
        assert_eq!(findings[0], ("database", Fine("PostgreSQL 16.4, 1.50 ms to an answer".into())));
        assert_eq!(findings[1], ("tables", Fine("all 3 migrations are applied".into())));
        assert_eq!(findings[2], ("clock", Fine("the database's clock is 0.0 s behind".into())));
        let file = Inspection { major: 3, ahead_seconds: None, ..found() };
        assert_eq!(judge(&file, 60).len(), 2, "a file has this machine's clock");
        assert!(matches!(judge(&file, 60)[0].1, Fine(_)), "and no server to upgrade");
    }

    #[test]
    fn a_server_that_is_old_or_takes_no_writes_is_told() {
        assert!(matches!(server(&Inspection { major: 14, ..found() }), Warn(text) if text.contains("upgrade")));
        assert!(matches!(server(&Inspection { read_only: true, ..found() }), Fail(text) if text.contains("primary")));
    }

    #[test]
    fn tables_that_do_not_fit_fail_with_the_way_out() {
        let missing = tables(Tables::Missing { missing: 1, of: 3 });
        assert!(matches!(missing, Fail(text) if text.contains("1 of 3") && text.contains("segprobe migrate")));
        assert!(matches!(tables(Tables::Newer), Fail(text) if text.contains("newer version")));
        assert!(matches!(tables(Tables::Broken { version: 2 }), Fail(text) if text.contains("migration 2")));
    }

    #[test]
    fn a_clock_is_judged_by_the_lease() {
        assert!(matches!(clock(2.0, 60), Fine(_)));
        assert!(matches!(clock(-2.1, 60), Warn(text) if text.contains("2.1 s behind") && text.contains("NTP")));
        assert!(matches!(clock(59.9, 60), Warn(_)));
        assert!(matches!(clock(60.1, 60), Fail(text) if text.contains("60.1 s ahead") && text.contains("lease of 60")));
    }
}
