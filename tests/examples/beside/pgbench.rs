//! `pgbench`, which asks servers that speak PostgreSQL.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::{PASSWORD, USER, succeed};

/// At the start, when connections are made and statements planned, times do not count.
const WARM_UP_US: u64 = 1_000_000;

/// Latencies in microseconds, the least first.
pub struct Latencies(pub Vec<u64>);

impl Latencies {
    /// The one below which so many of a hundred are.
    pub fn at(&self, percent: usize) -> u64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    /// Prints how many there are, and some of them.
    pub fn print(&self, what: &str) {
        let [half, most, longest] = [self.at(50), self.at(99), self.at(100)];
        println!(
            "{what}: {} queries, p50 {half} us, p99 {most} us, longest {longest} us",
            self.0.len()
        );
    }
}

/// How `pgbench` is called.
pub struct Bench<'a> {
    /// For its logs.
    pub folder: &'a Path,
    /// The file with the statements.
    pub script: &'a str,
    /// How long it runs.
    pub seconds: u64,
}

impl Bench<'_> {
    /// The latency of each query of a run, from when it was due. In the first second, which does not count,
    /// connections are made and each value is planned.
    pub fn latencies(&self, address: &str, database: &str, options: &[&str]) -> Result<Latencies> {
        let (host, port) = address.rsplit_once(':').context("no port")?;
        let logs = tempfile::tempdir_in(self.folder)?;
        let mut pgbench = Command::new("pgbench");
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--log", "--file", self.script]);
        pgbench.arg(format!("--log-prefix={}", logs.path().join("log").display()));
        pgbench.arg(format!("--time={}", self.seconds)).args(options);
        pgbench.args(["-h", host, "-p", port, "-U", USER, database]).env("PGPASSWORD", PASSWORD);
        succeed(pgbench)?;
        let mut times = Vec::new();
        for file in std::fs::read_dir(logs.path())? {
            let text = std::fs::read_to_string(file?.path())?;
            times.extend(text.lines().filter_map(logged));
        }
        let start = times.iter().map(|(ended, _)| *ended).min().context("no latencies")?;
        times.retain(|(ended, _)| ended - start >= WARM_UP_US);
        let mut times: Vec<u64> = times.into_iter().map(|(_, time)| time).collect();
        ensure!(!times.is_empty(), "pgbench ended within the first second");
        times.sort_unstable();
        Ok(Latencies(times))
    }
}

/// When a query ended and how long it took, both in microseconds, as `pgbench` logs it.
fn logged(line: &str) -> Option<(u64, u64)> {
    // client, number, time, script, seconds, microseconds, ...
    let fields: Vec<u64> = line.split(' ').map_while(|field| field.parse().ok()).collect();
    let [_, _, time, _, seconds, micros, ..] = fields.as_slice() else { return None };
    Some((seconds * 1_000_000 + micros, *time))
}
