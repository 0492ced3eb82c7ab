//! `perfos verify`.

use std::process::ExitCode;

use clap::Args;
use storage::Hash;

use crate::cli::DataArgs;
use crate::cli::output::print_line;
use crate::config::Settings;
use crate::data_folder::{DataFolder, Missing};
use crate::error::Result;
use crate::tenant::replay::{Verified, VerifiedBranch, verify};

/// What is verified.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The tenant; all of the data folder where none is named [env: PERFOS_TENANT].
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the command. The last line sums up: of one tenant the hash of its state, of several the
/// hash over the lines of all of them.
pub fn run(args: VerifyArgs, below: Settings) -> Result<ExitCode> {
    let (data, tenant) = (args.data.data, args.tenant);
    let settings = Settings { data, tenant, ..Settings::default() }.over(below);
    let data = DataFolder::open(settings.data()?, Missing::Refuse)?;
    let names = settings.tenant.map_or_else(|| data.tenant_names(), |name| Ok(vec![name]))?;
    let (mut lines, mut entry_count, mut failed_count) = (Vec::new(), 0, 0);
    let mut last_hash = Hash(cube::Version::default().state_hash().to_bytes());
    for name in &names {
        match verify_tenant(&data, name) {
            Ok(verified) => {
                entry_count += verified.entry_count;
                last_hash = verified.state_hash;
                lines.push(line(&verified));
                verified.branches.iter().try_for_each(|branch| print_branch(name, branch))?;
                if names.len() > 1 {
                    print_line(format_args!("{name}: {}", line(&verified)))?;
                }
            }
            Err(error) => {
                failed_count += 1;
                eprintln!("error: tenant {name}: {error}");
                error.hint().iter().for_each(|hint| eprintln!("hint: {hint}"));
            }
        }
    }
    if failed_count > 0 {
        print_line(format_args!("{failed_count} of {} tenants differ", names.len()))?;
        return Ok(ExitCode::FAILURE);
    }
    if names.len() > 1 {
        last_hash = Hash::of(lines.join("\n").as_bytes());
    }
    print_line(format_args!("verified {entry_count} entries, state {last_hash}"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_branch(tenant: &str, branch: &VerifiedBranch) -> Result<()> {
    let VerifiedBranch { name, entry_count, state_hash } = branch;
    print_line(format_args!("{tenant}: branch {name}, {entry_count} entries, state {state_hash}"))
}

fn line(verified: &Verified) -> String {
    format!("verified {} entries, state {}", verified.entry_count, verified.state_hash)
}

fn verify_tenant(data: &DataFolder, name: &str) -> Result<Verified> {
    let tenant = data.open_tenant(name)?;
    tenant.users()?;
    let verified = verify(tenant.device.clone())?;
    if let Some(tail) = &verified.torn_tail {
        print_line(format_args!(
            "{name}: {} ends with the remains of entry {}, which was never acknowledged",
            tail.segment, tail.sequence
        ))?;
    }
    if verified.unchecked_count > 0 {
        print_line(format_args!(
            "{name}: {} entries hold a state hash of an earlier form, which was not compared",
            verified.unchecked_count
        ))?;
    }
    Ok(verified)
}
