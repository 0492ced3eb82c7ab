//! `perfos rule`.

use clap::{Args, Subcommand};

use crate::cli::PlaceArgs;
use crate::cli::branch::WantedArgs;
use crate::cli::comparison::{Show, print_comparison, text_table};
use crate::cli::local::{LocalTenant, asking};
use crate::cli::model::{print_checked, print_missing};
use crate::cli::output::{print, print_line};
use crate::cli::query::remote;
use crate::commands::Asking;
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::rules::{self, Candidate, RuleAnswer, RuleComparison, RuleLine};
use crate::tenant::MAIN;

/// What is done to formulas.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Lists every version of every formula, or of one.
    List(ListArgs),
    /// Puts a formula in force: a new version.
    Set(SetArgs),
    /// Takes a formula away: its measure is an input then.
    Remove(RemoveArgs),
    /// Puts an earlier version in force.
    Rollback(RollbackArgs),
    /// Shows what a formula would change, and changes nothing.
    #[command(disable_version_flag = true)]
    Compare(CompareArgs),
}

/// The branch of a formula.
#[derive(Debug, Args)]
pub struct BranchArgs {
    /// The branch.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Formulas to be listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One formula: CUBE.MEASURE.
    target: Option<String>,
    #[command(flatten)]
    on: BranchArgs,
}

/// A formula to be set.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// What it computes: CUBE.MEASURE.
    target: String,
    /// The formula.
    #[arg(long, value_name = "FORMULA", allow_hyphen_values = true)]
    text: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    on: BranchArgs,
}

/// A formula to be taken away.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// What it computes: CUBE.MEASURE.
    target: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    on: BranchArgs,
}

/// A formula to be put back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// What it computes: CUBE.MEASURE.
    target: String,
    /// The version; the newest that says something else, unless it is named.
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    on: BranchArgs,
}

/// A formula to be tried.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What it computes: CUBE.MEASURE.
    target: String,
    /// The formula.
    #[arg(
        long,
        value_name = "FORMULA",
        required_unless_present = "rule_version",
        allow_hyphen_values = true
    )]
    text: Option<String>,
    /// A version there was, in place of a text.
    #[arg(id = "rule_version", long = "version", value_name = "N", conflicts_with = "text")]
    version: Option<u32>,
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    on: BranchArgs,
}

/// Runs the command.
pub fn run(command: RuleCommand, below: Settings) -> Result<()> {
    match command {
        RuleCommand::List(args) => list(args, below),
        RuleCommand::Set(args) => set(args, below),
        RuleCommand::Remove(args) => remove(args, below),
        RuleCommand::Rollback(args) => roll_back(args, below),
        RuleCommand::Compare(args) => compare(args, below),
    }
}

fn list(args: ListArgs, below: Settings) -> Result<()> {
    let settings = args.on.place.settings()?.over(below);
    let (branch, target) = (&args.on.branch, args.target.as_deref());
    let lines: Vec<RuleLine> = match settings.place()? {
        Place::Server(server) => remote(&server, &settings)?.rules(branch, target)?,
        Place::Data(data) => {
            LocalTenant::with(&data, &settings, |local| rules::list(&local.tenant, branch, target))?
        }
    };
    let row = |line: &RuleLine| {
        vec![
            line.target.clone(),
            line.version.to_string(),
            if line.active { "active" } else { "" }.to_owned(),
            line.time.clone(),
            line.author.clone(),
            line.sequence.to_string(),
            line.text.clone().unwrap_or_else(|| "(removed)".to_owned()),
            line.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let head = ["target", "version", "", "time", "author", "entry", "text", "reason"];
    print(text_table(&head, &rows, &[1, 5]))
}

fn set(args: SetArgs, below: Settings) -> Result<()> {
    let settings = args.on.place.settings()?.over(below);
    let (branch, reason) = (&args.on.branch, &args.reason);
    let answer = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.set_rule(&args.target, &args.text, branch, reason)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = rule_asking(&settings, "rule set", branch, reason);
            let setting = rules::set(&local.tenant, &asking, &args.target, &args.text);
            local.runtime.block_on(setting)
        })?,
    };
    print_answer(&answer)
}

fn remove(args: RemoveArgs, below: Settings) -> Result<()> {
    let settings = args.on.place.settings()?.over(below);
    let (branch, reason) = (&args.on.branch, &args.reason);
    let answer = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.remove_rule(&args.target, branch, reason)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = rule_asking(&settings, "rule remove", branch, reason);
            let removing = rules::remove(&local.tenant, &asking, &args.target);
            local.runtime.block_on(removing)
        })?,
    };
    let RuleAnswer { target, version, sequence, .. } = &answer;
    match sequence {
        None => print_line(format_args!("{target}: version {version} has no formula already"))?,
        Some(sequence) => print_line(format_args!(
            "{target}: version {version} has no formula, ledger entry {sequence}"
        ))?,
    }
    print_consequences(&answer)
}

fn roll_back(args: RollbackArgs, below: Settings) -> Result<()> {
    let settings = args.on.place.settings()?.over(below);
    let (branch, reason) = (&args.on.branch, &args.reason);
    let answer = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.roll_back_rule(&args.target, args.to, branch, reason)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = rule_asking(&settings, "rule rollback", branch, reason);
            let going = rules::roll_back(&local.tenant, &asking, &args.target, args.to);
            local.runtime.block_on(going)
        })?,
    };
    print_answer(&answer)
}

fn compare(args: CompareArgs, below: Settings) -> Result<()> {
    let settings = args.on.place.settings()?.over(below);
    let request = args.wanted.request();
    let candidate: Candidate = rules::candidate(args.text, args.version)?;
    let branch = &args.on.branch;
    let RuleComparison { comparison, missing_members } = match settings.place()? {
        Place::Server(server) => {
            remote(&server, &settings)?.compare_rule(&args.target, &candidate, branch, &request)?
        }
        Place::Data(data) => LocalTenant::with(&data, &settings, |local| {
            let asking = rule_asking(&settings, "rule compare", branch, "");
            let tenant = &local.tenant;
            let trying = rules::compare_with(tenant, &asking, &args.target, candidate, &request);
            local.runtime.block_on(trying)
        })?,
    };
    if args.wanted.format == Show::Json {
        return print_line(serde_json::json!(RuleComparison { comparison, missing_members }));
    }
    print_comparison(&comparison, args.wanted.format)?;
    print_missing(&missing_members)
}

fn rule_asking(settings: &Settings, origin: &str, branch: &str, reason: &str) -> Asking {
    asking(settings, origin.to_owned()).on(branch).because(reason)
}

fn print_answer(answer: &RuleAnswer) -> Result<()> {
    let RuleAnswer { target, version, of_version, sequence, .. } = answer;
    let of = of_version.map_or_else(String::new, |of| format!(", the formula of version {of}"));
    match sequence {
        None => print_line(format_args!("{target}: version {version} is in force already"))?,
        Some(sequence) => print_line(format_args!(
            "{target}: version {version} is in force{of}, ledger entry {sequence}"
        ))?,
    }
    print_consequences(answer)
}

fn print_consequences(answer: &RuleAnswer) -> Result<()> {
    answer.recomputed.iter().try_for_each(|(formula, cells)| {
        print_line(format_args!("evaluated {formula} in {cells} cells"))
    })?;
    print_checked(&answer.assertions)?;
    print_missing(&answer.missing_members)
}
