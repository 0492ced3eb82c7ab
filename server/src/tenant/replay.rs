//! From ledger records to the state they lead to, checked at every entry.
//!
//! Invariant: the state after a replay has, at every entry, the hash that was recorded with it.

use std::collections::VecDeque;
use std::sync::Arc;

use calc::Revision;
use protocol::tenant::LedgerEntry;
use storage::entry::{BRANCH_MAIN, Entry, KIND_COMMAND, SEMANTICS_VERSION};
use storage::{Device, Hash, LedgerReader, Record, TornTail};

use crate::error::{ReplayFailure, Result, ServerError};
use crate::limits::LEDGER_ENTRIES_KEPT;
use crate::tenant::MAIN;
use crate::tenant::summary::summarize;

/// A replay under way.
#[derive(Default)]
pub struct Replay {
    /// The state so far.
    pub revision: Revision,
    /// The last entry in it; 0 before the first.
    pub sequence: u64,
    /// The newest entries, the oldest of them first.
    pub entries: VecDeque<LedgerEntry>,
}

/// What verifying a ledger found.
#[derive(Debug)]
pub struct Verified {
    /// How many entries there are.
    pub entry_count: u64,
    /// The hash of the state after the last one.
    pub state_hash: Hash,
    /// The remains of an entry that was never acknowledged.
    pub torn_tail: Option<TornTail>,
}

impl Replay {
    /// Applies one more entry.
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let sequence = record.id.sequence.0;
        let failed = |reason| ServerError::Replay { sequence, reason: Box::new(reason) };
        let content = &record.content;
        let entry = readable(record).map_err(failed)?;
        let (revision, _) =
            self.revision.apply(&entry.changes).map_err(|error| failed(error.into()))?;
        let found = revision.version.state_hash().to_bytes();
        if found != entry.state_hash {
            let (found, recorded) = (Hash(found), Hash(entry.state_hash));
            return Err(failed(ReplayFailure::State { found, recorded }));
        }
        if self.entries.len() >= LEDGER_ENTRIES_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(LedgerEntry {
            sequence,
            time_us: content.time_us,
            branch: MAIN.to_owned(),
            author: content.author.clone(),
            origin: content.origin.clone(),
            summary: summarize(&entry.changes, &revision.version),
            recomputed: String::new(),
        });
        self.revision = revision;
        self.sequence = sequence;
        Ok(())
    }
}

/// The entry of a record whose rules this release knows.
pub fn readable(record: &Record) -> Result<Entry, ReplayFailure> {
    let content = &record.content;
    match (content.kind, content.semantics_version, content.branch) {
        (KIND_COMMAND, SEMANTICS_VERSION, BRANCH_MAIN) => {}
        (KIND_COMMAND, SEMANTICS_VERSION, branch) => return Err(ReplayFailure::Branch(branch)),
        (KIND_COMMAND, version, _) => return Err(ReplayFailure::Semantics(version)),
        (kind, _, _) => return Err(ReplayFailure::Kind(kind)),
    }
    Ok(Entry::decode(&content.payload)?)
}

/// Reads, checks and replays a whole ledger without changing a byte of it.
pub fn verify(device: Arc<dyn Device>) -> Result<Verified> {
    let mut reader = LedgerReader::open(device)?;
    let mut replay = Replay::default();
    for record in &mut reader {
        replay.push(&record?)?;
    }
    Ok(Verified {
        entry_count: replay.sequence,
        state_hash: Hash(replay.revision.version.state_hash().to_bytes()),
        torn_tail: reader.torn_tail().cloned(),
    })
}
