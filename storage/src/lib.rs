//! What a tenant keeps on disk, and the only code that touches it.
//!
//! The ledger is the truth: an append-only, hash-chained sequence of records whose payloads are
//! opaque here. Every byte goes through a [`Device`], which is a real folder or a simulated disk
//! that can lose power, so the same code is served and tested.
//!
//! Invariant: what was acknowledged is read back byte for byte, or reading fails with an error that
//! says where. This crate reads no clock and draws no random numbers; times come from the caller
//! and simulations from a seed.

pub mod device;
pub mod entry;
pub mod error;
pub mod ledger;
pub mod limits;
pub mod simulation;

mod generator;

pub use device::file::{FileDevice, FolderLock};
pub use device::memory::MemoryDevice;
pub use device::{Device, DeviceFile};
pub use entry::{Entry, EntryError};
pub use error::{Damage, Result, StorageError};
pub use ledger::{
    Hash, KeyId, LedgerId, LedgerOptions, LedgerReader, LedgerSummary, LedgerWriter, NewRecord,
    Record, RecordId, Recovered, Sequence, TornTail, ledger_exists, verify,
};
