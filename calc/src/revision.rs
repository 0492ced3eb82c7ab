//! A revision: a version in which every formula is up to date, and the plan that keeps it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::model::ModelChange;
use cube::{Change, Version};

use crate::branches::{Alone, Branches, WithMembers};
use crate::error::Result;
use crate::plan::Plan;
use crate::recompute::{Recompute, Recomputed};
use crate::units;

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
        let (revision, recomputed) = self.apply_step(changes, branches)?;
        if changes.iter().any(may_change_units) {
            revision.check_units(branches)?;
        }
        Ok((revision, recomputed))
    }

    /// The revision after some of the changes of a command: units need to fit after all of them.
    pub fn apply_step(
        &self,
        changes: &[Change],
        branches: &dyn Branches,
    ) -> Result<(Self, Recomputed)> {
        let branches = WithMembers { branches, version: &self.version };
        self.recomputed(|recompute| apply_all(recompute, changes, &branches))
    }

    fn check_units(&self, branches: &dyn Branches) -> Result<()> {
        let branches = WithMembers { branches, version: &self.version };
        units::check_all(&self.version.model, &self.plan, &branches)
    }

    /// What becomes of the revision; where there are too many texts, without those that no cell holds.
    fn recomputed(
        &self,
        change: impl Fn(&mut Recompute) -> Result<()>,
    ) -> Result<(Self, Recomputed)> {
        let changed = |version: Version| {
            let mut recompute = Recompute::new(version, Arc::clone(&self.plan));
            change(&mut recompute)?;
            recompute.finish()
        };
        match changed(Version::clone(&self.version)) {
            Err(error) if crate::CalcError::is_of_too_many_texts(&error) => {
                changed(Version::clone(&self.version).with_used_texts())
            }
            changed => changed,
        }
    }

    /// The revision after other branches have got new heads, which `branches` gives, too.
    pub fn follow(
        &self,
        heads: &BTreeMap<Arc<str>, Arc<Self>>,
        branches: &dyn Branches,
    ) -> Result<(Self, Recomputed)> {
        let followed = self.recomputed(|recompute| recompute.follow(heads, branches))?;
        let before = &self.plan.branches;
        let has_other_model = |(name, head): (&Arc<str>, &Arc<Self>)| {
            let old = before.get(name);
            old.is_some_and(|old| !Arc::ptr_eq(&old.version.model, &head.version.model))
        };
        if heads.iter().any(has_other_model) {
            followed.0.check_units(branches)?;
        }
        Ok(followed)
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
}

/// Whether units that fitted may not fit any more.
fn may_change_units(change: &Change) -> bool {
    matches!(
        change,
        Change::Model(
            ModelChange::SetFormula(_)
                | ModelChange::SetUnit { .. }
                | ModelChange::AddCubeDimension { .. }
        )
    )
}

fn apply_all(recompute: &mut Recompute, changes: &[Change], branches: &dyn Branches) -> Result<()> {
    let mut texts: &[Arc<str>] = &[];
    let is_model = |change: &Change| matches!(change, Change::Model(_));
    // definitions that follow each other are judged together: one may need the next
    for changes in changes.chunk_by(|a, b| is_model(a) && is_model(b)) {
        let change = &changes[0];
        match change {
            Change::Rows(write) => recompute.write_rows(write, texts)?,
            Change::Members(write) => recompute.write_members(write)?,
            Change::Dated(write) => recompute.write_dated(write)?,
            Change::Model(_) => apply_model(recompute, changes, branches)?,
            Change::Source(_) => {}
            Change::Texts(table) => texts = table,
        }
    }
    Ok(())
}

fn apply_model(
    recompute: &mut Recompute,
    changes: &[Change],
    branches: &dyn Branches,
) -> Result<()> {
    let definitions = || {
        changes.iter().filter_map(|change| match change {
            Change::Model(change) => Some(change),
            _ => None,
        })
    };
    for change in definitions() {
        if let ModelChange::RemoveFormula { target } = change {
            recompute.blank_formula(target)?;
        }
    }
    recompute.change_model(definitions(), branches)?;
    for change in definitions() {
        match change {
            ModelChange::SetFormula(formula) => recompute.measure_due(&formula.target)?,
            // what the formula took away from others is theirs again
            ModelChange::RemoveFormula { target } => recompute.measure_due(target)?,
            ModelChange::AddCubeDimension { cube, .. } => recompute.cube_due(cube)?,
            _ => {}
        }
    }
    // all at once: none is computed before what it reads
    recompute.drain()
}
