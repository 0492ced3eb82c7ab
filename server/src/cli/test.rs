//! `perfos test`.

use std::process::ExitCode;

use clap::Args;

use crate::assertions::{self, AssertionResult, AssertionState};
use crate::cli::PlaceArgs;
use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::print_line;
use crate::cli::query::remote;
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::tenant::MAIN;

/// Where assertions are checked.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The branch.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs the command: a line each, then how many there are of each kind.
pub fn run(args: TestArgs, below: Settings) -> Result<ExitCode> {
    let settings = args.place.settings()?.over(below);
    let results = match settings.place()? {
        Place::Server(server) => remote(&server, &settings)?.assertions(&args.branch)?,
        Place::Data(data) => {
            LocalTenant::with(&data, &settings, |local| check(local, &settings, &args.branch))?
        }
    };
    results.iter().try_for_each(print_line)?;
    let count = |state| assertions::count(&results, state);
    let failed_count = count(AssertionState::Failed);
    print_line(format_args!(
        "{} passed, {failed_count} failed, {} pending",
        count(AssertionState::Passed),
        count(AssertionState::Pending)
    ))?;
    Ok(if failed_count > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(local: &LocalTenant, settings: &Settings, branch: &str) -> Result<Vec<AssertionResult>> {
    let (branches, user) = (local.tenant.branches(), asking(settings, String::new()).author);
    let head = branches.get(branch)?;
    Ok(local.runtime.block_on(assertions::check(&local.tenant, head, &user))?)
}
