//! A tenant of a data folder that nobody serves, open in this process.

use std::sync::Arc;

use protocol::pools;
use protocol::sql::complexity::STACK_BYTES;
use tokio::runtime::{Builder, Runtime};

use crate::commands::Asking;
use crate::config::Settings;
use crate::data_folder::{DataFolder, Missing};
use crate::error::{Result, ServerError};
use crate::limits::READ_MEMORY_BYTES_DEFAULT;
use crate::tenant::{Authority, OpenTenant, TenantOptions};
use crate::tenants::{Damaged, Tenants};

/// Turns of tasks after which a thread of the server looks for what came in meanwhile.
const TURNS_A_LOOK: u32 = 4;

/// One tenant, for one command.
pub struct LocalTenant {
    /// Where its actor runs.
    pub runtime: Runtime,
    /// The tenant.
    pub tenant: Arc<OpenTenant>,
    tenants: Tenants,
}

impl LocalTenant {
    /// Opens the tenant of the settings in a data folder.
    pub fn open(data: &std::path::Path, settings: &Settings) -> Result<Self> {
        let name = settings.tenant()?;
        let data = DataFolder::open(data, Missing::Refuse)?;
        let options = TenantOptions {
            authority: Authority::FolderOwner,
            read_memory_bytes: settings.read_memory_bytes.unwrap_or(READ_MEMORY_BYTES_DEFAULT),
            ..TenantOptions::default()
        };
        let runtime = runtime()?;
        let opening = Tenants::open(data, vec![name.to_owned()], &options, Damaged::Refuse);
        let tenants = runtime.block_on(opening)?;
        let unknown = || ServerError::UnknownTenant { name: name.to_owned() };
        let tenant = Arc::clone(tenants.get(name).ok_or_else(unknown)?);
        Ok(Self { runtime, tenant, tenants })
    }

    /// Opens it for some work, and closes it whatever comes of that.
    pub fn with<T>(
        data: &std::path::Path,
        settings: &Settings,
        work: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let local = Self::open(data, settings)?;
        let done = work(&local);
        local.close();
        done
    }

    /// Closes the ledger.
    pub fn close(self) {
        self.runtime.block_on(self.tenants.close());
    }
}

/// The runtime of this process.
pub fn runtime() -> Result<Runtime> {
    pools::start_prompt();
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK_BYTES);
    // a join works for some milliseconds a turn: who cancels it must not wait for sixty of them
    builder.event_interval(TURNS_A_LOOK).global_queue_interval(TURNS_A_LOOK);
    builder.build().map_err(ServerError::io("start", "a runtime"))
}

/// Who runs an offline command: the user of the settings, or whoever is logged in.
pub fn asking(settings: &Settings, origin: String) -> Asking {
    let login = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    let author = settings.user.clone().or_else(login).unwrap_or_else(|| "offline".to_owned());
    Asking::on_main(author, origin)
}
