//! Which connection a cancel request means: process ids and secrets of open connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pgwire::api::{ClientInfo, DefaultClient, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use pgwire::messages::ProtocolVersion;
use pgwire::messages::startup::SecretKey;

/// Stops what a session is running.
pub(super) type Interrupt = Arc<dyn Fn() + Send + Sync>;

/// All connections of a listener that can be interrupted.
#[derive(Default)]
pub(super) struct Registry {
    keys: RandomPidSecretKeyGenerator,
    entries: Mutex<HashMap<i32, (Bytes, Interrupt)>>,
}

/// A connection's place in the registry, given up when dropped.
pub(super) struct Registration {
    registry: Arc<Registry>,
    /// The process id the client is told.
    pub(super) pid: i32,
    /// The secret the client is told.
    pub(super) secret: Bytes,
}

impl Registry {
    /// Enters a connection under a new process id and a random secret.
    pub(super) fn register(
        self: &Arc<Self>,
        peer: SocketAddr,
        interrupt: Interrupt,
    ) -> Registration {
        let mut client = DefaultClient::<()>::new(peer, false);
        client.set_protocol_version(ProtocolVersion::PROTOCOL3_0);
        let (pid, secret) = self.keys.generate(&client);
        let secret = SecretKey::to_bytes(&secret);
        self.lock().insert(pid, (secret.clone(), interrupt));
        Registration { registry: Arc::clone(self), pid, secret }
    }

    /// Interrupts the connection of this process id if the secret is its own.
    pub(super) fn cancel(&self, pid: i32, secret: &[u8]) {
        let interrupt = match self.lock().get(&pid) {
            Some((own, interrupt)) if own == secret => Arc::clone(interrupt),
            _ => return,
        };
        interrupt();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, (Bytes, Interrupt)>> {
        // The map is whole at every step, so a panic elsewhere does not spoil it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.pid);
    }
}
