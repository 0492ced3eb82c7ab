//! Keeps the aggregates and segments of a tenant's cubes up, in the background: aggregates are chosen by what is asked
//! for and moved to newer rows as these change, segments of dead rows are merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cube::CubeId;
use cube::view::Interrupt;
use protocol::branches::Branches;
use protocol::pools;

use crate::limits::AGGREGATES_PERCENT;

/// From the end of one round to the next at the earliest: readers and writers come first.
const PAUSE: Duration = Duration::from_millis(100);

/// The background work of one tenant: one round at a time, on a thread of its own.
#[derive(Debug, Default)]
pub struct Maintenance {
    is_running: Arc<AtomicBool>,
    interrupt: Interrupt,
}

impl Maintenance {
    /// Begins a round where there is something to do, and none goes on.
    pub fn begin_if_due(&self, branches: &Arc<Branches>) {
        let cubes = &branches.main().revision.version.cubes;
        if !cubes.iter().any(|rows| rows.aggregates().is_due(rows) || rows.is_merge_due())
            || self.is_running.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (is_running, interrupt) = (Arc::clone(&self.is_running), self.interrupt.clone());
        let branches = Arc::clone(branches);
        let round = move || {
            pools::in_background(|| run(&branches, &interrupt));
            drop(branches);
            std::thread::sleep(PAUSE);
            is_running.store(false, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("maintenance".into()).spawn(round);
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for maintenance");
            self.is_running.store(false, Ordering::Release);
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.interrupt.raise();
    }
}

fn run(branches: &Branches, interrupt: &Interrupt) {
    let version = &branches.main().revision.version;
    for (at, rows) in version.cubes.iter().enumerate() {
        rows.merge_if_due(interrupt);
        let aggregates = rows.aggregates();
        if !aggregates.is_due(rows) {
            continue;
        }
        let budget = rows.size_bytes() / 100 * AGGREGATES_PERCENT;
        let done = aggregates.maintain(version, CubeId::from_idx(at), budget, interrupt);
        if let Err(error) = done {
            tracing::debug!(%error, "aggregates stay as they are");
        }
    }
}
