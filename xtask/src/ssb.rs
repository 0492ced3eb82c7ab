//! `cargo xtask bench ssb` and `bench load`: the Star Schema Benchmark in our engine beside its peers. What is measured
//! and how is in `xtask/peers/ssb.py` and `load.py`; this checks what is asked for and builds what it takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::{cargo, python_with, root, run, target_folder};

const USAGE: &str = "usage: cargo xtask bench ssb [--scale N] [--order random|date] [--rounds R] [--engines polars,duckdb,chdb] [--measure all|scans|covered]";
const MEASURES: [&str; 3] = ["all", "scans", "covered"];
const PEERS: [&str; 3] = ["polars", "duckdb", "chdb"];
const SCALES: std::ops::RangeInclusive<f64> = 0.01..=100.0;
const ROUNDS_MAX: u32 = 1_000;

/// What to run.
#[derive(Debug, PartialEq)]
struct Options {
    scale: f64,
    order: String,
    rounds: u32,
    /// Peers, with commas between them; ours alone where there are none.
    engines: String,
    /// Scans, what maintained aggregates cover, or both.
    measure: String,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            scale: 1.0,
            order: "random".into(),
            rounds: 7,
            engines: PEERS.join(","),
            measure: MEASURES[0].into(),
        };
        for pair in arguments.chunks(2) {
            let [flag, value] = pair else { bail!("{} needs a value\n{USAGE}", pair[0]) };
            match flag.as_str() {
                "--scale" => {
                    options.scale = value.parse().unwrap_or(f64::NAN);
                    let (least, most) = (SCALES.start(), SCALES.end());
                    ensure!(
                        SCALES.contains(&options.scale),
                        "--scale is a number from {least} to {most}, not {value:?}: 1 is 6,000,000 rows"
                    );
                }
                "--order" => {
                    let is_known = ["random", "date"].contains(&value.as_str());
                    ensure!(is_known, "--order is random or date, not {value:?}");
                    options.order.clone_from(value);
                }
                "--rounds" => {
                    options.rounds = value.parse().unwrap_or(0);
                    ensure!(
                        (1..=ROUNDS_MAX).contains(&options.rounds),
                        "--rounds is a number from 1 to {ROUNDS_MAX}, not {value:?}"
                    );
                }
                "--engines" => options.engines = engines(value)?,
                "--measure" => {
                    let is_known = MEASURES.contains(&value.as_str());
                    ensure!(is_known, "--measure is all, scans or covered, not {value:?}");
                    options.measure.clone_from(value);
                }
                other => bail!("unknown argument {other:?}\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

/// The peers of a list, in the order of the table; ours, which always runs, may be named, too.
fn engines(list: &str) -> Result<String> {
    let asked: Vec<&str> = list.split(',').collect();
    for name in &asked {
        ensure!(
            *name == "ours" || PEERS.contains(name),
            "--engines knows ours, {}, not {name:?}",
            PEERS.join(", ")
        );
    }
    let peers = PEERS.iter().copied().filter(|peer| asked.contains(peer));
    Ok(peers.collect::<Vec<_>>().join(","))
}

/// Runs the benchmark.
pub fn bench(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    run(cargo().args(["build", "--release", "--package", "protocol", "--example", "ssb"]))?;
    beside_peers("ssb.py", |peers, folder| {
        peers
            .arg(target_folder().join("release/examples/ssb"))
            .arg(folder)
            .args([options.scale.to_string(), options.order, options.rounds.to_string()])
            .args([options.engines, options.measure]);
    })
}

/// How often each engine loads each file.
const LOAD_ROUNDS: &str = "5";

/// Loads the benchmark's table from files, as the command line does, beside peers.
pub fn load() -> Result<()> {
    run(cargo().args(["build", "--release", "--workspace", "--bins", "--example", "ssb"]))?;
    beside_peers("load.py", |peers, folder| {
        peers
            .arg(target_folder().join("release/perfos"))
            .arg(target_folder().join("release/examples/ssb"))
            .arg(folder)
            .arg(LOAD_ROUNDS);
    })
}

/// Runs a script with the newest peers there are and a folder of its own.
fn beside_peers(script: &str, arguments: impl FnOnce(&mut Command, &Path)) -> Result<()> {
    let requirements = "xtask/peers/ssb_requirements.txt";
    let python = python_with("python-ssb", requirements)?;
    // no version is named: the newest ones are what to compare with
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--upgrade", "--requirement"])
        .arg(root().join(requirements)))?;
    let folder = target_folder().join("ssb");
    fs::create_dir_all(&folder)?;
    let mut peers = Command::new(python);
    peers.arg(root().join("xtask/peers").join(script));
    arguments(&mut peers, &folder);
    let measured = run(&mut peers);
    fs::remove_dir_all(&folder)?;
    measured
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[track_caller]
    fn parsed(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        Options::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let options = parsed("--scale 0.5 --order date --rounds 3 --engines chdb,ours,polars");
        let expected = Options {
            scale: 0.5,
            order: "date".into(),
            rounds: 3,
            engines: "polars,chdb".into(),
            measure: "all".into(),
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(parsed("").map(|options| options.engines), Ok("polars,duckdb,chdb".into()));
        assert_eq!(parsed("--engines ours").map(|options| options.engines), Ok(String::new()));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for (line, words) in [
            ("--scale 0", "from 0.01 to 100, not \"0\""),
            ("--scale nan", "from 0.01 to 100"),
            ("--scale", "--scale needs a value"),
            ("--order sorted", "random or date"),
            ("--rounds -1", "from 1 to 1000"),
            ("--engines polars,sqlite", "not \"sqlite\""),
            ("--measure speed", "all, scans or covered, not \"speed\""),
            ("--speed 3", "unknown argument"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
