//! `perfos query`.

use std::sync::Arc;

use clap::Args;

use crate::cli::local::{LocalTenant, asking};
use crate::cli::output::print;
use crate::cli::{PlaceArgs, password};
use crate::client::RemoteTenant;
use crate::config::{Place, Settings};
use crate::error::{Result, ServerError};
use crate::postgres::session;
use crate::query::{self, QueryResult};
use crate::render::{Format, render};
use crate::tenant::MAIN;

/// A query.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The query's text.
    text: String,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The branch of tables without a schema.
    #[arg(long, value_name = "NAME", default_value = MAIN)]
    branch: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs the command.
pub fn run(args: QueryArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings()?.over(below);
    match settings.place()? {
        Place::Server(server) => {
            print(remote(&server, &settings)?.query(&args.text, &args.branch, args.format)?)
        }
        Place::Data(data) => {
            let local = LocalTenant::open(&data, &settings)?;
            let results = run_local(&local, &settings, &args.text, &args.branch);
            local.close();
            results?.iter().try_for_each(|result| print(render(result, args.format)?))
        }
    }
}

fn run_local(
    local: &LocalTenant,
    settings: &Settings,
    text: &str,
    branch: &str,
) -> Result<Vec<QueryResult>> {
    let user = asking(settings, String::new()).author;
    let mut session = session(Arc::clone(&local.tenant), &user, "perfos query")?;
    if branch != MAIN {
        session.set("search_path", branch)?;
    }
    Ok(local.runtime.block_on(query::run(&mut session, text))?)
}

/// The tenant of the settings on a running server.
pub fn remote(server: &str, settings: &Settings) -> Result<RemoteTenant> {
    let tenant = settings.tenant()?;
    let user = settings
        .user
        .clone()
        .ok_or_else(|| ServerError::Config("say which user: --user NAME or PERFOS_USER".into()))?;
    let password = match &settings.password {
        Some(password) => password.clone(),
        None => password::prompt(&format!("Password for {user}: "))?,
    };
    RemoteTenant::new(server, tenant, user, password)
}
