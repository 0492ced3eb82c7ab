//! `cargo xtask bench`: measurements beside peers. Each ends with a line of figures; ratios are time of the
//! peer by ours.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{HELP, cargo, python_with, root, run, ssb, target_folder};

pub fn bench(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((name, [])) if name == "formulas" => formulas(),
        Some((name, [])) if name == "planning" => planning(),
        Some((name, [])) if name == "wire" || name == "commits" => beside_postgres(name),
        Some((name, [])) if name == "load" => ssb::load(),
        Some((name, rest)) if name == "ssb" => ssb::bench(rest),
        _ => bail!(
            "usage: cargo xtask bench formulas, planning, wire, commits, load, or ssb with its options\n\n{HELP}"
        ),
    }
}

/// The formulas of ours and their peer, one after the other.
fn formulas() -> Result<()> {
    let (ours, peer) = beside_polars("formulas")?;
    ours.check_equal(&peer, &["credit", "bookings", "attainment", "commission", "payout"])?;
    let full = ours.number("full_ms")?;
    let (cells, totals) = (peer.number("cells_ms")?, peer.number("totals_ms")?);
    println!(
        "{} polars_cells_ms={cells} cells_ratio={:.2} polars_totals_ms={totals} totals_ratio={:.2}",
        ours.0,
        cells / full,
        totals / full
    );
    Ok(())
}

/// Questions to the planning model.
const PLANNING_QUERIES: u32 = 6;

/// A planning model of ours and its peer, one after the other.
fn planning() -> Result<()> {
    let (ours, peer) = beside_polars("planning")?;
    ours.check_equal(&peer, &["rows", "net", "margin", "sales", "department"])?;
    let cells = peer.number("cells_ms")?;
    let ratio = cells / ours.number("full_ms")?;
    println!("{} polars_cells_ms={cells} cells_ratio={ratio:.2}", ours.0);
    let mut product = 1.0;
    for query in 1..=PLANNING_QUERIES {
        let name = format!("q{query}");
        ours.check_equal(&peer, &[&name, &format!("{name}_groups")])?;
        let time = format!("{name}_ms");
        let (own_ms, peer_ms) = (ours.number(&time)?, peer.number(&time)?);
        println!("{name} ours_ms={own_ms} polars_ms={peer_ms} ratio={:.2}", peer_ms / own_ms);
        product *= peer_ms / own_ms;
    }
    println!("queries_ratio={:.2}", f64::powf(product, 1.0 / f64::from(PLANNING_QUERIES)));
    Ok(())
}

/// The real server and real clients; PostgreSQL beside it.
fn beside_postgres(name: &str) -> Result<()> {
    run(cargo().args(["build", "--release", "--workspace", "--bins", "--example", name]))?;
    run(Command::new(target_folder().join("release/examples").join(name)).current_dir(root()))
}

/// What an example of `calc` prints, and then its peer in Polars.
fn beside_polars(name: &str) -> Result<(Figures, Figures)> {
    let python = python_with("python-peers", "xtask/peers/requirements.txt")?;
    let ours = figures(
        cargo()
            .args(["run", "--quiet", "--release", "--package", "calc"])
            .args(["--example", name]),
    )?;
    let peer = root().join(format!("xtask/peers/{name}_polars.py"));
    Ok((ours, figures(Command::new(python).arg(peer))?))
}

/// A line of `name=value`.
struct Figures(String);

impl Figures {
    fn number(&self, name: &str) -> Result<f64> {
        let mut words = self.0.split(' ');
        let word = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let number = word.and_then(|word| word.parse().ok());
        number.with_context(|| format!("no {name} in {}", self.0))
    }

    /// An error where totals differ.
    fn check_equal(&self, peer: &Self, totals: &[&str]) -> Result<()> {
        for total in totals {
            let is_equal = (self.number(total)? - peer.number(total)?).abs() < 0.5;
            ensure!(is_equal, "{total} differs:\n{}\n{}", self.0, peer.0);
        }
        Ok(())
    }
}

/// The last line that a program prints.
fn figures(command: &mut Command) -> Result<Figures> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    Ok(Figures(text.lines().last().unwrap_or_default().to_owned()))
}
