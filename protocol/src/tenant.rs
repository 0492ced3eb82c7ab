//! What SQL, MDX and HTTP ask of a tenant. `server` implements it with an actor and a ledger.

use std::sync::Arc;

use async_trait::async_trait;
use calc::{Plan, Recomputed};
use cube::{Change, Version, View};

use crate::branches::{Branches, Lineage, ReadPoint};
use crate::error::SqlError;
use crate::provenance::{ProvenanceRequest, WriteRecord};

/// One tenant, open for reads and commands.
#[async_trait]
pub trait Tenant: Send + Sync {
    /// Its name, which is the database's.
    fn name(&self) -> &str;

    /// What a user reads from now on: the newest versions of all branches, his rights, a memory
    /// budget.
    fn read(&self, user: &str) -> Result<ReadPoint, SqlError>;

    /// Computes the next version, makes the command durable, publishes, answers; or changes nothing.
    async fn submit(&self, command: Command) -> Result<Receipt, SqlError>;

    /// Makes a branch from another one's head: 3F000 where that is missing, 42P06 where the name is
    /// taken.
    async fn create_branch(&self, branch: NewBranch) -> Result<Receipt, SqlError>;

    /// Drops a branch with all that was written on it; 3F000 where there is none.
    async fn drop_branch(&self, branch: OldBranch) -> Result<Receipt, SqlError>;

    /// The newest entries of the ledger, at most `limit`, newest first.
    async fn ledger(&self, limit: usize) -> Result<Vec<LedgerEntry>, SqlError>;

    /// The newest writes of each thing that is asked about, newest first; none where the tenant has
    /// no ledger to look into.
    async fn provenance(
        &self,
        request: ProvenanceRequest,
    ) -> Result<Vec<Vec<WriteRecord>>, SqlError> {
        Ok(vec![Vec::new(); request.asked.len()])
    }
}

/// A view with the formulas that belong to its version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is read.
    pub view: View,
    /// The formulas.
    pub plan: Arc<Plan>,
    /// The ledger entries that led to it.
    pub lineage: Lineage,
    /// All branches at that moment.
    pub branches: Arc<Branches>,
}

impl Snapshot {
    /// Whether a plan that was made on another state is right for this one: rows apart, they are the
    /// same.
    pub fn is_alike(&self, other: &Self) -> bool {
        self.view.version.has_members_of(&other.view.version)
            && Arc::ptr_eq(&self.plan, &other.plan)
            && self.view.rights == other.view.rights
            && self.view.uses_aggregates == other.view.uses_aggregates
    }

    /// The same without rows, to keep a plan by.
    pub fn without_rows(&self) -> Self {
        let version = Arc::new(self.view.version.without_rows());
        Self {
            view: View { version, ..self.view.clone() },
            plan: Arc::clone(&self.plan),
            lineage: Lineage::default(),
            branches: Arc::default(),
        }
    }
}

/// Something a user asks to change.
#[derive(Debug, Clone)]
pub struct Command {
    /// The user.
    pub author: String,
    /// Where the command came from: `psql`, a file's name.
    pub origin: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
    /// The branch it is for.
    pub branch: String,
    /// The number that the branch had when the changes were made: refused with 40001 where another
    /// branch has the name by now. None: whichever has the name.
    pub branch_number: Option<u32>,
    /// What changes; all of it or nothing.
    pub changes: Vec<Change>,
    /// The version that a transaction was made on: if a leaf cell or row that the changes write has
    /// another value by now, the command is refused with 40001. None: the command runs at the head.
    pub base: Option<Arc<Version>>,
}

/// A branch that a user asks for.
#[derive(Debug, Clone)]
pub struct NewBranch {
    /// The user, who will own it.
    pub author: String,
    /// Where the command came from.
    pub origin: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
    /// Its name.
    pub name: String,
    /// The branch whose head it begins with.
    pub from: String,
}

/// A branch that a user wants to be gone.
#[derive(Debug, Clone)]
pub struct OldBranch {
    /// The user.
    pub author: String,
    /// Where the command came from.
    pub origin: String,
    /// Why, in the user's words; may be empty.
    pub reason: String,
    /// Its name.
    pub name: String,
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
    /// Why, in the author's words; empty where he gave no reason.
    pub reason: String,
    /// What it did, in one line.
    pub summary: String,
    /// What was computed again: formula and cells in which it was evaluated, whether its value changed
    /// or not, in one line; empty for entries before the start.
    pub recomputed: String,
}
