//! `perfos branch`.

use clap::{Args, Subcommand};
use protocol::compare::Comparison;

use crate::branches::{self, BranchAnswer, BranchLine, CompareRequest};
use crate::cli::PlaceArgs;
use crate::cli::comparison::{Show, print_comparison, text_table};
use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::{print, print_line};
use crate::cli::query::remote;
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::tenant::MAIN;

/// What is done to branches.
#[derive(Debug, Subcommand)]
pub enum BranchCommand {
    /// Makes a branch: everything as it is now, to be changed without anybody noticing.
    Create(CreateArgs),
    /// Lists the branches.
    List(PlaceArgs),
    /// Drops a branch with all that was written on it.
    Drop(DropArgs),
    /// Compares two branches: totals, and every cell that differs.
    Compare(CompareArgs),
}

/// A branch to be made.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name: lower-case letters, digits, `_` and `-`.
    name: String,
    /// The branch it begins with.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    from: String,
    /// Why.
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    reason: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// A text that says something.
fn filled(text: &str) -> std::result::Result<String, &'static str> {
    if text.trim().is_empty() { Err("say why the branch is made") } else { Ok(text.to_owned()) }
}

/// A branch to be dropped.
#[derive(Debug, Args)]
pub struct DropArgs {
    /// Its name.
    name: String,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Branches to be compared.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The one.
    from: String,
    /// The other.
    to: String,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What of a comparison is wanted.
#[derive(Debug, Args)]
pub struct WantedArgs {
    /// One cube only.
    #[arg(long, value_name = "NAME")]
    cube: Option<String>,
    /// One measure only.
    #[arg(long, value_name = "NAME")]
    measure: Option<String>,
    /// List cells that are farther apart than this.
    #[arg(long, value_name = "NUMBER")]
    tolerance: Option<String>,
    /// How many cells of each cube are listed [default: 100].
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How the comparison is written.
    #[arg(long, value_enum, default_value_t)]
    pub format: Show,
}

impl WantedArgs {
    /// The request.
    pub fn request(&self) -> CompareRequest {
        CompareRequest {
            cube: self.cube.clone(),
            measure: self.measure.clone(),
            tolerance: self.tolerance.clone(),
            limit: self.limit,
        }
    }
}

/// Runs the command.
pub fn run(command: BranchCommand, below: Settings) -> Result<()> {
    match command {
        BranchCommand::Create(args) => create(args, below),
        BranchCommand::List(args) => list(args, below),
        BranchCommand::Drop(args) => drop_branch(args, below),
        BranchCommand::Compare(args) => compare(args, below),
    }
}

fn create(args: CreateArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    let BranchAnswer { name, sequence } = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.create_branch(&args.name, &args.from, &args.reason)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = asking(&settings, "branch create".into());
            let asking = asking.on(&args.from).because(&args.reason);
            local.runtime.block_on(branches::create(&local.tenant, &asking, &args.name))
        })?,
    };
    print_line(format_args!("branch {name} made from {}, ledger entry {sequence}", args.from))
}

fn drop_branch(args: DropArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    let BranchAnswer { name, sequence } = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.drop_branch(&args.name, &args.reason)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = asking(&settings, "branch drop".into()).because(&args.reason);
            local.runtime.block_on(branches::drop_branch(&local.tenant, &asking, &args.name))
        })?,
    };
    print_line(format_args!("branch {name} dropped, ledger entry {sequence}"))
}

fn list(args: PlaceArgs, below: Settings) -> Result<()> {
    let settings = args.settings()?.over(below);
    let lines: Vec<BranchLine> = match settings.place()? {
        Place::Server(server) => remote(&server, &settings)?.branches()?,
        Place::Data(data) => {
            LocalTenant::with(&data, &settings, |local| Ok(branches::list(&local.tenant)))?
        }
    };
    let head = ["name", "owner", "base", "created", "head", "entries", "reason"];
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let row = |line: &BranchLine| {
        let base = line.base.as_ref().zip(line.base_sequence);
        vec![
            line.name.clone(),
            text(&line.owner),
            base.map_or_else(String::new, |(base, sequence)| format!("{base}@{sequence}")),
            text(&line.created_at),
            line.head_sequence.to_string(),
            line.entries.to_string(),
            text(&line.reason),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    print(text_table(&head, &rows, &[4, 5]))
}

fn compare(args: CompareArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    let request = args.wanted.request();
    let ends = (args.from.as_str(), args.to.as_str());
    let comparison: Comparison = match settings.place()? {
        Place::Server(server) => remote(&server, &settings)?.compare(ends, &request)?,
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let user = asking(&settings, String::new()).author;
            let comparing = branches::compare_branches(&local.tenant, &user, ends, &request);
            local.runtime.block_on(comparing)
        })?,
    };
    print_comparison(&comparison, args.wanted.format)
}
