//! An open tenant: what is published for reading, and the queue of commands that change it.
//!
//! Readers take the published head and never wait for a writer. Commands wait in a bounded queue
//! for the tenant's [`actor`].
//!
//! Invariant: what is published is durable, and a command is answered only after it is published.

pub mod actor;
pub mod command;
pub mod conflict;
pub mod maintenance;
pub mod provenance;
pub mod replay;
pub mod store;
pub mod summary;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use cube::Change;
use cube::view::{MemoryReservation, Rights};
use protocol::branches::{Branch, Branches, ReadPoint};
use protocol::error::SqlError;
use protocol::provenance::{ProvenanceRequest, WriteRecord};
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt, Tenant};
use ractor::ActorRef;
use storage::{Device, LedgerReader, Sequence};
use tokio::sync::oneshot;

use crate::auth::{Role, Users};
use crate::error::ServerError;
use crate::limits::{
    LEDGER_ENTRIES_KEPT, LEDGER_ENTRIES_MAX, READ_MEMORY_BYTES_DEFAULT, SHUTDOWN_WAIT,
};
use crate::tenant::actor::{SupervisorMessage, TenantMessage};
use crate::tenant::command::{Answer, Job, Queue, Refusal, Task};
use crate::tenant::maintenance::Maintenance;
use crate::tenant::replay::entry_line;
use crate::tenant::store::{Engine, Opened};

pub use protocol::branches::MAIN;

/// Who decides what an author may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// The tenant's users and their roles.
    Users,
    /// Whoever may read and write the data folder: offline commands.
    FolderOwner,
}

/// A tenant that is open for reads and commands.
pub struct OpenTenant {
    name: String,
    device: Arc<dyn Device>,
    engine: Engine,
    authority: Authority,
    users: RwLock<Arc<Users>>,
    published: RwLock<Arc<Branches>>,
    entries: Mutex<VecDeque<LedgerEntry>>,
    queue: Queue,
    actor: RwLock<Option<ActorRef<TenantMessage>>>,
    read_memory: MemoryReservation,
    maintenance: Maintenance,
    /// Held from planning against the head to the answer, so that planned commands do not make each
    /// other plan again.
    pub planning: tokio::sync::Mutex<()>,
    /// Shared by commands of whoever writes; held alone by a planned command before which others came again and
    /// again.
    pub turn: tokio::sync::RwLock<()>,
}

/// What opening a tenant needs besides its ledger.
#[derive(Debug, Clone)]
pub struct TenantOptions {
    /// How commands are computed.
    pub engine: Engine,
    /// Who decides what authors may do.
    pub authority: Authority,
    /// Memory that all reads share.
    pub read_memory_bytes: u64,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            authority: Authority::Users,
            read_memory_bytes: READ_MEMORY_BYTES_DEFAULT,
        }
    }
}

impl OpenTenant {
    /// Starts a tenant on its ledger, which was read already.
    pub async fn start(
        supervisor: &ActorRef<SupervisorMessage>,
        name: &str,
        device: Arc<dyn Device>,
        users: Users,
        opened: Opened,
        options: &TenantOptions,
    ) -> Result<Arc<Self>, SqlError> {
        let tenant = Arc::new(Self {
            name: name.to_owned(),
            device,
            engine: options.engine,
            authority: options.authority,
            users: RwLock::new(Arc::new(users)),
            published: RwLock::default(),
            entries: Mutex::default(),
            queue: Queue::default(),
            actor: RwLock::default(),
            read_memory: MemoryReservation::new(options.read_memory_bytes),
            maintenance: Maintenance::default(),
            planning: tokio::sync::Mutex::default(),
            turn: tokio::sync::RwLock::default(),
        });
        let start = Box::new((Arc::clone(&tenant), opened));
        let started = ractor::call!(supervisor, SupervisorMessage::Start, start);
        let started = started.map_err(|error| error.to_string()).and_then(|started| started);
        started.map_err(|error| SqlError::new("58000", format!("cannot start {name}: {error}")))?;
        Ok(tenant)
    }

    /// All branches in their newest durable state.
    pub fn branches(&self) -> Arc<Branches> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest durable state of `main`.
    pub fn head(&self) -> Arc<Branch> {
        Arc::clone(self.branches().main())
    }

    /// The tenant's users.
    pub fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries a command out, if it is given only for the branch's head that has this sequence.
    pub async fn submit_expecting(&self, command: Command, expected: Option<u64>) -> Answer {
        let branch = Arc::clone(self.branches().get(&command.branch)?);
        self.check_rights(&command)?;
        if command.changes.is_empty() {
            let sequence = branch.sequence;
            return Ok(Receipt { sequence, recomputed: calc::Recomputed::default() });
        }
        self.carry_out(Task::Change(command), expected).await
    }

    /// Has the actor do a task, and waits for what comes of it.
    async fn carry_out(&self, task: Task, expected: Option<u64>) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { task, expected, reply })?;
        self.wake();
        answer.await.unwrap_or_else(|_| Err(outcome_unknown().into()))
    }

    /// Takes no more commands, carries out those that wait, and closes the ledger.
    pub async fn close(&self) {
        let reason = SqlError::new("57P03", "the server is shutting down");
        self.queue.close(reason.clone());
        self.wake();
        let actor = self.actor.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(actor) = actor
            && let Err(error) = actor.drain_and_wait(Some(SHUTDOWN_WAIT)).await
        {
            tracing::warn!(tenant = self.name, %error, "the tenant did not close in time");
        }
        self.queue.refuse_waiting(&reason);
    }

    fn wake(&self) {
        let actor = self.actor.read().unwrap_or_else(PoisonError::into_inner).clone();
        // An actor that is being restarted looks into the queue by itself.
        let _ = actor.map(|actor| actor.cast(TenantMessage::Work));
    }

    fn set_actor(&self, actor: ActorRef<TenantMessage>) {
        *self.actor.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
        self.wake();
    }

    fn publish(&self, branches: Branches, entries: impl IntoIterator<Item = LedgerEntry>) {
        let newest = branches.sequence;
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(branches);
        let mut kept = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            // After a restart the ledger was read again: what is known already knows more.
            if kept.back().is_none_or(|last| last.sequence < entry.sequence) {
                kept.push_back(entry);
            }
        }
        while kept.len() > LEDGER_ENTRIES_KEPT {
            kept.pop_front();
        }
        assert!(
            kept.back().is_none_or(|last| last.sequence == newest),
            "the newest entry leads to the head"
        );
    }

    /// Takes no more commands, for a reason; reads go on.
    fn refuse_writes(&self, reason: &SqlError) {
        self.queue.close(reason.clone());
        self.queue.refuse_waiting(reason);
    }

    fn check_rights(&self, command: &Command) -> Result<(), SqlError> {
        let Some(role) = self.role_of(&command.author)? else { return Ok(()) };
        let changes_model = command.changes.iter().any(|c| matches!(c, Change::Model(_)));
        if changes_model && !role.may_change_model() {
            let what = format!("has role {role}, which does not change the model");
            return Err(denied(&command.author, &what));
        }
        refuse_readers(&command.author, role)
    }

    /// A branch is dropped by its owner or an administrator.
    fn check_drop(&self, old: &OldBranch) -> Result<(), SqlError> {
        let Some(role) = self.role_of(&old.author)? else { return Ok(()) };
        let branches = self.branches();
        let branch = branches.get(&old.name)?;
        if branch.owner == old.author || role.may_change_model() {
            return refuse_readers(&old.author, role);
        }
        let what = format!("does not own branch \"{}\", {} does", branch.name, branch.owner);
        Err(denied(&old.author, &what))
    }

    /// The role that decides what an author may do; none where he may do all.
    fn role_of(&self, author: &str) -> Result<Option<Role>, SqlError> {
        if self.authority == Authority::FolderOwner {
            return Ok(None);
        }
        let users = self.users();
        let user = users.find(author).ok_or_else(|| denied(author, "is not a user"))?;
        Ok(Some(user.role))
    }

    /// Entries that are in memory, newest first, and the sequence before which they begin.
    fn recent_entries(&self, limit: usize) -> (Vec<LedgerEntry>, u64) {
        let kept = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: Vec<LedgerEntry> = kept.iter().rev().take(limit).cloned().collect();
        let before = recent.last().map_or(0, |oldest| oldest.sequence - 1);
        (recent, before)
    }
}

#[async_trait]
impl Tenant for OpenTenant {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, _user: &str) -> Result<ReadPoint, SqlError> {
        let branches = self.branches();
        self.maintenance.begin_if_due(&branches);
        Ok(ReadPoint {
            branches,
            rights: Arc::new(Rights::default()),
            memory: self.read_memory.clone(),
        })
    }

    async fn submit(&self, command: Command) -> Result<Receipt, SqlError> {
        let _turn = self.turn.read().await;
        self.submit_expecting(command, None).await.map_err(final_error)
    }

    async fn create_branch(&self, branch: NewBranch) -> Result<Receipt, SqlError> {
        if let Some(role) = self.role_of(&branch.author)? {
            refuse_readers(&branch.author, role)?;
        }
        let _turn = self.turn.read().await;
        self.carry_out(Task::CreateBranch(branch), None).await.map_err(final_error)
    }

    async fn drop_branch(&self, branch: OldBranch) -> Result<Receipt, SqlError> {
        self.check_drop(&branch)?;
        let _turn = self.turn.read().await;
        self.carry_out(Task::DropBranch(branch), None).await.map_err(final_error)
    }

    async fn ledger(&self, limit: usize) -> Result<Vec<LedgerEntry>, SqlError> {
        let limit = limit.min(LEDGER_ENTRIES_MAX);
        let (mut entries, before) = self.recent_entries(limit);
        if entries.len() < limit && before > 0 {
            let device = Arc::clone(&self.device);
            let branches = self.branches();
            let count = (limit - entries.len()) as u64;
            let older = tokio::task::spawn_blocking(move || {
                older_entries(device, &branches, before, count)
            });
            let older = older.await.map_err(|error| SqlError::new("XX000", error.to_string()))?;
            entries.extend(older.map_err(|error| error.to_sql())?);
        }
        Ok(entries)
    }

    async fn provenance(
        &self,
        request: ProvenanceRequest,
    ) -> Result<Vec<Vec<WriteRecord>>, SqlError> {
        let device = Arc::clone(&self.device);
        let found = tokio::task::spawn_blocking(move || provenance::writes_of(&device, &request));
        let found = found.await.map_err(|error| SqlError::new("XX000", error.to_string()))?;
        found.map_err(|error| error.to_sql())
    }
}

fn final_error(refusal: Refusal) -> SqlError {
    match refusal {
        Refusal::Error(error) => error,
        Refusal::Moved => SqlError::new("40001", "another command came first"),
    }
}

fn denied(author: &str, what: &str) -> SqlError {
    SqlError::new("42501", format!("permission denied: {author} {what}"))
        .with_hint("ask an administrator of the tenant")
}

fn refuse_readers(author: &str, role: Role) -> Result<(), SqlError> {
    if role.may_write() {
        return Ok(());
    }
    Err(denied(author, &format!("has role {role}, which does not write")))
}

/// At most `count` entries from the ledger itself, newest first, up to the sequence `last`.
fn older_entries(
    device: Arc<dyn Device>,
    branches: &Branches,
    last: u64,
    count: u64,
) -> Result<Vec<LedgerEntry>, ServerError> {
    let first = last.saturating_sub(count - 1).max(1);
    let reader = LedgerReader::open(device)?.starting_at(Sequence(first))?;
    let mut entries = Vec::new();
    for record in reader.ending_at(Sequence(last)) {
        let record = record?;
        let sequence = record.id.sequence.0;
        let entry = entry_line(&record, branches)
            .map_err(|reason| ServerError::Replay { sequence, reason: Box::new(reason) })?;
        entries.push(entry);
    }
    entries.reverse();
    Ok(entries)
}

fn outcome_unknown() -> SqlError {
    SqlError::new("08007", "the outcome of the command is unknown")
        .with_detail("the tenant failed while the command was being carried out")
        .with_hint("look into perfos.ledger before you send it again")
}
