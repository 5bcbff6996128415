//! A PostgreSQL server for the tests of one process, reached by a socket in a folder of its own and by nothing else.
//!
//! It wants the server's programs in the `PATH` or where Debian puts them. A server refuses to run as root, so
//! root starts it as `nobody`.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// User and group of `nobody`.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the server once its standard input is closed, which happens when the test process is gone, however it went.
const KEEPER: &str = r#"folder=$1; shift; "$@" >"$folder/log" 2>&1 & server=$!
cat >/dev/null; kill -QUIT $server; wait $server; rm -rf "$folder""#;

pub(super) struct Server {
    folder: PathBuf,
    _keeper: Child,
}

/// The server, started by whoever asks first.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let folder = TempDir::with_prefix("segprobe-postgres-").unwrap().keep();
        let root = std::fs::metadata(&folder).map(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0).unwrap();
        if root {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = folder.join("data");
        let made = as_nobody(root, &program("initdb"))
            .args(["--auth=trust", "--username=segprobe", "--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        // the first line that fits holds: one user needs a password
        let access = data.join("pg_hba.conf");
        let trusting = std::fs::read_to_string(&access).unwrap();
        std::fs::write(&access, format!("local all guarded scram-sha-256\n{trusting}")).unwrap();
        let server = as_nobody(root, &program("postgres"));
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .arg(server.get_program())
            .args(server.get_args())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=400", "-k"])
            .arg(&folder)
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder, _keeper: keeper }
    }

    /// A new empty database.
    pub(super) async fn database(&self) -> String {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = self.connect().await;
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        self.url(&name)
    }

    async fn connect(&self) -> PgConnection {
        let began = Instant::now();
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return connection,
                Err(error) if began.elapsed() > PATIENCE => {
                    let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    panic!("the server does not answer: {error}\n{log}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://segprobe@localhost/{database}?host={}", self.folder.display())
    }
}

fn as_nobody(root: bool, program: &Path) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

/// A program of PostgreSQL's server, from `PATH` or from the newest version that Debian has installed.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: install PostgreSQL's server (Debian: postgresql)"))
}
