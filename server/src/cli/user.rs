//! `perfos user`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::auth::{Role, User};
use crate::cli::output::print_line;
use crate::cli::{DataArgs, password};
use crate::config::Settings;
use crate::data_folder::{DataFolder, Missing, TenantFolder};
use crate::error::Result;

/// What is done to users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Adds a user; the password comes from --password-file, PERFOS_PASSWORD or a prompt.
    Add(AddArgs),
    /// Sets what a user's SQL sessions begin with, for example perfos.aggregates cube.
    Set(SetArgs),
    /// Lists the users.
    List(ListArgs),
}

/// A new user.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The user.
    name: String,
    /// What he may do.
    #[arg(long, value_enum)]
    role: Role,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    place: ListArgs,
}

/// A setting of a user.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The user.
    name: String,
    /// The setting, as in SQL's SET.
    setting: String,
    /// Its value.
    value: String,
    #[command(flatten)]
    place: ListArgs,
}

/// The tenant whose users are meant.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The tenant [env: PERFOS_TENANT].
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the command.
pub fn run(command: UserCommand, below: Settings) -> Result<()> {
    match command {
        UserCommand::Add(args) => add(args, below),
        UserCommand::Set(args) => set(&args, below),
        UserCommand::List(args) => {
            let (_data, tenant) = open(&args.settings().over(below))?;
            let line = |user: &User| print_line(format_args!("{} {}", user.name, user.role));
            tenant.users()?.iter().try_for_each(line)
        }
    }
}

fn add(args: AddArgs, below: Settings) -> Result<()> {
    let settings = args.place.settings().over(below);
    let (_data, tenant) = open(&settings)?;
    let password = match (&args.password_file, settings.password) {
        (Some(file), _) => password::read_file(file)?,
        (None, Some(password)) => password,
        (None, None) => password::prompt_new(&args.name)?,
    };
    let users = tenant.users()?.with(&args.name, args.role, &password)?;
    tenant.replace_users(&users)?;
    let (user, role) = (&args.name, args.role);
    print_line(format_args!("user {user} added to tenant {} as {role}", tenant.name))
}

fn set(args: &SetArgs, below: Settings) -> Result<()> {
    let (_data, tenant) = open(&args.place.settings().over(below))?;
    let users = tenant.users()?.with_setting(&args.name, &args.setting, &args.value)?;
    tenant.replace_users(&users)?;
    let SetArgs { name, setting, value, .. } = args;
    print_line(format_args!("sessions of {name} begin with {setting} = {value}"))
}

fn open(settings: &Settings) -> Result<(DataFolder, TenantFolder)> {
    let name = settings.tenant()?;
    let data = DataFolder::open(settings.data()?, Missing::Refuse)?;
    let tenant = data.open_tenant(name)?;
    Ok((data, tenant))
}

impl ListArgs {
    fn settings(&self) -> Settings {
        let (data, tenant) = (self.data.data.clone(), self.tenant.clone());
        Settings { data, tenant, ..Settings::default() }
    }
}
