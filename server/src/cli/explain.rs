//! `perfos explain`.

use clap::Args;
use protocol::explain::{self, ExplainOptions, TOP_DEFAULT};
use protocol::tenant::Tenant;

use crate::cli::PlaceArgs;
use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::print;
use crate::cli::query::remote;
use crate::config::{Place, Settings};
use crate::error::Result;
use crate::explain::{ExplainFormat, render};
use crate::tenant::MAIN;

/// A cell to be explained.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The cell: cube.measure[dimension=member, ...], or cube.measure[key=value] for a row.
    /// A dimension that is not named is taken as a whole; a member is named by key or name.
    cell: String,
    /// The branch.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    /// Asked for by scripts that know it; refused by name until history is served.
    #[arg(long, value_name = "TIME", hide = true)]
    as_of: Option<String>,
    /// Contributors shown of each value, the largest first.
    #[arg(long, value_name = "N", default_value_t = TOP_DEFAULT)]
    top: usize,
    /// Which page of the contributors of the cell itself, from 1.
    #[arg(long, value_name = "N", default_value_t = 1)]
    page: usize,
    /// Writes shown of each input, the newest first.
    #[arg(long, value_name = "N", default_value_t = 1)]
    writes: usize,
    /// How the explanation is written.
    #[arg(long, value_enum, default_value_t)]
    format: ExplainFormat,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs the command.
pub fn run(args: ExplainArgs, below: Settings) -> Result<()> {
    if args.as_of.is_some() {
        return Err(explain::no_history().into());
    }
    let options = ExplainOptions { top: args.top, page: args.page, writes: args.writes };
    let settings = args.place.settings()?.over(below);
    match settings.place()? {
        Place::Server(server) => {
            let remote = remote(&server, &settings)?;
            print(remote.explain(&args.cell, &args.branch, options, args.format)?)
        }
        Place::Data(data) => {
            let explained = LocalTenant::with(&data, &settings, |local| {
                let user = asking(&settings, String::new()).author;
                let snapshot = local.tenant.read(&user)?.snapshot(&args.branch)?;
                let tenant = local.tenant.as_ref();
                let explaining = explain::explain(tenant, &snapshot, &args.cell, options);
                Ok(local.runtime.block_on(explaining)?)
            });
            print(render(&explained?, args.format))
        }
    }
}
