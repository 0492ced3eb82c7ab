//! What SQL, MDX and HTTP ask of a tenant. `server` implements it with an actor and a ledger.

use std::sync::Arc;

use async_trait::async_trait;
use calc::{Plan, Recomputed};
use cube::{Change, Version, View};

use crate::error::SqlError;

/// One tenant, open for reads and commands.
#[async_trait]
pub trait Tenant: Send + Sync {
    /// Its name, which is the database's.
    fn name(&self) -> &str;

    /// What a user reads from now on, on a branch: the newest version, his rights, a memory budget.
    /// 3F000 where there is no such branch.
    fn read(&self, user: &str, branch: &str) -> Result<Snapshot, SqlError>;

    /// Computes the next version, makes the command durable, publishes, answers; or changes nothing.
    async fn submit(&self, command: Command) -> Result<Receipt, SqlError>;

    /// The newest entries of the ledger, at most `limit`, newest first.
    async fn ledger(&self, limit: usize) -> Result<Vec<LedgerEntry>, SqlError>;
}

/// A view with the formulas that belong to its version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is read.
    pub view: View,
    /// The formulas.
    pub plan: Arc<Plan>,
}

/// Something a user asks to change.
#[derive(Debug, Clone)]
pub struct Command {
    /// The user.
    pub author: String,
    /// Where the command came from: `psql`, a file's name.
    pub origin: String,
    /// The branch it is for.
    pub branch: String,
    /// What changes; all of it or nothing.
    pub changes: Vec<Change>,
    /// The version that a transaction was made on: if a leaf cell or row that the changes write has
    /// another value by now, the command is refused with 40001. None: the command runs at the head.
    pub base: Option<Arc<Version>>,
}

/// The answer to a command that is durable and published.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Its ledger sequence.
    pub sequence: u64,
    /// The formulas that ran, and for how many cells.
    pub recomputed: Recomputed,
}

/// One line of `perfos.ledger`.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// Its sequence.
    pub sequence: u64,
    /// When it was recorded, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// The branch.
    pub branch: String,
    /// Who asked for it.
    pub author: String,
    /// Where it came from.
    pub origin: String,
    /// What it did, in one line.
    pub summary: String,
    /// What was computed again: formula and cells, in one line; empty for entries before the start.
    pub recomputed: String,
}
