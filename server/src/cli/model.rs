//! `perfos apply` and `perfos load`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::assertions::{self, AssertionResult, AssertionState};
use crate::cli::PlaceArgs;
use crate::cli::load_bar::LoadBar;
use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::{print, print_line};
use crate::cli::query::remote;
use crate::commands::{self, ApplyMode, ApplyReport, LoadAnswer};
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::load::{self, LoadRequest, Target};
use crate::missing::{self, MissingMember};
use crate::model_files;
use crate::tenant::MAIN;

/// A model to be applied.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The model folder.
    model: PathBuf,
    /// Show what would change, and change nothing.
    #[arg(long)]
    plan: bool,
    /// The branch.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    /// Why; the ledger and the versions of rules show it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Files to be loaded.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The files; each is one ledger entry.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The cube that cells or rows are loaded into.
    #[arg(long, value_name = "NAME", required_unless_present = "dimension")]
    cube: Option<String>,
    /// The dimension that members are loaded into.
    #[arg(long, value_name = "NAME", conflicts_with = "cube")]
    dimension: Option<String>,
    /// How columns become members and measures; found by their names where there is none.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The branch.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    /// Why; the ledger shows it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs `perfos apply`.
pub fn apply(args: ApplyArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    let mode = if args.plan { ApplyMode::Plan } else { ApplyMode::Apply };
    let files = model_files::read_folder(&args.model)?;
    let report = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.apply(&files, mode, &args.branch, &args.reason)?
        }
        Place::Data(data) => {
            let local = LocalTenant::open(&data, &settings)?;
            let asking = asking(&settings, format!("apply {}", args.model.display()))
                .on(&args.branch)
                .because(&args.reason);
            let applying = commands::apply(&local.tenant, &asking, files, mode);
            let report = local.runtime.block_on(applying);
            local.close();
            report?
        }
    };
    print_applied(&report)
}

fn print_applied(report: &ApplyReport) -> Result<()> {
    report.changes.iter().try_for_each(print_line)?;
    let mut warnings = report.warnings.iter();
    warnings.try_for_each(|warning| print_line(format_args!("warning: {warning}")))?;
    print_checked(&report.assertions)?;
    print_missing(&report.missing_members)?;
    let count = report.changes.len();
    match (report.mode, report.sequence) {
        (_, None) if report.changes.is_empty() => print_line("the model is up to date"),
        (_, Some(sequence)) => {
            print_line(format_args!("{count} changes applied, ledger entry {sequence}"))
        }
        (_, None) => print_line(format_args!("{count} changes to apply")),
    }
}

/// Runs `perfos load`.
pub fn load(args: LoadArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    let target = |cube: &Option<String>, dimension: &Option<String>| match (cube, dimension) {
        (Some(cube), _) => Target::Cube(cube.clone()),
        (None, name) => Target::Dimension(name.clone().unwrap_or_default()),
    };
    let bar = LoadBar::over(args.files.len());
    let request = |file: &PathBuf| -> Result<LoadRequest> {
        let target = target(&args.cube, &args.dimension);
        let request = load::read_request(file, target, args.map.as_deref())?;
        Ok(LoadRequest { progress: Arc::clone(&bar) as Arc<dyn load::Progress>, ..request })
    };
    match settings.place()? {
        Place::Server(server) => {
            let remote = remote(&server, &settings)?;
            args.files.iter().try_for_each(|file| {
                let load = || remote.load(&request(file)?, &args.branch, &args.reason);
                bar.of(file, load, print_loaded)
            })
        }
        Place::Data(data) => {
            let local = LocalTenant::open(&data, &settings)?;
            let loaded = args.files.iter().try_for_each(|file| {
                let asking = asking(&settings, format!("load {}", file.display()))
                    .on(&args.branch)
                    .because(&args.reason);
                let load = || {
                    local.runtime.block_on(commands::load(&local.tenant, &asking, request(file)?))
                };
                bar.of(file, load, print_loaded)
            });
            local.close();
            loaded
        }
    }
}

fn print_loaded(answer: &LoadAnswer) -> Result<()> {
    print(&answer.report)?;
    match answer.sequence {
        Some(sequence) => print_line(format_args!(", ledger entry {sequence}"))?,
        None => print_line(", nothing changed")?,
    }
    answer.recomputed.iter().try_for_each(|(formula, cells)| {
        print_line(format_args!("evaluated {formula} in {cells} cells"))
    })?;
    print_checked(&answer.assertions)?;
    print_missing(&answer.missing_members)
}

/// Says which members formulas name that are not there.
pub(super) fn print_missing(found: &[MissingMember]) -> Result<()> {
    missing::lines(found).iter().try_for_each(print_line)
}

/// Says which assertions wait for data, and how many hold.
pub(super) fn print_checked(results: &[AssertionResult]) -> Result<()> {
    let pending = results.iter().filter(|result| result.state == AssertionState::Pending);
    for result in pending {
        let reason = result.reason.as_deref().unwrap_or_default();
        print_line(format_args!("assertion {:?} is pending: {reason}", result.name))?;
    }
    let passed_count = assertions::count(results, AssertionState::Passed);
    match passed_count {
        0 => Ok(()),
        1 => print_line("1 assertion holds"),
        _ => print_line(format_args!("{passed_count} assertions hold")),
    }
}
