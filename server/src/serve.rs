//! Serving a data folder: opening its tenants, the sockets, and shutting down in order.
//!
//! Invariant: what was acknowledged is durable before the process ends, and nothing is accepted
//! once it began to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::data_folder::{DataFolder, Missing};
use crate::error::{Result, ServerError};
use crate::http::{self, HttpState};
use crate::limits::SHUTDOWN_WAIT;
use crate::postgres;
use crate::tenant::{Authority, TenantOptions};
use crate::tenants::{Damaged, Tenants};

/// Where the Postgres wire is served, unless configured.
pub const POSTGRES_DEFAULT: &str = "127.0.0.1:5433";
/// Where HTTP is served, unless configured.
pub const HTTP_DEFAULT: &str = "127.0.0.1:8080";

/// What is served where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The data folder; made if it is missing.
    pub data: PathBuf,
    /// Address of the Postgres wire; port 0 takes a free one.
    pub postgres: String,
    /// Address of HTTP; port 0 takes a free one.
    pub http: String,
    /// Memory that the reads of one tenant share.
    pub read_memory_bytes: u64,
}

/// The addresses that answer.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Of the Postgres wire.
    pub postgres: SocketAddr,
    /// Of HTTP.
    pub http: SocketAddr,
}

/// Serves until a signal says stop. `announce` runs once everything answers.
pub async fn serve(options: ServeOptions, announce: impl FnOnce(Addresses)) -> Result<()> {
    let mut stop = pin!(stop_signal()?);
    let data = DataFolder::open(&options.data, Missing::Refuse)?;
    let sockets = Sockets::bind(&options).await?;
    let addresses = sockets.addresses()?;
    let tenant_options = TenantOptions {
        authority: Authority::Users,
        read_memory_bytes: options.read_memory_bytes,
        ..TenantOptions::default()
    };
    let names = data.tenant_names()?;
    let tenants = tokio::select! {
        tenants = Tenants::open(data, names, &tenant_options, Damaged::Skip) => Arc::new(tenants?),
        // Nothing was accepted yet, so nothing has to be finished.
        () = &mut stop => return Ok(()),
    };
    let running = Running::start(sockets, &tenants)?;
    announce(addresses);
    stop.await;
    tracing::info!("stopping");
    running.stop().await;
    tenants.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The sockets, before anything is served on them.
struct Sockets {
    postgres: tokio::net::TcpListener,
    http: std::net::TcpListener,
}

impl Sockets {
    async fn bind(options: &ServeOptions) -> Result<Self> {
        let failed = |address: &String| ServerError::io("listen on", address.clone());
        let postgres = tokio::net::TcpListener::bind(&options.postgres).await;
        let postgres = postgres.map_err(failed(&options.postgres))?;
        let http = std::net::TcpListener::bind(&options.http);
        Ok(Self { postgres, http: http.map_err(failed(&options.http))? })
    }

    fn addresses(&self) -> Result<Addresses> {
        let failed = || ServerError::io("look at", "a socket");
        Ok(Addresses {
            postgres: self.postgres.local_addr().map_err(failed())?,
            http: self.http.local_addr().map_err(failed())?,
        })
    }
}

/// What is being served.
struct Running {
    state: Arc<HttpState>,
    http_handle: ServerHandle,
    http: JoinHandle<std::io::Result<()>>,
    postgres: JoinHandle<std::io::Result<()>>,
    stopping: watch::Sender<bool>,
}

impl Running {
    fn start(sockets: Sockets, tenants: &Arc<Tenants>) -> Result<Self> {
        let (stopping, stopped) = watch::channel(false);
        let state = Arc::new(HttpState {
            tenants: Arc::clone(tenants),
            runtime: tokio::runtime::Handle::current(),
            stopping: AtomicBool::new(false),
        });
        let http = http::serve(sockets.http, Arc::clone(&state))?;
        let postgres = postgres::serve(sockets.postgres, Arc::clone(tenants), stopped);
        Ok(Self {
            state,
            http_handle: http.handle(),
            http: tokio::spawn(http),
            postgres: tokio::spawn(postgres),
            stopping,
        })
    }

    /// Accepts nothing more and waits for what is being answered.
    async fn stop(self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        // The receiver is in the task, or the task has ended already.
        let _ = self.stopping.send(true);
        self.http_handle.stop(true).await;
        match tokio::time::timeout(SHUTDOWN_WAIT, self.postgres).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!(%error, "the Postgres wire failed"),
            Ok(Err(error)) => tracing::error!(%error, "the Postgres wire failed"),
            Err(_) => tracing::warn!("sessions were still open when the server stopped"),
        }
        if let Ok(Err(error)) = self.http.await {
            tracing::error!(%error, "HTTP failed");
        }
    }
}

/// The lines that scripts wait for.
pub fn print_ready(addresses: Addresses) {
    let mut output = std::io::stdout().lock();
    let lines = format!("postgres {}\nhttp {}\nready\n", addresses.postgres, addresses.http);
    // Nobody may be reading; that is no reason not to serve.
    let _ = output.write_all(lines.as_bytes()).and_then(|()| output.flush());
}

fn stop_signal() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).map_err(ServerError::io("listen for", "signals"));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
