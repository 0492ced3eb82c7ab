//! All tenants of a data folder, open: the directory that every door looks them up in.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use protocol::tenant::Tenant;
use ractor::{Actor, ActorRef};
use rayon::prelude::*;

use crate::auth::{User, Users, Verifier};
use crate::data_folder::{DataFolder, TenantFolder};
use crate::error::{Result, ServerError};
use crate::limits::ELSEWHERE_TENANTS_MAX;
use crate::tenant::actor::{Supervisor, SupervisorMessage};
use crate::tenant::store::Opened;
use crate::tenant::{OpenTenant, TenantOptions};
use protocol::pools::{Pool, panic_text};

/// Open tenants by name, with what keeps them to this process.
pub struct Tenants {
    open: BTreeMap<String, Arc<OpenTenant>>,
    supervisor: ActorRef<SupervisorMessage>,
    damaged_count: usize,
    /// Kept for their locks.
    folders: Vec<TenantFolder>,
    data: DataFolder,
}

/// What happens to a tenant that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damaged {
    /// It is left out, and the others are opened.
    Skip,
    /// Nothing is opened.
    Refuse,
}

/// What a tenant has on disk.
struct Read {
    folder: TenantFolder,
    users: Users,
    opened: Opened,
}

impl Tenants {
    /// Reads the ledgers of some tenants side by side and starts their actors.
    pub async fn open(
        data: DataFolder,
        names: Vec<String>,
        options: &TenantOptions,
        damaged: Damaged,
    ) -> Result<Self> {
        let supervisor = Supervisor::spawn(None, Supervisor, ()).await;
        let (supervisor, _) = supervisor.map_err(|error| internal(error.to_string()))?;
        let mut tenants =
            Self { open: BTreeMap::new(), damaged_count: 0, supervisor, folders: Vec::new(), data };
        for (name, read) in tenants.read(names).await? {
            let started = match read {
                Ok(read) => tenants.start(read, options).await,
                Err(error) => Err(error),
            };
            match (started, damaged) {
                (Ok(()), _) => tracing::info!(tenant = name, "opened"),
                (Err(error), Damaged::Refuse) => return Err(error),
                (Err(error), Damaged::Skip) => {
                    tracing::error!(tenant = name, %error, "the tenant is damaged and not served");
                    tenants.damaged_count += 1;
                }
            }
        }
        Ok(tenants)
    }

    /// Reads everything that tenants have on disk, side by side.
    async fn read(&self, names: Vec<String>) -> Result<Vec<(String, Result<Read>)>> {
        let open = |name: String| (self.data.open_tenant(&name), name);
        let folders: Vec<_> = names.into_iter().map(open).collect();
        let read = |(folder, name): (Result<TenantFolder>, String)| {
            let read = folder.and_then(|folder| {
                let opened = Opened::read(Arc::clone(&folder.device))?;
                Ok(Read { users: folder.users()?, folder, opened })
            });
            (name, read)
        };
        let reading = Pool::Background.run(move || folders.into_par_iter().map(read).collect());
        reading.await.map_err(|panic| internal(panic_text(panic)))
    }

    async fn start(&mut self, read: Read, options: &TenantOptions) -> Result<()> {
        let Read { folder, users, opened } = read;
        let (name, device) = (folder.name.clone(), Arc::clone(&folder.device));
        let tenant =
            OpenTenant::start(&self.supervisor, &name, device, users, opened, options).await?;
        self.open.insert(name, tenant);
        self.folders.push(folder);
        Ok(())
    }

    /// A file for what is on its way to a tenant.
    pub fn unnamed_file(&self) -> Result<File> {
        self.data.unnamed_file()
    }

    /// How many tenants could not be opened.
    pub fn damaged_count(&self) -> usize {
        self.damaged_count
    }

    /// The tenant of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<OpenTenant>> {
        self.open.get(name)
    }

    /// The names of all tenants.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.open.keys().map(String::as_str)
    }

    /// What a user's password is checked against: a decoy where tenant or user do not exist, so
    /// that nobody learns which names do.
    pub fn verifier(&self, tenant: &str, user: &str) -> Option<Verifier> {
        let users = self.get(tenant)?.users();
        users.find(user).map(|user| user.verifier.clone())
    }

    /// The tenant and its user, if name and password are right. Takes milliseconds, on purpose.
    pub fn authenticate(
        &self,
        tenant: &str,
        user: &str,
        password: &str,
    ) -> Option<(Arc<OpenTenant>, User)> {
        let found = self.get(tenant);
        let users = found.map_or_else(Arc::<Users>::default, |tenant| tenant.users());
        let user = users.authenticate(user, password)?.clone();
        found.map(|tenant| (Arc::clone(tenant), user))
    }

    /// Whether these are name and password of a user of another tenant. Looks at few tenants only:
    /// each costs a check of the password.
    pub fn knows_elsewhere(&self, tenant: &str, user: &str, password: &str) -> bool {
        let others = self.open.values().filter(|other| other.name() != tenant);
        let users = others.map(|other| other.users());
        let known = users.filter(|users| users.find(user).is_some());
        known.take(ELSEWHERE_TENANTS_MAX).any(|users| users.authenticate(user, password).is_some())
    }

    /// Carries out what was accepted, and closes all ledgers.
    pub async fn close(&self) {
        futures::future::join_all(self.open.values().map(|tenant| tenant.close())).await;
        self.supervisor.stop(None);
    }
}

fn internal(text: String) -> ServerError {
    protocol::error::SqlError::new("XX000", text).into()
}
