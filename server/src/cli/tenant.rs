//! `perfos tenant`.

use clap::{Args, Subcommand};

use crate::cli::DataArgs;
use crate::cli::output::print_line;
use crate::config::Settings;
use crate::data_folder::{DataFolder, Missing};
use crate::error::{Result, ServerError};

/// What is done to tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Makes a tenant, and the data folder if it is missing.
    Create(TenantArgs),
    /// Lists the tenants.
    List(DataArgs),
    /// Removes a tenant with all that it has.
    Drop(DropArgs),
}

/// One tenant.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// The tenant: lower-case letters, digits and underscores.
    name: String,
    #[command(flatten)]
    data: DataArgs,
}

/// A tenant to be removed.
#[derive(Debug, Args)]
pub struct DropArgs {
    #[command(flatten)]
    tenant: TenantArgs,
    /// Yes, remove it.
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub fn run(command: TenantCommand, below: Settings) -> Result<()> {
    match command {
        TenantCommand::Create(args) => {
            let settings = args.data.settings().over(below);
            let data = DataFolder::open(settings.data()?, Missing::Create)?;
            data.create_tenant(&args.name)?;
            print_line(format_args!("tenant {} created", args.name))
        }
        TenantCommand::List(args) => {
            let settings = args.settings().over(below);
            let data = DataFolder::open(settings.data()?, Missing::Refuse)?;
            data.tenant_names()?.iter().try_for_each(print_line)
        }
        TenantCommand::Drop(args) => {
            let settings = args.tenant.data.settings().over(below);
            let name = &args.tenant.name;
            if !args.yes {
                return Err(ServerError::Config(format!(
                    "this removes tenant {name} for ever, with its ledger; say --yes to do it"
                )));
            }
            DataFolder::open(settings.data()?, Missing::Refuse)?.drop_tenant(name)?;
            print_line(format_args!("tenant {name} dropped"))
        }
    }
}
