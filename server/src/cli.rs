//! The command line: `perfos` and its sub-commands.
//!
//! A command acts on a data folder that nobody serves, or through a running server. Errors go to
//! standard error with detail and hint, and end the process with 1; wrong usage with 2.

pub mod branch;
pub mod comparison;
pub mod demo;
pub mod explain;
pub mod load_bar;
pub mod local;
pub mod model;
pub mod output;
pub mod password;
pub mod query;
pub mod rule;
pub mod tenant;
pub mod test;
pub mod user;
pub mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Settings;
use crate::error::Result;
use crate::limits::READ_MEMORY_BYTES_DEFAULT;
use crate::observe::{self, LogFormat};
use crate::serve::{self, HTTP_DEFAULT, POSTGRES_DEFAULT, ServeOptions};

/// Performance OS: an in-memory cube server for planning, with a ledger.
#[derive(Debug, Parser)]
#[command(name = "perfos", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// Settings; `perfos.toml` in this folder where there is one.
    #[arg(long, global = true, value_name = "FILE", env = "PERFOS_CONFIG")]
    config: Option<PathBuf>,
    /// How the lines of the log look.
    #[arg(long, global = true, value_enum, default_value_t, env = "PERFOS_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a sample company and serves it.
    Demo(demo::DemoArgs),
    /// Serves every tenant of a data folder.
    Serve(ServeArgs),
    /// Makes, lists and removes tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Adds and lists users of a tenant.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Applies a model folder, in one ledger entry.
    Apply(model::ApplyArgs),
    /// Loads members, cells or rows from files.
    Load(model::LoadArgs),
    /// Runs a query.
    Query(query::QueryArgs),
    /// Makes, lists, compares and drops branches.
    #[command(subcommand)]
    Branch(branch::BranchCommand),
    /// Lists, sets, removes, puts back and tries formulas.
    #[command(subcommand)]
    Rule(rule::RuleCommand),
    /// Shows what a cell is made of, down to who wrote it.
    Explain(explain::ExplainArgs),
    /// Checks the model's assertions on what the tenant holds.
    Test(test::TestArgs),
    /// Checks every ledger entry, replays them and compares the state.
    Verify(verify::VerifyArgs),
}

/// The data folder of a command that works on one only.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// The data folder [env: PERFOS_DATA].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Where a command acts, and as whom.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// A data folder that nobody serves [env: PERFOS_DATA].
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,
    /// A running server, as http://HOST:PORT [env: PERFOS_SERVER].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The tenant [env: PERFOS_TENANT].
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The user of a running server [env: PERFOS_USER; his password: PERFOS_PASSWORD].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file with the user's password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Addresses and limits of a server.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// Where the Postgres wire is served; port 0 takes a free one [env: PERFOS_POSTGRES]
    /// [default: 127.0.0.1:5433].
    #[arg(long, value_name = "ADDR")]
    postgres: Option<String>,
    /// Where HTTP is served; port 0 takes a free one [env: PERFOS_HTTP] [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Memory that all reads of one tenant share [env: PERFOS_READ_MEMORY_BYTES] [default: 1 GiB].
    #[arg(long, value_name = "BYTES")]
    read_memory_bytes: Option<u64>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    listen: ListenArgs,
}

impl DataArgs {
    fn settings(self) -> Settings {
        Settings { data: self.data, ..Settings::default() }
    }
}

impl PlaceArgs {
    fn settings(self) -> Result<Settings> {
        let password = self.password_file.as_deref().map(password::read_file).transpose()?;
        Ok(Settings {
            data: self.data,
            server: self.server,
            tenant: self.tenant,
            user: self.user,
            password,
            ..Settings::default()
        })
    }
}

impl ListenArgs {
    fn settings(self) -> Settings {
        Settings {
            postgres: self.postgres,
            http: self.http,
            read_memory_bytes: self.read_memory_bytes,
            ..Settings::default()
        }
    }
}

impl ServeOptions {
    /// How a data folder is served under some settings.
    pub fn from_settings(settings: &Settings, data: PathBuf) -> Self {
        let or =
            |value: &Option<String>, default: &str| value.clone().unwrap_or(default.to_owned());
        Self {
            data,
            postgres: or(&settings.postgres, POSTGRES_DEFAULT),
            http: or(&settings.http, HTTP_DEFAULT),
            read_memory_bytes: settings.read_memory_bytes.unwrap_or(READ_MEMORY_BYTES_DEFAULT),
        }
    }
}

/// Runs the command line and says how the process ends.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too. Nobody may be reading.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            let text = error.to_string();
            // problems of files say so themselves, each of them
            let prefix = if text.starts_with("error: ") { "" } else { "error: " };
            eprintln!("{prefix}{text}");
            error.detail().iter().for_each(|detail| eprintln!("detail: {detail}"));
            error.hint().iter().for_each(|hint| eprintln!("hint: {hint}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let level = match cli.command {
        Command::Serve(_) | Command::Demo(_) => "info,actix_server=warn",
        _ => "warn",
    };
    observe::start(cli.log_format, level);
    let environment = Settings::from_environment(|name| std::env::var(name).ok())?;
    let below = environment.over(Settings::from_file(cli.config.as_deref())?);
    match cli.command {
        Command::Demo(args) => demo::run(args, below),
        Command::Serve(args) => run_serve(args, below),
        Command::Tenant(command) => tenant::run(command, below),
        Command::User(command) => user::run(command, below),
        Command::Apply(args) => model::apply(args, below),
        Command::Load(args) => model::load(args, below),
        Command::Query(args) => query::run(args, below),
        Command::Branch(command) => branch::run(command, below),
        Command::Rule(command) => rule::run(command, below),
        Command::Explain(args) => explain::run(args, below),
        Command::Test(args) => return test::run(args, below),
        Command::Verify(args) => return verify::run(args, below),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn run_serve(args: ServeArgs, below: Settings) -> Result<()> {
    let listen = args.listen.settings();
    let settings = Settings { data: args.data.data, ..listen }.over(below);
    let options = ServeOptions::from_settings(&settings, settings.data()?.to_owned());
    local::runtime()?.block_on(serve::serve(options, serve::print_ready))
}
