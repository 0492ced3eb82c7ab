//! From ledger records to the branches they lead to, checked at every entry.
//!
//! Invariant: after a replay every branch has, at each of its entries, the hash that was recorded
//! with it.

use std::collections::VecDeque;
use std::sync::Arc;

use cube::Version;
use cube::view::Interrupt;
use protocol::branches::{Branches, MAIN_NUMBER};
use protocol::tenant::LedgerEntry;
use storage::entry::{
    BranchCreated, BranchDropped, Entry, KIND_BRANCH_CREATED, KIND_BRANCH_DROPPED, KIND_COMMAND,
    SEMANTICS_VERSION,
};
use storage::{Device, Hash, LedgerReader, Record, TornTail};

use crate::error::{ReplayFailure, Result, ServerError};
use crate::limits::LEDGER_ENTRIES_KEPT;
use crate::tenant::summary::{branch_created, branch_dropped, summarize};

/// A replay under way.
#[derive(Default)]
pub struct Replay {
    /// All branches so far.
    pub branches: Branches,
    /// The newest entries, the oldest of them first.
    pub entries: VecDeque<LedgerEntry>,
    /// How many entries have a state hash that only earlier releases made.
    unchecked_count: u64,
}

/// What verifying a ledger found.
#[derive(Debug)]
pub struct Verified {
    /// How many entries there are.
    pub entry_count: u64,
    /// How many of them hold a state hash of an earlier form, which was not compared.
    pub unchecked_count: u64,
    /// The hash of the state of `main` after the last one.
    pub state_hash: Hash,
    /// The other branches.
    pub branches: Vec<VerifiedBranch>,
    /// The remains of an entry that was never acknowledged.
    pub torn_tail: Option<TornTail>,
}

/// What verifying found of one branch.
#[derive(Debug)]
pub struct VerifiedBranch {
    /// Its name.
    pub name: String,
    /// How many entries were written on it.
    pub entry_count: u64,
    /// The hash of its state.
    pub state_hash: Hash,
}

/// What a record asks for.
pub(super) enum Recorded {
    /// Changes of a branch.
    Changes(Entry),
    /// A branch more.
    BranchCreated(BranchCreated),
    /// A branch less.
    BranchDropped(BranchDropped),
}

impl Replay {
    /// Applies one more entry.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let sequence = record.id.sequence.0;
        let entry = self
            .apply(record)
            .map_err(|reason| ServerError::Replay { sequence, reason: Box::new(reason) })?;
        if self.entries.len() >= LEDGER_ENTRIES_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        Ok(())
    }

    fn apply(&mut self, record: &Record) -> Result<LedgerEntry, ReplayFailure> {
        let number = record.content.branch;
        let recorded = readable(record)?;
        let is_hash_known = record.content.semantics_version == SEMANTICS_VERSION;
        self.unchecked_count += u64::from(!is_hash_known);
        let check_state = |version: &Version, recorded: [u8; 32]| {
            let (found, recorded) = (Hash(version.state_hash().to_bytes()), Hash(recorded));
            match found == recorded || !is_hash_known {
                true => Ok(()),
                false => Err(ReplayFailure::State { found, recorded }),
            }
        };
        let mut entry = line(record, &recorded, &self.branches, None);
        match recorded {
            Recorded::Changes(Entry { changes, state_hash, .. }) => {
                let branch = self.branches.numbered(number).ok_or(ReplayFailure::Branch(number))?;
                let advanced = self.branches.advanced(branch, &changes)?;
                let version = &advanced.revision.version;
                check_state(version, state_hash)?;
                // nobody does it in the background yet
                version.cubes.iter().for_each(|rows| rows.merge_if_due(&Interrupt::default()));
                entry.summary = summarize(&changes, version);
                self.branches.commit(number, advanced, &changes, &entry);
            }
            Recorded::BranchCreated(created) => {
                let next = self.branches.next_number();
                if number != next {
                    return Err(ReplayFailure::BranchNumber { found: number, next });
                }
                let base = self.branches.numbered(created.base);
                let base = Arc::clone(base.ok_or(ReplayFailure::Branch(created.base))?);
                if base.sequence != created.base_sequence {
                    let (found, recorded) = (base.sequence, created.base_sequence);
                    return Err(ReplayFailure::BranchBase { found, recorded });
                }
                check_state(&base.revision.version, created.state_hash)?;
                let revision = self.branches.first_revision(&base, &created.name)?;
                self.branches.create(&base, revision, &entry);
            }
            Recorded::BranchDropped(dropped) => {
                let branch = self.branches.numbered(number);
                let branch = branch.filter(|branch| branch.number != MAIN_NUMBER);
                let branch = branch.ok_or(ReplayFailure::Branch(number))?;
                check_state(&branch.revision.version, dropped.state_hash)?;
                self.branches.remove(number, &entry);
            }
        }
        Ok(entry)
    }
}

/// What a record says, if this release knows its rules.
pub(super) fn readable(record: &Record) -> Result<Recorded, ReplayFailure> {
    let content = &record.content;
    let payload = &content.payload;
    if !(1..=SEMANTICS_VERSION).contains(&content.semantics_version) {
        return Err(ReplayFailure::Semantics(content.semantics_version));
    }
    Ok(match content.kind {
        KIND_COMMAND => Recorded::Changes(Entry::decode(payload)?),
        KIND_BRANCH_CREATED => Recorded::BranchCreated(BranchCreated::decode(payload)?),
        KIND_BRANCH_DROPPED => Recorded::BranchDropped(BranchDropped::decode(payload)?),
        kind => return Err(ReplayFailure::Kind(kind)),
    })
}

/// The line of an older record for the ledger's readers, with the names that things have now.
pub fn entry_line(record: &Record, branches: &Branches) -> Result<LedgerEntry, ReplayFailure> {
    let recorded = readable(record)?;
    let branch = branches.numbered(record.content.branch);
    // a branch that is gone took its names along
    let version = branch.map_or_else(Arc::default, |branch| Arc::clone(&branch.revision.version));
    Ok(line(record, &recorded, branches, Some(&version)))
}

/// The line of a record. Changes are summed up where the version after them is known.
fn line(
    record: &Record,
    recorded: &Recorded,
    branches: &Branches,
    after: Option<&Version>,
) -> LedgerEntry {
    let content = &record.content;
    let name_of = |number: u32| branches.name_of(number).map_or("", |name| name).to_owned();
    let branch = match recorded {
        Recorded::BranchCreated(created) => created.name.clone(),
        _ => name_of(content.branch),
    };
    let (summary, reason) = match recorded {
        Recorded::Changes(entry) => {
            let summary = after.map(|after| summarize(&entry.changes, after));
            (summary.unwrap_or_default(), &entry.reason)
        }
        Recorded::BranchCreated(created) => {
            (branch_created(&branch, &name_of(created.base)), &created.reason)
        }
        Recorded::BranchDropped(dropped) => (branch_dropped(&branch), &dropped.reason),
    };
    LedgerEntry {
        sequence: record.id.sequence.0,
        time_us: content.time_us,
        author: content.author.clone(),
        origin: content.origin.clone(),
        reason: reason.clone(),
        branch,
        summary,
        recomputed: String::new(),
    }
}

/// Reads, checks and replays a whole ledger without changing a byte of it.
pub fn verify(device: Arc<dyn Device>) -> Result<Verified> {
    let mut reader = LedgerReader::open(device)?;
    let mut replay = Replay::default();
    for record in &mut reader {
        replay.push(&record?)?;
    }
    let hash = |version: &Version| Hash(version.state_hash().to_bytes());
    let branches = &replay.branches;
    let others = branches.iter().skip(1).map(|branch| VerifiedBranch {
        name: branch.name.to_string(),
        entry_count: branch.entry_count,
        state_hash: hash(&branch.revision.version),
    });
    Ok(Verified {
        entry_count: branches.sequence,
        unchecked_count: replay.unchecked_count,
        state_hash: hash(&branches.main().revision.version),
        branches: others.collect(),
        torn_tail: reader.torn_tail().cloned(),
    })
}
