//! The Postgres wire's view of the server: who may connect, and the session he gets.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use protocol::error::SqlError;
use protocol::pgwire::{self, Directory, StartupOptions, Verifier};
use protocol::sql::local::{LocalSession, SessionOptions};
use protocol::sql::session::Session;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::tenant::OpenTenant;
use crate::tenants::Tenants;
use crate::timestamp::now_us;

/// When this process began to serve.
static STARTED_US: LazyLock<i64> = LazyLock::new(now_us);

/// Serves until `stop` holds true.
pub async fn serve(
    listener: TcpListener,
    tenants: Arc<Tenants>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    LazyLock::force(&STARTED_US);
    pgwire::serve(listener, Arc::new(Doorkeeper { tenants }), stop).await
}

/// A session of an authenticated user; `origin` is what the ledger says of its writes.
pub fn session(
    tenant: Arc<OpenTenant>,
    user: &str,
    origin: &str,
) -> Result<LocalSession, SqlError> {
    let options = SessionOptions {
        user: user.to_owned(),
        origin: origin.to_owned(),
        backend_pid: i32::try_from(std::process::id()).unwrap_or(0),
        server_started_us: *STARTED_US,
    };
    let users = tenant.users();
    let mut session = LocalSession::new(tenant, options)?;
    let settings = users.find(user).map(|user| user.settings.clone()).unwrap_or_default();
    settings.iter().try_for_each(|(name, value)| session.set(name, value))?;
    Ok(session)
}

struct Doorkeeper {
    tenants: Arc<Tenants>,
}

#[async_trait]
impl Directory for Doorkeeper {
    async fn verifier(&self, database: &str, user: &str) -> Option<Verifier> {
        self.tenants.verifier(database, user)
    }

    async fn open(
        &self,
        database: &str,
        user: &str,
        options: &StartupOptions,
    ) -> Result<Box<dyn Session>, SqlError> {
        let tenant = self.tenants.get(database).ok_or_else(|| {
            SqlError::new("3D000", format!("database \"{database}\" does not exist"))
        })?;
        let origin = match options.application_name.as_str() {
            "" => "postgres",
            name => name,
        };
        let mut session = session(Arc::clone(tenant), user, origin)?;
        for (name, value) in &options.settings {
            session.set(name, value)?;
        }
        if !options.application_name.is_empty() {
            session.set("application_name", &options.application_name)?;
        }
        Ok(Box::new(session))
    }
}
