//! `perfos demo`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::auth::{Role, random_bytes};
use crate::cli::local::{LocalTenant, runtime};
use crate::cli::output::print;
use crate::cli::{DataArgs, ListenArgs};
use crate::commands::{self, ApplyMode, Asking};
use crate::config::Settings;
use crate::data_folder::{DataFolder, Missing};
use crate::demo;
use crate::error::Result;
use crate::serve::{self, Addresses, ServeOptions};

/// Tenant and user of the demo.
const DEMO: &str = "demo";
/// The data folder, unless configured.
const DATA_DEFAULT: &str = "perfos-demo";

/// How the demo is served.
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    listen: ListenArgs,
}

/// Runs the command.
pub fn run(args: DemoArgs, below: Settings) -> Result<()> {
    let settings = Settings { data: args.data.data, ..args.listen.settings() }.over(below);
    let data = settings.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
    // The password of the last time is not kept, so every start gives a new one.
    let password: String = random_bytes::<10>().iter().map(|byte| format!("{byte:02x}")).collect();
    prepare(&data, &settings, &password)?;
    let options = ServeOptions::from_settings(&settings, data.clone());
    let announce = |addresses| announce(addresses, &data, &password);
    runtime()?.block_on(serve::serve(options, announce))
}

/// Makes the tenant where it is missing, fills it where it is empty, and sets the password.
fn prepare(data: &Path, settings: &Settings, password: &str) -> Result<()> {
    {
        let folder = DataFolder::open(data, Missing::Create)?;
        if !folder.tenant_names()?.iter().any(|name| name == DEMO) {
            folder.create_tenant(DEMO)?;
        }
        let tenant = folder.open_tenant(DEMO)?;
        let users = tenant.users()?.without(DEMO).with(DEMO, Role::Administrator, password)?;
        tenant.replace_users(&users)?;
    }
    let settings = Settings { tenant: Some(DEMO.to_owned()), ..settings.clone() };
    let local = LocalTenant::open(data, &settings)?;
    let filled = if local.tenant.head().sequence == 0 { fill(&local) } else { Ok(()) };
    local.close();
    filled
}

fn fill(local: &LocalTenant) -> Result<()> {
    let asking = Asking::on_main(DEMO, "demo");
    local.runtime.block_on(async {
        commands::apply(&local.tenant, &asking, demo::model_files(), ApplyMode::Apply).await?;
        commands::change(&local.tenant, &asking, demo::changes).await
    })
}

fn announce(addresses: Addresses, data: &Path, password: &str) {
    let Addresses { postgres, http } = addresses;
    let (host, port) = (postgres.ip(), postgres.port());
    // Nobody may be reading; that is no reason not to serve.
    let _ = print(format_args!(
        "The sample company is served; stop with Ctrl-C.\n\n  \
         psql \"postgresql://{DEMO}:{password}@{host}:{port}/{DEMO}\"\n  \
         curl -u {DEMO}:{password} http://{http}/api/v1/tenants/{DEMO}/query \
         -H 'Content-Type: application/json' -d '{{\"query\": \"SELECT count(*) FROM deals\"}}'\n\n\
         Its data is in {} and keeps your changes; delete the folder to begin again.\n\
         The password is new at each start.\n\n",
        data.display()
    ));
    serve::print_ready(addresses);
}
