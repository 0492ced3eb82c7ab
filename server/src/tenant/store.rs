//! The two halves of carrying commands out: computing a group of them one on the other, and making
//! the group durable with one write and one sync.
//!
//! Nothing here waits or talks: the actor decides when and on which thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use calc::{Recomputed, Revision};
use cube::Change;
use protocol::error::SqlError;
use protocol::tenant::{Command, LedgerEntry, Receipt};
use storage::entry::{BRANCH_MAIN, Entry, KIND_COMMAND, SEMANTICS_VERSION};
use storage::limits::{AUTHOR_BYTES_MAX, ORIGIN_BYTES_MAX};
use storage::{Device, KeyId, LedgerOptions, LedgerWriter, NewRecord};
use tokio::sync::oneshot;

use crate::error::{Result, sql_of_calc};
use crate::limits::{ENTRY_PAYLOAD_BYTES_MAX, GROUP_BYTES_MAX};
use crate::tenant::MAIN;
use crate::tenant::command::{Answer, Job, Refusal};
use crate::tenant::conflict;
use crate::tenant::replay::Replay;
use crate::tenant::summary::{describe_recomputed, summarize};
use crate::timestamp::now_us;

/// A state and the ledger entry that led to it.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Model, members, rows and formulas.
    pub revision: Revision,
    /// The last entry in it; 0 before the first.
    pub sequence: u64,
}

/// From a revision and changes to the next revision, and what was computed again.
pub type Apply = fn(&Revision, &[Change]) -> calc::Result<(Revision, Recomputed)>;

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
        Self { apply: |revision, changes| revision.apply(changes), clock: now_us }
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

    /// The state with its sequence.
    pub fn head(&self) -> Head {
        Head { revision: self.replay.revision.clone(), sequence: self.replay.sequence }
    }
}

/// Commands that were computed and wait to become durable together.
pub struct Group {
    /// The state after all of them.
    pub head: Head,
    /// What goes into the ledger.
    pub records: Vec<NewRecord>,
    /// Their lines for the ledger's readers.
    pub entries: Vec<LedgerEntry>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Group {
    fn new(head: Head) -> Self {
        Self { head, records: Vec::new(), entries: Vec::new(), answers: Vec::new() }
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

/// One command's way into a group.
struct Computed {
    revision: Revision,
    record: NewRecord,
    entry: LedgerEntry,
    receipt: Receipt,
}

impl Engine {
    /// Computes commands one on the other, up to the size of a group. Also returns those that did
    /// not fit.
    pub fn compute(&self, head: &Head, jobs: Vec<Job>) -> (Group, Vec<Job>) {
        let mut group = Group::new(head.clone());
        let mut payload_bytes = 0;
        let mut jobs = jobs.into_iter();
        while payload_bytes < GROUP_BYTES_MAX {
            let Some(job) = jobs.next() else { break };
            // The revision before is immutable, so a panic leaves nothing half done.
            let computed = catch_unwind(AssertUnwindSafe(|| self.compute_one(&group.head, &job)));
            let answer = match computed.unwrap_or_else(|_| Err(panicked().into())) {
                Ok(computed) => {
                    payload_bytes += computed.record.payload.len();
                    group.head =
                        Head { revision: computed.revision, sequence: computed.receipt.sequence };
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

    fn compute_one(&self, head: &Head, job: &Job) -> Result<Computed, Refusal> {
        let command = &job.command;
        if job.expected.is_some_and(|expected| expected != head.sequence) {
            return Err(Refusal::Moved);
        }
        let version = &head.revision.version;
        if let Some(base) = &command.base {
            conflict::check_base(&command.changes, base, version)?;
        }
        conflict::check_new_members(&command.changes, version)?;
        let applied = (self.apply)(&head.revision, &command.changes);
        let (revision, recomputed) = applied.map_err(|error| sql_of_calc(&error))?;
        let record = self.record(command, &revision)?;
        let sequence = head.sequence + 1;
        let entry = LedgerEntry {
            sequence,
            time_us: record.time_us,
            branch: MAIN.to_owned(),
            author: record.author.clone(),
            origin: record.origin.clone(),
            summary: summarize(&command.changes, &revision.version),
            recomputed: describe_recomputed(&recomputed),
        };
        Ok(Computed { revision, record, entry, receipt: Receipt { sequence, recomputed } })
    }

    /// What goes into the ledger; checked here, because a record beyond a limit would take its
    /// whole group with it.
    fn record(&self, command: &Command, after: &Revision) -> Result<NewRecord, SqlError> {
        let state_hash = after.version.state_hash().to_bytes();
        let payload = Entry::encode_parts(&command.changes, &state_hash)
            .map_err(|error| SqlError::new("XX000", error.to_string()))?;
        check_size("author", command.author.len(), AUTHOR_BYTES_MAX as usize)?;
        check_size("origin", command.origin.len(), ORIGIN_BYTES_MAX as usize)?;
        check_size("command", payload.len(), ENTRY_PAYLOAD_BYTES_MAX)?;
        Ok(NewRecord {
            time_us: (self.clock)(),
            branch: BRANCH_MAIN,
            kind: KIND_COMMAND,
            key_id: KeyId::NONE,
            semantics_version: SEMANTICS_VERSION,
            author: command.author.clone(),
            origin: command.origin.clone(),
            payload,
        })
    }
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
