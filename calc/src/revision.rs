//! A revision: a version in which every formula is up to date, and the plan that keeps it so.

use std::sync::Arc;

use cube::model::ModelChange;
use cube::{Change, Version};

use crate::error::Result;
use crate::plan::Plan;
use crate::recompute::{Recompute, Recomputed};

/// What a tenant publishes after every command.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// Model, members and rows.
    pub version: Arc<Version>,
    /// The model's formulas.
    pub plan: Arc<Plan>,
}

impl Revision {
    /// The revision after some changes, and what was computed again. An error leaves nothing.
    pub fn apply(&self, changes: &[Change]) -> Result<(Self, Recomputed)> {
        let mut recompute = Recompute::new(Version::clone(&self.version), Arc::clone(&self.plan));
        for change in changes {
            match change {
                Change::Rows(write) => recompute.write_rows(write)?,
                Change::Members(write) => recompute.write_members(write)?,
                Change::Dated(write) => recompute.write_dated(write)?,
                Change::Model(change) => self::apply_model(&mut recompute, change)?,
                Change::Source(_) => {}
            }
        }
        recompute.finish()
    }
}

fn apply_model(recompute: &mut Recompute, change: &ModelChange) -> Result<()> {
    if let ModelChange::RemoveFormula { target } = change {
        recompute.blank_formula(target)?;
    }
    recompute.change_model(change)?;
    match change {
        ModelChange::SetFormula(formula) => recompute.fill_measure(&formula.target),
        // what the formula took away from others is theirs again
        ModelChange::RemoveFormula { target } => recompute.fill_measure(target),
        _ => Ok(()),
    }
}
