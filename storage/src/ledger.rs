//! The ledger of a tenant: an append-only, hash-chained sequence of records in preallocated segment
//! files.
//!
//! [`LedgerWriter`] opens (which repairs a torn tail) and appends; [`LedgerReader`] reads and
//! verifies everything it yields. The file format is described in [`mod@record`] and
//! [`mod@segment`], the fault model in [`mod@recovery`].
//!
//! Invariant: records 1 to n are there, in order, without gaps, each committing to all before it.
//! What a record means is the caller's business: payloads are opaque.

pub mod reader;
pub mod record;
pub mod recovery;
pub mod segment;
pub mod writer;

pub use reader::{LedgerReader, LedgerSummary, verify};
pub use record::{Hash, KeyId, NewRecord, Record, RecordId, Sequence};
pub use recovery::{Recovered, TornTail};
pub use segment::LedgerId;
pub use writer::{LedgerOptions, LedgerWriter};

use crate::device::Device;
use crate::error::Result;

/// Whether there is a ledger on this device, complete or damaged.
pub fn ledger_exists(device: &dyn Device) -> Result<bool> {
    Ok(!segment::list(device)?.is_empty())
}
