//! `perfos apply` and `perfos load`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::PlaceArgs;
use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::{print, print_line};
use crate::cli::query::remote;
use crate::commands::{self, ApplyMode, ApplyReport, LoadAnswer};
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::load::{self, LoadRequest, Target};
use crate::model_files;
use crate::tenant::{MAIN, check_branch};

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
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs `perfos apply`.
pub fn apply(args: ApplyArgs, below: Settings) -> Result<()> {
    check_branch(&args.branch)?;
    let settings = args.place.settings()?.over(below);
    let mode = if args.plan { ApplyMode::Plan } else { ApplyMode::Apply };
    let files = model_files::read_folder(&args.model)?;
    let report = match settings.place()? {
        Place::Server(server) => remote(&server, &settings)?.apply(&files, mode)?,
        Place::Data(data) => {
            let local = LocalTenant::open(&data, &settings)?;
            let asking = asking(&settings, format!("apply {}", args.model.display()));
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
    check_branch(&args.branch)?;
    let settings = args.place.settings()?.over(below);
    let target = |cube: &Option<String>, dimension: &Option<String>| match (cube, dimension) {
        (Some(cube), _) => Target::Cube(cube.clone()),
        (None, name) => Target::Dimension(name.clone().unwrap_or_default()),
    };
    let request = |file: &PathBuf| -> Result<LoadRequest> {
        let target = target(&args.cube, &args.dimension);
        Ok(load::read_request(file, target, args.map.as_deref())?)
    };
    match settings.place()? {
        Place::Server(server) => {
            let remote = remote(&server, &settings)?;
            for file in &args.files {
                print_loaded(&remote.load(&request(file)?)?)?;
            }
            Ok(())
        }
        Place::Data(data) => {
            let local = LocalTenant::open(&data, &settings)?;
            let loaded = args.files.iter().try_for_each(|file| {
                let asking = asking(&settings, format!("load {}", file.display()));
                let loading = commands::load(&local.tenant, &asking, request(file)?);
                print_loaded(&local.runtime.block_on(loading)?)
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
        print_line(format_args!("computed {formula} for {cells} cells"))
    })
}
