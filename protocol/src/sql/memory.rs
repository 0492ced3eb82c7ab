//! The memory that the SQL engine's sorts, joins and groups take, from the budget that all reads of a
//! tenant share. Nothing is put on disk: what does not fit is refused with 53200.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cube::view::{MemoryGrant, MemoryReservation as Budget};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

/// The engine's surroundings with a budget.
pub fn runtime(budget: &Budget) -> Result<Arc<RuntimeEnv>> {
    let grant = budget.reserve(0).map_err(super::table::external)?;
    let pool = SharedMemory(Mutex::new(Taken { bytes: 0, grant }));
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let builder = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
    builder.with_disk_manager_builder(disk).build_arc()
}

/// What one session's statements take of the budget.
#[derive(Debug)]
struct SharedMemory(Mutex<Taken>);

#[derive(Debug)]
struct Taken {
    bytes: u64,
    /// For all bytes, but those that the engine took without asking when none were left.
    grant: MemoryGrant,
}

impl SharedMemory {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory of the tenant's reads")
    }
}

impl MemoryPool for SharedMemory {
    fn name(&self) -> &str {
        "reads"
    }

    fn grow(&self, _reservation: &MemoryReservation, additional: usize) {
        let mut taken = self.taken();
        taken.bytes += additional as u64;
        let bytes = taken.bytes;
        // it has the memory already: there is nobody to refuse it to
        let _ = taken.grant.grow_to(bytes);
    }

    fn shrink(&self, _reservation: &MemoryReservation, shrink: usize) {
        let mut taken = self.taken();
        taken.bytes = taken.bytes.saturating_sub(shrink as u64);
        let bytes = taken.bytes;
        taken.grant.shrink_to(bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut taken = self.taken();
        let bytes = taken.bytes + additional as u64;
        taken.grant.grow_to(bytes).map_err(|error| {
            let consumer = reservation.consumer().name();
            DataFusionError::ResourcesExhausted(format!("{consumer}: {error}"))
        })?;
        taken.bytes = bytes;
        Ok(())
    }

    fn reserved(&self) -> usize {
        usize::try_from(self.taken().bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn sessions_share_a_budget_and_give_back_what_they_took() {
        let budget = Budget::new(1_000);
        let [a, b] = [(); 2].map(|()| runtime(&budget).unwrap());
        let taken = MemoryConsumer::new("sort").register(&a.memory_pool);
        let other = MemoryConsumer::new("join").register(&b.memory_pool);
        taken.try_grow(700).unwrap();
        let error = other.try_grow(400).unwrap_err();
        assert!(
            matches!(&error, DataFusionError::ResourcesExhausted(text) if text.contains("join"))
        );
        taken.shrink(200);
        other.try_grow(400).unwrap();
        drop((taken, other));
        assert_eq!(budget.reserve(1_000).map(drop), Ok(()));
    }
}
