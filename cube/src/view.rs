//! The one argument of every read: which version, with whose rights, until when, with how much memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use roaring::RoaringBitmap;

use crate::error::{CubeError, Result};
use crate::id::DimensionId;
use crate::version::Version;

/// What a read sees. Cheap to clone; holds its version for as long as it lives.
#[derive(Debug, Clone)]
pub struct View {
    /// The version.
    pub version: Arc<Version>,
    /// Where the version stands in history.
    pub position: Position,
    /// What the reader may see.
    pub rights: Arc<Rights>,
    /// Set by whoever cancels the read or sees its deadline pass.
    pub interrupt: Interrupt,
    /// What the read may use.
    pub memory: MemoryReservation,
    /// Whether aggregates may answer; without them all rows are looked at.
    pub uses_aggregates: bool,
}

/// A branch and a point of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The branch's name.
    pub branch: Arc<str>,
    /// The ledger sequence that the version includes, as the last.
    pub sequence: u64,
    /// Whether this is the branch's head or a past state of it.
    pub moment: Moment,
}

/// Head or past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The newest version when the view was made.
    Head,
    /// The version as of an earlier sequence: read only.
    AsOf,
}

/// A reader's rights: per restricted dimension, the members he may see. Dimensions that are not
/// named are free; a member that is not in its bitmap is denied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rights {
    /// Allowed members of restricted dimensions.
    pub allowed: BTreeMap<DimensionId, RoaringBitmap>,
}

/// A shared flag that stops a read.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks the read to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lets the next statement run.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// An error once the flag is up.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(CubeError::Interrupted) } else { Ok(()) }
    }
}

/// A budget in bytes, shared by all reads that were given clones of it.
#[derive(Debug, Clone)]
pub struct MemoryReservation {
    left_bytes: Arc<AtomicU64>,
}

impl MemoryReservation {
    /// A budget.
    pub fn new(bytes: u64) -> Self {
        Self { left_bytes: Arc::new(AtomicU64::new(bytes)) }
    }

    /// Takes from the budget until the grant is dropped.
    pub fn reserve(&self, bytes: u64) -> Result<MemoryGrant> {
        let take = |left: u64| left.checked_sub(bytes);
        match self.left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(MemoryGrant { from: self.clone(), bytes }),
            Err(left) => Err(CubeError::Memory(format!("{bytes} bytes needed, {left} bytes left"))),
        }
    }
}

/// Part of a budget in use; given back when dropped.
#[derive(Debug)]
pub struct MemoryGrant {
    from: MemoryReservation,
    bytes: u64,
}

impl MemoryGrant {
    /// Takes what is missing to so many bytes; keeps what it has where these are fewer.
    pub fn grow_to(&mut self, bytes: u64) -> Result<()> {
        if let Some(more @ 1..) = bytes.checked_sub(self.bytes) {
            let mut added = self.from.reserve(more)?;
            self.bytes += std::mem::take(&mut added.bytes);
        }
        Ok(())
    }
}

impl MemoryGrant {
    /// Gives back what is more than so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.from.left_bytes.fetch_add(less, Ordering::Relaxed);
    }
}

impl Drop for MemoryGrant {
    fn drop(&mut self) {
        self.from.left_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl View {
    /// A view without restrictions of a version that stands alone: for tests and for the engine's
    /// own reads while it computes a candidate.
    pub fn unrestricted(version: Arc<Version>) -> Self {
        Self {
            version,
            position: Position { branch: "main".into(), sequence: 0, moment: Moment::Head },
            rights: Arc::default(),
            interrupt: Interrupt::default(),
            memory: MemoryReservation::new(u64::MAX / 2),
            uses_aggregates: true,
        }
    }

    /// The members of a dimension that the reader may see; none where he may see all.
    pub fn allowed(&self, dimension: DimensionId) -> Option<&RoaringBitmap> {
        self.rights.allowed.get(&dimension)
    }
}
