//! The two halves of carrying commands out: computing a group of them one on the other, and making
//! the group durable with one write and one sync.
//!
//! Nothing here waits or talks: the actor decides when and on which thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use calc::{Recomputed, Revision};
use cube::Change;
use protocol::branches::{Advanced, Branch, Branches, MAIN_NUMBER};
use protocol::error::SqlError;
use protocol::tenant::{Command, LedgerEntry, NewBranch, OldBranch, Receipt};
use storage::entry::{
    BranchCreated, BranchDropped, Entry, EntryError, KIND_BRANCH_CREATED, KIND_BRANCH_DROPPED,
    KIND_COMMAND, SEMANTICS_VERSION,
};
use storage::limits::{AUTHOR_BYTES_MAX, ORIGIN_BYTES_MAX};
use storage::{Device, KeyId, LedgerOptions, LedgerWriter, NewRecord};
use tokio::sync::oneshot;

use crate::error::{Result, sql_of_calc};
use crate::limits::{BRANCHES_MAX, ENTRY_PAYLOAD_BYTES_MAX, GROUP_BYTES_MAX, REASON_BYTES_MAX};
use crate::tenant::command::{Answer, Job, Refusal, Task};
use crate::tenant::conflict;
use crate::tenant::replay::Replay;
use crate::tenant::summary::{self, describe_recomputed, summarize};
use crate::timestamp::now_us;

/// From changes of a branch to the next revisions, and what was computed again.
pub type Apply = fn(&Branches, &Branch, &[Change]) -> calc::Result<Advanced>;

/// What computing depends on besides commands.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// How changes make the next revision.
    pub apply: Apply,
    /// Microseconds since 1970-01-01 UTC.
    pub clock: fn() -> i64,
}

impl Default for Engine {
    fn default() -> Self {
        Self { apply: Branches::advanced, clock: now_us }
    }
}

/// A ledger open for appending, and the state it leads to.
pub struct Opened {
    /// Appends.
    pub writer: LedgerWriter,
    /// The state.
    pub replay: Replay,
}

impl Opened {
    /// Reads, checks and replays a ledger, cutting a torn tail.
    pub fn read(device: Arc<dyn Device>) -> Result<Self> {
        let mut replay = Replay::default();
        let mut failure = None;
        let mut visit = |record| {
            if failure.is_none() {
                failure = replay.push(&record).err();
            }
        };
        let options = LedgerOptions::default();
        let (writer, recovered) = LedgerWriter::open_visiting(device, options, &mut visit)?;
        if let Some(tail) = recovered.torn_tail {
            tracing::warn!(
                segment = tail.segment,
                sequence = tail.sequence.0,
                "cut an entry that was being written when the power went; it was never acknowledged"
            );
        }
        failure.map_or(Ok(Self { writer, replay }), Err)
    }
}

/// Commands that were computed and wait to become durable together.
pub struct Group {
    /// All branches after all of them.
    pub after: Branches,
    /// What goes into the ledger.
    pub records: Vec<NewRecord>,
    /// Their lines for the ledger's readers.
    pub entries: Vec<LedgerEntry>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Group {
    fn new(after: Branches) -> Self {
        Self { after, records: Vec::new(), entries: Vec::new(), answers: Vec::new() }
    }

    /// Answers everyone, once the accepted commands are durable and published.
    pub fn answer(self) {
        for (reply, answer) in self.answers {
            // An author who went away needs no answer.
            let _ = reply.send(answer);
        }
    }

    /// Refuses everyone whose command was accepted: it did not become durable.
    pub fn refuse(self, error: &SqlError) {
        for (reply, answer) in self.answers {
            let _ = reply.send(answer.and(Err(Refusal::Error(error.clone()))));
        }
    }
}

/// One task's way into a group.
struct Computed {
    step: Step,
    record: NewRecord,
    entry: LedgerEntry,
    receipt: Receipt,
}

/// What a task does to the branches.
enum Step {
    Change { number: u32, advanced: Advanced },
    CreateBranch { base: Arc<Branch>, revision: Revision },
    DropBranch { number: u32 },
}

/// Who asks for a task, through what and why.
struct Asker<'a> {
    author: &'a str,
    origin: &'a str,
    reason: &'a str,
}

impl Engine {
    /// Computes tasks one on the other, up to the size of a group. Also returns those that did not
    /// fit.
    pub fn compute(&self, branches: &Branches, jobs: Vec<Job>) -> (Group, Vec<Job>) {
        let mut group = Group::new(branches.clone());
        let mut payload_bytes = 0;
        let mut jobs = jobs.into_iter();
        while payload_bytes < GROUP_BYTES_MAX {
            let Some(job) = jobs.next() else { break };
            // The state before is immutable, so a panic leaves nothing half done.
            let computed = catch_unwind(AssertUnwindSafe(|| self.compute_one(&group.after, &job)));
            let answer = match computed.unwrap_or_else(|_| Err(panicked().into())) {
                Ok(computed) => {
                    payload_bytes += computed.record.payload.len();
                    take_in(&mut group.after, computed.step, &job.task, &computed.entry);
                    group.records.push(computed.record);
                    group.entries.push(computed.entry);
                    Ok(computed.receipt)
                }
                Err(refusal) => Err(refusal),
            };
            group.answers.push((job.reply, answer));
        }
        (group, jobs.collect())
    }

    fn compute_one(&self, branches: &Branches, job: &Job) -> Result<Computed, Refusal> {
        match &job.task {
            Task::Change(command) => self.change(branches, command, job.expected),
            Task::CreateBranch(new) => Ok(self.create_branch(branches, new)?),
            Task::DropBranch(old) => Ok(self.drop_branch(branches, old)?),
        }
    }

    fn change(
        &self,
        branches: &Branches,
        command: &Command,
        expected: Option<u64>,
    ) -> Result<Computed, Refusal> {
        let branch = branches.get(&command.branch)?;
        if command.branch_number.is_some_and(|number| number != branch.number) {
            return Err(made_again(branch).into());
        }
        if expected.is_some_and(|expected| expected != branch.moved_at) {
            return Err(Refusal::Moved);
        }
        let version = &branch.revision.version;
        if let Some(base) = &command.base {
            conflict::check_base(&command.changes, base, version)?;
        }
        conflict::check_new_members(&command.changes, version)?;
        let applied = (self.apply)(branches, branch, &command.changes);
        let advanced = applied.map_err(|error| sql_of_calc(&error))?;
        let version = &advanced.revision.version;
        let state_hash = version.state_hash().to_bytes();
        let payload = Entry::encode_parts(&command.changes, &state_hash, &command.reason);
        let asker =
            Asker { author: &command.author, origin: &command.origin, reason: &command.reason };
        let record = self.record(KIND_COMMAND, branch.number, &asker, payload)?;
        let entry = LedgerEntry {
            summary: summarize(&command.changes, version),
            recomputed: describe_recomputed(&advanced.recomputed),
            ..entry_of(branches, &record, &branch.name, &asker)
        };
        let recomputed = advanced.all_recomputed();
        let receipt = Receipt { sequence: entry.sequence, recomputed };
        let step = Step::Change { number: branch.number, advanced };
        Ok(Computed { step, record, entry, receipt })
    }

    fn create_branch(&self, branches: &Branches, new: &NewBranch) -> Result<Computed, SqlError> {
        branches.check_new_name(&new.name)?;
        let base = branches.get(&new.from)?;
        if branches.count() >= BRANCHES_MAX {
            return Err(SqlError::new(
                "54000",
                format!("there are {BRANCHES_MAX} branches already"),
            )
            .with_hint("drop branches that are not needed any more"));
        }
        let payload = BranchCreated {
            name: new.name.clone(),
            base: base.number,
            base_sequence: base.sequence,
            state_hash: base.revision.version.state_hash().to_bytes(),
            reason: new.reason.clone(),
        };
        let revision = branches.first_revision(base, &new.name);
        let revision = revision.map_err(|error| sql_of_calc(&error))?;
        let asker = Asker { author: &new.author, origin: &new.origin, reason: &new.reason };
        let number = branches.next_number();
        let record = self.record(KIND_BRANCH_CREATED, number, &asker, payload.encode())?;
        let entry = LedgerEntry {
            summary: summary::branch_created(&new.name, &base.name),
            ..entry_of(branches, &record, &new.name, &asker)
        };
        let step = Step::CreateBranch { base: Arc::clone(base), revision };
        Ok(Computed::without_changes(step, record, entry))
    }

    fn drop_branch(&self, branches: &Branches, old: &OldBranch) -> Result<Computed, SqlError> {
        let branch = branches.get(&old.name)?;
        if branch.number == MAIN_NUMBER {
            return Err(SqlError::new("42939", "the branch \"main\" cannot be dropped")
                .with_hint("`perfos tenant drop` removes the tenant with all that it has"));
        }
        branches.check_unread(branch)?;
        let payload = BranchDropped {
            state_hash: branch.revision.version.state_hash().to_bytes(),
            reason: old.reason.clone(),
        };
        let asker = Asker { author: &old.author, origin: &old.origin, reason: &old.reason };
        let record = self.record(KIND_BRANCH_DROPPED, branch.number, &asker, payload.encode())?;
        let entry = LedgerEntry {
            summary: summary::branch_dropped(&branch.name),
            ..entry_of(branches, &record, &branch.name, &asker)
        };
        Ok(Computed::without_changes(Step::DropBranch { number: branch.number }, record, entry))
    }

    /// What goes into the ledger; checked here, because a record beyond a limit would take its
    /// whole group with it.
    fn record(
        &self,
        kind: u16,
        branch: u32,
        asker: &Asker<'_>,
        payload: Result<Vec<u8>, EntryError>,
    ) -> Result<NewRecord, SqlError> {
        let payload = payload.map_err(|error| SqlError::new("XX000", error.to_string()))?;
        check_size("author", asker.author.len(), AUTHOR_BYTES_MAX as usize)?;
        check_size("origin", asker.origin.len(), ORIGIN_BYTES_MAX as usize)?;
        check_size("reason", asker.reason.len(), REASON_BYTES_MAX)?;
        check_size("command", payload.len(), ENTRY_PAYLOAD_BYTES_MAX)?;
        Ok(NewRecord {
            time_us: (self.clock)(),
            branch,
            kind,
            key_id: KeyId::NONE,
            semantics_version: SEMANTICS_VERSION,
            author: asker.author.to_owned(),
            origin: asker.origin.to_owned(),
            payload,
        })
    }
}

impl Computed {
    fn without_changes(step: Step, record: NewRecord, entry: LedgerEntry) -> Self {
        let receipt = Receipt { sequence: entry.sequence, recomputed: Recomputed::default() };
        Self { step, record, entry, receipt }
    }
}

/// The line of a record for the ledger's readers; what it did is yet to be said.
fn entry_of(
    branches: &Branches,
    record: &NewRecord,
    branch: &str,
    asker: &Asker<'_>,
) -> LedgerEntry {
    LedgerEntry {
        sequence: branches.sequence + 1,
        time_us: record.time_us,
        branch: branch.to_owned(),
        author: asker.author.to_owned(),
        origin: asker.origin.to_owned(),
        reason: asker.reason.to_owned(),
        summary: String::new(),
        recomputed: String::new(),
    }
}

/// The branches after a task.
fn take_in(branches: &mut Branches, step: Step, task: &Task, entry: &LedgerEntry) {
    match step {
        Step::Change { number, advanced } => {
            let changes: &[Change] = match task {
                Task::Change(command) => &command.changes,
                Task::CreateBranch(_) | Task::DropBranch(_) => &[],
            };
            branches.commit(number, advanced, changes, entry);
        }
        Step::CreateBranch { base, revision } => branches.create(&base, revision, entry),
        Step::DropBranch { number } => branches.remove(number, entry),
    }
}

fn made_again(branch: &Branch) -> SqlError {
    SqlError::new("40001", format!("branch \"{}\" was dropped and made again", branch.name))
        .with_detail("the command was made on the branch that had the name before")
        .with_hint("run the transaction again")
}

fn check_size(part: &str, found: usize, limit: usize) -> Result<(), SqlError> {
    if found <= limit {
        return Ok(());
    }
    Err(SqlError::new("54000", format!("the {part} has {found} bytes, the limit is {limit}"))
        .with_hint("split the command into smaller ones"))
}

fn panicked() -> SqlError {
    SqlError::new("XX000", "internal error while computing the command")
        .with_detail("nothing was changed; the server's log has more")
        .with_hint("this is a defect of Performance OS; please report it with the command")
}
