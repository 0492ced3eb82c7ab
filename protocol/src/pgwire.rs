//! The Postgres wire: PostgreSQL's protocol 3.0 over TCP, for psql, drivers and BI tools.
//!
//! A connection authenticates with SCRAM-SHA-256, gets a [`Session`] of its tenant from the
//! [`Directory`], and owns it: messages are taken one at a time, in order. The conversation is
//! written here rather than on the handlers of the `pgwire` crate, which panic on short messages,
//! reserve memory by a number of the client's and hold all replies of a query string back; that
//! crate gives the SCRAM exchange and the cancel keys. Nothing a client sends ends the process:
//! every length is checked, every bound is in [`limits`], and a panic ends one connection.
//!
//! ```text
//! pgwire        the listener and the traits of its surroundings
//!   startup     startup packet, authentication, the first parameters
//!   session     the conversation: simple and extended queries, portals
//!   message     what clients say         output   what the server says
//!   channel     socket and buffers       cancel   cancel requests
//!   types       oids, sizes, modifiers   encode   rows       decode  parameters
//! ```

mod cancel;
mod channel;
mod decode;
mod encode;
pub mod limits;
mod message;
mod output;
mod session;
mod startup;
mod types;
mod verifier;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::error::SqlError;
use crate::sql::session::Session;
use channel::Channel;
use limits::Limits;
use output::Severity;

pub use verifier::Verifier;

/// The version of PostgreSQL whose behaviour and catalogs clients are promised.
pub const SERVER_VERSION: &str = "15.18";

/// How long to wait after the system had no socket left for a client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who may connect, and the sessions they get: what the server gives this door.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The SCRAM-SHA-256 verifier of a user of a tenant; `None` when there is no such tenant or
    /// user. The exchange then goes on with a made-up verifier and fails as a wrong password does,
    /// so that a client cannot tell.
    async fn verifier(&self, database: &str, user: &str) -> Option<Verifier>;

    /// Opens a session of a user who has proved the password. An error ends the connection.
    async fn open(
        &self,
        database: &str,
        user: &str,
        options: &StartupOptions,
    ) -> Result<Box<dyn Session>, SqlError>;
}

/// What a client asked for in its startup packet, besides user and database.
#[derive(Debug, Clone)]
pub struct StartupOptions {
    /// The client's address.
    pub peer: SocketAddr,
    /// The program's name for itself; empty when it gave none.
    pub application_name: String,
    /// Settings for the session by their names in lower case, those of `options=-c name=value`
    /// among them; `client_encoding` and `application_name` are not.
    pub settings: BTreeMap<String, String>,
}

/// Serves clients with [`Limits::default`] until `shutdown` holds true or its sender is gone.
///
/// Statements that run then are interrupted and their connections closed with 57P01.
///
/// # Errors
/// When the listener itself is of no use; a failing connection never ends the server.
pub async fn serve(
    listener: TcpListener,
    directory: Arc<dyn Directory>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    serve_within(listener, directory, Limits::default(), shutdown).await
}

/// [`serve`] with limits of one's own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_within(
    listener: TcpListener,
    directory: Arc<dyn Directory>,
    limits: Limits,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening for PostgreSQL clients");
    let sockets = limits.connections_max.saturating_add(limits.startups_max);
    let sockets = Arc::new(Semaphore::new(sockets.min(Semaphore::MAX_PERMITS)));
    let grace = limits.shutdown_grace;
    let house = Arc::new(House {
        connections: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
        decoy_secret: pgwire::api::auth::sasl::scram::random_nonce(),
        registry: Arc::default(),
        directory,
        limits,
        shutdown: shutdown.clone(),
    });
    let mut tasks = JoinSet::new();
    loop {
        let (socket, peer, permit) = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = tasks.join_next() => continue,
            accepted = accept(&listener, &sockets) => accepted,
        };
        tasks.spawn(connection(Arc::clone(&house), socket, peer, permit));
    }
    drop(listener);
    let waited = tokio::time::timeout(grace, async { while tasks.join_next().await.is_some() {} });
    if waited.await.is_err() {
        tracing::warn!(connections = tasks.len(), "dropping connections that did not end in time");
        tasks.shutdown().await;
    }
    Ok(())
}

/// What all connections of a listener share.
struct House {
    directory: Arc<dyn Directory>,
    limits: Limits,
    connections: Arc<Semaphore>,
    registry: Arc<cancel::Registry>,
    /// Makes up verifiers of users who do not exist.
    decoy_secret: String,
    shutdown: watch::Receiver<bool>,
}

/// The next client, once there is room for one.
async fn accept(
    listener: &TcpListener,
    sockets: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so this waits and does not fail.
    let permit = Arc::clone(sockets).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => return (socket, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns when the server is to stop.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means the sender is gone, which also means to stop.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// One client from its first byte to its last; a panic ends only this.
async fn connection(
    house: Arc<House>,
    socket: TcpStream,
    peer: SocketAddr,
    _permit: Option<OwnedSemaphorePermit>,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "connection gone before it began");
        return;
    }
    let mut channel = Channel::new(socket, house.limits.output_bytes_max);
    let conversation = AssertUnwindSafe(converse(&house, &mut channel, peer)).catch_unwind();
    let end = match conversation.await {
        Ok(Ok(())) => return,
        Ok(Err(End::Io(error))) => {
            tracing::debug!(%peer, %error, "connection lost");
            return;
        }
        Ok(Err(End::Fatal(error))) => error,
        Err(_) => {
            tracing::error!(%peer, "a connection ended in a panic");
            SqlError::new("XX000", "internal error")
                .with_detail("the connection is closed; other connections go on")
                .with_hint("connect again, and report this with the server's log")
        }
    };
    tracing::info!(%peer, sqlstate = end.sqlstate, message = end.message, "connection refused or ended");
    channel.output.drop_partial();
    channel.output.error(Severity::Fatal, &end);
    // A client that does not read is not waited for.
    let _ = tokio::time::timeout(house.limits.shutdown_grace, channel.close()).await;
}

/// Why a connection ends before the client says goodbye.
enum End {
    /// The socket failed or was closed.
    Io(io::Error),
    /// The client is told why.
    Fatal(SqlError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<SqlError> for End {
    fn from(error: SqlError) -> Self {
        Self::Fatal(error)
    }
}

async fn converse(house: &House, channel: &mut Channel, peer: SocketAddr) -> Result<(), End> {
    let Some(started) = startup::start(house, channel, peer).await? else {
        return Ok(());
    };
    let (tenant, user) = (started.database, started.user);
    tracing::info!(%peer, tenant, user, "connection opened");
    let registration = house.registry.register(peer, started.session.interrupt_handle());
    startup::welcome(channel, &user, &started.options, &registration, &*started.session).await?;
    let mut conversation =
        session::Conversation::new(channel, started.session, &house.limits, house.shutdown.clone());
    let ended = conversation.run().await;
    tracing::info!(%peer, tenant, user, "connection closed");
    ended
}
