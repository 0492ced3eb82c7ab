//! A revision: a version in which every formula is up to date, and the plan that keeps it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::model::ModelChange;
use cube::{Change, Version};

use crate::branches::{Alone, Branches};
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
    /// The revision after some changes, and what was computed again. An error leaves nothing. There
    /// are no other branches.
    pub fn apply(&self, changes: &[Change]) -> Result<(Self, Recomputed)> {
        self.apply_among(changes, &Alone)
    }

    /// The revision after some changes, and what was computed again. An error leaves nothing.
    pub fn apply_among(
        &self,
        changes: &[Change],
        branches: &dyn Branches,
    ) -> Result<(Self, Recomputed)> {
        let mut recompute = self.recompute();
        for change in changes {
            match change {
                Change::Rows(write) => recompute.write_rows(write)?,
                Change::Members(write) => recompute.write_members(write)?,
                Change::Dated(write) => recompute.write_dated(write)?,
                Change::Model(change) => self::apply_model(&mut recompute, change, branches)?,
                Change::Source(_) => {}
            }
        }
        Ok(recompute.finish())
    }

    /// The revision after other branches have got new heads, which `branches` gives, too.
    pub fn follow(
        &self,
        heads: &BTreeMap<Arc<str>, Arc<Self>>,
        branches: &dyn Branches,
    ) -> Result<(Self, Recomputed)> {
        let mut recompute = self.recompute();
        recompute.follow(heads, branches)?;
        Ok(recompute.finish())
    }

    /// The revision as the first of a new branch: what its formulas read on its base is on another
    /// branch now, with the same values.
    pub fn branched(&self, branches: &dyn Branches) -> Result<Self> {
        if self.plan.formulas.iter().all(|formula| formula.branches.is_empty()) {
            return Ok(self.clone());
        }
        let plan = Plan::compile(&self.version.model, branches)?;
        Ok(Self { version: Arc::clone(&self.version), plan: Arc::new(plan) })
    }

    fn recompute(&self) -> Recompute {
        Recompute::new(Version::clone(&self.version), Arc::clone(&self.plan))
    }
}

fn apply_model(
    recompute: &mut Recompute,
    change: &ModelChange,
    branches: &dyn Branches,
) -> Result<()> {
    if let ModelChange::RemoveFormula { target } = change {
        recompute.blank_formula(target)?;
    }
    recompute.change_model(change, branches)?;
    match change {
        ModelChange::SetFormula(formula) => recompute.fill_measure(&formula.target),
        // what the formula took away from others is theirs again
        ModelChange::RemoveFormula { target } => recompute.fill_measure(target),
        _ => Ok(()),
    }
}
