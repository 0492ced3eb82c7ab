//! Every bound of the Postgres wire, by name; each one answers with a SQLSTATE beyond it.

use std::time::Duration;

/// A row of a result as the client gets it; more is 54000.
pub const ROW_BYTES_MAX: usize = 64 << 20;

/// The bounds of one listener. [`Limits::default`] is what a server runs with.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections past the startup packet, authenticated or not; one more gets 53300.
    pub connections_max: usize,
    /// Sockets that may be open beyond `connections_max`: those still sending their startup packet,
    /// and cancel requests. When all are taken, new sockets wait in the kernel's queue.
    pub startups_max: usize,
    /// From the accepted socket to the end of authentication; then 57014 and the socket closes.
    pub authentication_timeout: Duration,
    /// A startup packet or an authentication message; more gets 54000.
    pub startup_bytes_max: usize,
    /// Any other message of a client (PostgreSQL allows 1 GiB); more gets 54000.
    pub message_bytes_max: usize,
    /// Named prepared statements of a connection; one more gets 54000.
    pub prepared_statements_max: usize,
    /// Open portals of a connection; one more gets 54000.
    pub portals_max: usize,
    /// Bytes of replies held before they are handed to the socket.
    pub output_bytes_max: usize,
    /// How long a shutdown waits for statements to end before it drops their connections.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            startups_max: 100,
            authentication_timeout: Duration::from_secs(30),
            startup_bytes_max: 10_000,
            message_bytes_max: 64 * 1024 * 1024,
            prepared_statements_max: 2_000,
            portals_max: 200,
            output_bytes_max: 64 * 1024,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
