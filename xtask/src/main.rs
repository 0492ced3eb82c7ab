//! `cargo xtask`: the one door to building, testing and measuring.

mod bench;
mod ssb;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

const HELP: &str = "\
cargo xtask COMMAND

  start [ARGUMENTS]   build, then serve the sample company (arguments go to `perfos demo`)
  test                every test: units, properties, real clients against the real binary
  lint                rustfmt, clippy, cargo-deny
  golden              compute the expected figures of the golden cases again from the source files
  bench formulas      a million deals, five formulas deep, beside the same computation in Polars
  bench ssb           the Star Schema Benchmark beside Polars, DuckDB and ClickHouse
                      [--scale N] [--order random|date] [--rounds R] [--engines polars,duckdb,chdb]
                      [--measure all|scans|covered]
  bench planning      50 million cells of 8 dimensions, 20 formulas, beside Polars
  bench load          the benchmark's flat table from CSV and Parquet, beside Polars and DuckDB
  bench wire          prepared queries, a million rows and queries beside loads, over a socket
  bench commits       durable writes of single cells over a socket, beside PostgreSQL on the same disk
  crash --seeds N     simulate N lives of a ledger on a device that loses power
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match command {
        "start" => start(rest),
        "test" => test(),
        "lint" => lint(),
        "golden" => golden(),
        "bench" => bench::bench(rest),
        "crash" => crash(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("unknown command {other:?}\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    // where it runs, which may not be where it was built: checkouts may share a target folder
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Cargo as one calls it oneself: build scripts look at what `cargo run` tells xtask about xtask, and
/// would run again, with all that depends on them.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_about_xtask =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| is_about_xtask(name)).for_each(|name| {
        command.env_remove(name);
    });
    command.current_dir(root());
    command
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn start(arguments: &[String]) -> Result<()> {
    run(cargo().args(["build", "--workspace", "--bins"]))?;
    let binary = target_folder().join("debug/perfos");
    run(Command::new(binary).arg("demo").args(arguments).current_dir(root()))
}

fn test() -> Result<()> {
    need_psql()?;
    let python = python_with_clients()?;
    run(cargo().args(["build", "--workspace", "--bins"]))?;
    run(cargo().args(["test", "--workspace"]).env("PERFOS_TEST_PYTHON", python))
}

/// psql is a real client of the tests; Debian's package is installed where we may.
fn need_psql() -> Result<()> {
    if found("psql") {
        return Ok(());
    }
    install("postgresql-client").context("the tests need psql: install the PostgreSQL client")
}

fn found(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Installs a Debian package.
fn install(package: &str) -> Result<()> {
    ensure!(found("apt-get"), "there is no apt-get to install {package} with");
    println!("installing {package}");
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get").args(["install", "--yes", "--quiet", package]))
}

/// A Python environment of our own with the client libraries of `tests/clients`.
fn python_with_clients() -> Result<PathBuf> {
    python_with("python", "tests/clients/requirements.txt")
}

/// A Python environment in a folder of the target folder, with what a file of the source asks for.
fn python_with(folder: &str, requirements: &str) -> Result<PathBuf> {
    let folder = target_folder().join(folder);
    let python = folder.join("bin/python");
    let requirements = root().join(requirements);
    let wanted = std::fs::read_to_string(&requirements)?;
    let marker = folder.join("requirements.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let make = || run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    if make().is_err() {
        install("python3-venv").and_then(|()| make()).context("Python 3 with venv is needed")?;
    }
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&requirements))?;
    std::fs::write(marker, wanted)?;
    Ok(python)
}

fn lint() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    let has_deny = || Command::new("cargo-deny").arg("--version").output().is_ok();
    if !has_deny() && env::var_os("CI").is_some() {
        // built beside the other caches, and kept by cargo for the next run
        run(cargo().args(["install", "cargo-deny", "--locked"]).env_remove("CARGO_TARGET_DIR"))?;
    }
    if !has_deny() {
        println!("skipped: cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

fn golden() -> Result<()> {
    let source = env::var_os("PERFOS_TEST_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    for name in ["adventureworks", "crm"] {
        let program = root().join("tests/golden").join(name).join("compute.py");
        run(Command::new("python3").arg(program).arg(source.join(name)).arg("--write"))?;
    }
    Ok(())
}

fn crash(arguments: &[String]) -> Result<()> {
    let seeds = match arguments {
        [flag, count] if flag == "--seeds" => {
            count.parse::<u64>().context("--seeds takes a number")?
        }
        _ => bail!("usage: cargo xtask crash --seeds N"),
    };
    let mut failed = 0u64;
    for seed in 0..seeds {
        if let Err(error) = storage::simulation::run_seed(seed) {
            eprintln!("seed {seed}: {error}");
            failed += 1;
        }
    }
    println!("{} seeds passed, {failed} failed", seeds - failed);
    ensure!(failed == 0, "the seeds above fail again when run alone");
    Ok(())
}
