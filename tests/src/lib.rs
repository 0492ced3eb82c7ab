//! What the end-to-end tests share: the real binary on a folder of its own, real clients, real data.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// The user of every test tenant.
pub const USER: &str = "tester";
/// His password.
pub const PASSWORD: &str = "correct horse battery";

/// The workspace's root folder.
pub fn root() -> PathBuf {
    // where it runs, which may not be where it was built: checkouts may share a target folder
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The `perfos` binary that was built with the tests.
pub fn binary() -> Result<PathBuf> {
    let beside_tests = std::env::current_exe()?;
    let folder = beside_tests.ancestors().nth(2).context("a test runs in the target folder")?;
    let binary = folder.join("perfos");
    ensure!(binary.exists(), "{} is not built; run: cargo xtask test", binary.display());
    Ok(binary)
}

/// The folder of real sample data, or none after saying so. In CI its absence is a failure.
pub fn sample_data(name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("PERFOS_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => root().join("../shared/data"),
    };
    let folder = folder.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no sample data in {}", folder.display());
    println!("skipped: no sample data in {}; set PERFOS_TEST_DATA", folder.display());
    None
}

/// A data folder with one tenant and one user.
pub struct DataFolder {
    folder: TempDir,
    tenant: String,
}

impl DataFolder {
    /// Makes the folder, the tenant and the user by the offline commands.
    pub fn new(tenant: &str) -> Result<Self> {
        Self::within(&std::env::temp_dir(), tenant)
    }

    /// The same in another folder than that for temporary files.
    pub fn within(parent: &Path, tenant: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        let this = Self { folder, tenant: tenant.to_string() };
        this.run(&["tenant", "create", tenant])?;
        this.run(&["user", "add", USER, "--tenant", tenant, "--role", "administrator"])?;
        Ok(this)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// An offline command with the folder in its environment.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.args(arguments).stdin(Stdio::null());
        command.env("PERFOS_DATA", self.path()).env("PERFOS_TENANT", &self.tenant);
        command.env("PERFOS_PASSWORD", PASSWORD).env_remove("PERFOS_SERVER");
        command.env("RUST_LOG", "warn");
        Ok(command)
    }

    /// Runs an offline command, which must succeed; gives what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        succeed(self.command(arguments)?)
    }

    /// Serves the folder.
    pub fn serve(&self) -> Result<Server> {
        Server::start(
            self.command(&["serve", "--postgres", "127.0.0.1:0", "--http", "127.0.0.1:0"])?,
            &self.tenant,
        )
    }

    /// Checks the ledger; gives the last line.
    pub fn verify(&self) -> Result<String> {
        let printed = self.run(&["verify"])?;
        Ok(printed.lines().last().unwrap_or_default().to_string())
    }
}

/// The command that loads an example of `examples/` from a folder of files; where to is still to be said.
pub fn example_script(name: &str, source: &Path) -> Result<Command> {
    script_of(&root().join("examples").join(name), name, source)
}

fn script_of(example: &Path, name: &str, source: &Path) -> Result<Command> {
    let mut script = Command::new(example.join("load.sh"));
    let folder = binary()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    script.arg(source).env("PATH", format!("{}:{path}", folder.display()));
    script.env("PERFOS_TENANT", name).env_remove("PERFOS_DATA").env_remove("PERFOS_SERVER");
    Ok(script)
}

/// Loads an example into a data folder.
pub fn load_example(data: &DataFolder, name: &str, source: &Path) -> Result<()> {
    let mut script = example_script(name, source)?;
    script.env("PERFOS_DATA", data.path());
    succeed(script).map(drop)
}

/// A copy of an example without its assertions: for data that is not what they say.
pub fn without_assertions(name: &str) -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    let from = root().join("examples").join(name);
    let mut command = Command::new("cp");
    succeed({
        command.arg("-R").arg(format!("{}/.", from.display())).arg(copy.path());
        command
    })?;
    std::fs::remove_dir_all(copy.path().join("tests"))?;
    Ok(copy)
}

/// Loads an example without its assertions into a data folder.
pub fn load_unchecked(data: &DataFolder, name: &str, source: &Path) -> Result<()> {
    let copy = without_assertions(name)?;
    let mut script = script_of(copy.path(), name, source)?;
    script.env("PERFOS_DATA", data.path());
    succeed(script).map(drop)
}

/// The maps of an example.
pub fn example_maps(name: &str) -> PathBuf {
    root().join("examples").join(name).join("maps")
}

/// Runs a command that must succeed; gives its standard output.
pub fn succeed(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed:\n{}", text_of(&output));
    Ok(String::from_utf8(output.stdout)?)
}

/// Both outputs of a command, for messages.
pub fn text_of(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}{err}", output.status)
}

/// Writes a file below a folder; gives its path.
pub fn write_file(folder: &Path, path: &str, text: &str) -> Result<String> {
    let file = folder.join(path);
    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    tenant: String,
    /// The Postgres side, `host:port`.
    pub postgres: String,
    /// The HTTP side, `host:port`.
    pub http: String,
}

impl Server {
    /// Starts a serving command and waits until it says `ready`.
    pub fn start(mut command: Command, tenant: &str) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut server =
            Self { child, tenant: tenant.into(), postgres: String::new(), http: String::new() };
        let mut lines = BufReader::new(stdout).lines();
        for line in &mut lines {
            let line = line?;
            if let Some(address) = line.strip_prefix("postgres ") {
                server.postgres = address.trim().to_string();
            } else if let Some(address) = line.strip_prefix("http ") {
                server.http = address.trim().to_string();
            } else if line == "ready" {
                // the rest is read so that the server never waits for a reader
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        bail!("{command:?} ended before it was ready")
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What a command of `perfos` against this server gives, started in a tenant's data folder.
    pub fn run(&self, data: &DataFolder, arguments: &[&str]) -> Result<Output> {
        let mut command = data.command(arguments)?;
        command.env_remove("PERFOS_DATA").env("PERFOS_SERVER", format!("http://{}", self.http));
        command.env("PERFOS_USER", USER).env("PERFOS_PASSWORD", PASSWORD);
        Ok(command.output()?)
    }

    /// Host and port of the Postgres side.
    pub fn host_and_port(&self) -> (&str, &str) {
        self.postgres.rsplit_once(':').unwrap_or(("127.0.0.1", "0"))
    }

    /// A connection string for client libraries.
    pub fn connection_string(&self) -> String {
        let (host, port) = self.host_and_port();
        format!("host={host} port={port} dbname={} user={USER} password='{PASSWORD}'", self.tenant)
    }

    /// psql with some arguments.
    pub fn psql(&self, arguments: &[&str]) -> Result<Output> {
        let (host, port) = self.host_and_port();
        let mut command = Command::new("psql");
        command
            .args(["--no-psqlrc", "-h", host, "-p", port, "-U", USER, "-d", &self.tenant])
            .args(arguments);
        command.env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command.output().context("cannot run psql; install the package postgresql-client")
    }

    /// The rows that psql prints for a statement, one a line, values between commas.
    pub fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let output = self.psql(&["--csv", "--tuples-only", "-v", "ON_ERROR_STOP=1", "-c", sql])?;
        ensure!(output.status.success(), "{sql}\n{}", text_of(&output));
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_string).collect())
    }

    /// A Python program of `tests/clients` against this server.
    pub fn python(&self, program: &str, environment: &[(&str, &str)]) -> Result<Output> {
        let interpreter = std::env::var("PERFOS_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut command = Command::new(interpreter);
        command.arg(program).current_dir(root().join("tests/clients")).stdin(Stdio::null());
        command.env("PERFOS_TEST_POSTGRES", &self.postgres).env("PERFOS_TEST_TENANT", &self.tenant);
        command.env("PERFOS_TEST_USER", USER).env("PERFOS_TEST_PASSWORD", PASSWORD);
        command.envs(environment.iter().copied());
        command.output().context("cannot run Python 3")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have been killed already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
