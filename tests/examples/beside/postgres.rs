//! A PostgreSQL of our own beside the server that is measured, in a folder that goes away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tests::succeed;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running PostgreSQL; stopped when dropped.
pub struct Postgres {
    child: Child,
    programs: PathBuf,
    folder: TempDir,
    /// `host:port`.
    pub address: String,
}

/// The newest installation that Debian's packages left.
fn programs() -> Result<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut versions: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    versions.sort();
    versions.pop().context("PostgreSQL is not installed")
}

/// The server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

impl Postgres {
    /// Makes a database folder, which may keep everything in memory, and starts the server with settings.
    pub fn start(settings: &[&str]) -> Result<Self> {
        let (folder, programs) = (tempfile::tempdir()?, programs()?);
        let data = folder.path().join("data");
        let mut chown = Command::new("chown");
        chown.arg("postgres").arg(folder.path());
        succeed(chown)?;
        let mut initdb = as_postgres(&programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=tester", "--no-sync", "--encoding=UTF8", "-D"]);
        initdb.arg(&data).current_dir("/");
        succeed(initdb)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = as_postgres(&programs.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        server.args(["-k", ""]).current_dir("/");
        let memory = ["shared_buffers=2GB", "max_wal_size=4GB", "work_mem=256MB"];
        memory.iter().chain(settings).for_each(|setting| {
            server.args(["-c", setting]);
        });
        let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let address = format!("127.0.0.1:{port}");
        let postgres = Self { child, programs, folder, address };
        let started = Instant::now();
        while postgres.psql("SELECT 1").is_err() {
            ensure!(started.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(postgres)
    }

    /// What psql prints for a statement.
    pub fn psql(&self, sql: &str) -> Result<String> {
        let Some((host, port)) = self.address.rsplit_once(':') else { bail!("no port") };
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "-h", host, "-p", port, "-U", "tester", "-d", "postgres"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "--csv", "--tuples-only", "-c", sql]);
        succeed(psql)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = as_postgres(&self.programs.join("pg_ctl"));
        stop.args(["stop", "--mode=immediate", "--silent", "-D"])
            .arg(self.folder.path().join("data"));
        // the child is runuser, which ends with the server
        let _ = stop.current_dir("/").stdout(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
