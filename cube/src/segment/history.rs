//! The last steps that led to the rows of a cube: what a write changed, for those who keep something
//! that follows from rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Segment;
use crate::id::MeasureId;

/// Rows of a step that is remembered.
pub(super) const STEP_ROWS_MAX: usize = 8_192;
/// Steps that are remembered.
const STEPS_MAX: usize = 16;

/// What one write did.
#[derive(Debug)]
pub(crate) enum Step {
    /// Rows went and others came; members and values of both, without keys.
    Rows { gone: Option<Arc<Segment>>, come: Option<Arc<Segment>> },
    /// A measure has other values.
    Values(MeasureId),
}

/// Which state of a cube's rows this is, and the steps that led to it.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// A number that no other state has.
    state: u64,
    /// The newest last, each with the state before it.
    steps: Vec<(u64, Arc<Step>)>,
}

fn next_state() -> u64 {
    static STATES: AtomicU64 = AtomicU64::new(0);
    STATES.fetch_add(1, Ordering::Relaxed)
}

impl History {
    /// A state of which nothing is known.
    pub fn new() -> Self {
        Self { state: next_state(), steps: Vec::new() }
    }

    /// The state after one more step.
    pub fn with(&self, step: Step) -> Self {
        let kept = self.steps.len().saturating_sub(STEPS_MAX - 1);
        let steps = self.steps[kept..].iter().cloned().chain([(self.state, Arc::new(step))]);
        Self { state: next_state(), steps: steps.collect() }
    }

    /// The steps from an earlier state; none where they are not known any more.
    pub fn since(&self, earlier: &Self) -> Option<impl Iterator<Item = &Step>> {
        let first = match self.state == earlier.state {
            true => self.steps.len(),
            false => self.steps.iter().position(|(before, _)| *before == earlier.state)?,
        };
        Some(self.steps[first..].iter().map(|(_, step)| step.as_ref()))
    }
}
