//! Cells that a formula cannot compute. A revision has none: whether a change is refused follows from
//! the state that it leaves, not from what is computed on the way there. Until all is done such cells are blank.

use std::collections::{BTreeMap, BTreeSet};

use super::{Due, Recompute, keys_of};
use crate::check::Formula;
use crate::error::Result;
use crate::evaluate::Session;
use crate::points::{Block, Points};

impl Recompute {
    /// Notes cells or rows at which a formula failed.
    pub(super) fn note_failed(&mut self, formula: &Formula, block: &Block) {
        let due = self.failed.entry(formula.target.clone()).or_default();
        match &block.origin {
            Some(origin) if formula.frame.rows.is_some() => {
                let mut rows = self.version.empty_rows(formula.cube);
                let location = |at: usize| block.location(at);
                (0..origin.rows.len()).filter_map(location).for_each(|location| {
                    self.version.rows(formula.cube).copy_row(location, &mut rows);
                });
                let all: Vec<usize> = (0..rows.len()).collect();
                due.rows.push(std::sync::Arc::new(keys_of(&rows, &all)));
            }
            _ => {
                let block = std::slice::from_ref(block);
                due.points.push(Points::of_blocks(block, formula.frame.axes.len()));
            }
        }
    }

    /// Computes what failed once more, as long as this changes something: what a formula reads may have come
    /// to be after it ran. What fails then is an error.
    pub(super) fn settle(&mut self) -> Result<()> {
        while !self.failed.is_empty() {
            for (target, due) in std::mem::take(&mut self.failed) {
                // a formula that is gone computes nothing
                if let Some(place) = self.plan.place_of(&target) {
                    let pending = self.pending.entry(place).or_default();
                    pending.points.extend(due.points);
                    pending.rows.extend(due.rows);
                }
            }
            self.is_changed = false;
            self.drain()?;
            if !self.is_changed {
                return self.raise();
            }
        }
        Ok(())
    }

    /// The error of the first cell, in declared order, of the formula that fails first.
    fn raise(&mut self) -> Result<()> {
        let mut failed: BTreeMap<usize, Due> = std::mem::take(&mut self.failed)
            .into_iter()
            .filter_map(|(target, due)| Some((self.plan.place_of(&target)?, due)))
            .collect();
        let Some(place) = self.cause(&failed.keys().copied().collect()) else { return Ok(()) };
        let formula = &self.plan.formulas[place];
        let session = Session::new(&self.version, &self.plan.tables, &formula.target);
        let blocks = self.due_blocks(formula, failed.remove(&place).unwrap_or_default())?;
        let cells = blocks.iter().flat_map(|block| (0..block.len).map(move |at| (block, at)));
        let first = cells.min_by_key(|(block, at)| session.order_key(&formula.frame, block, *at));
        let Some((block, at)) = first else { return Ok(()) };
        let def = self.version.model.cube_def(formula.cube).measure_def(formula.measure);
        let cell = block.taken(&[at as u32]);
        let assigned_as = (def.value_type, def.rounding);
        Err(session.cell_error(&formula.node, &formula.frame, &cell, assigned_as)?)
    }

    /// Of formulas that fail, one that needs none of the others; of several the first by its target, so that
    /// it does not matter in which order they were defined.
    fn cause(&self, failed: &BTreeSet<usize>) -> Option<usize> {
        let formulas = &self.plan.formulas;
        let needs_another = |&place: &usize| {
            let (mut seen, mut next) = (BTreeSet::from([place]), vec![place]);
            while let Some(reader) = next.pop() {
                for (read, formula) in formulas.iter().enumerate() {
                    let is_read = formulas[reader].reads.contains(&(formula.cube, formula.measure));
                    if is_read && seen.insert(read) {
                        next.push(read);
                    }
                }
            }
            failed.iter().any(|other| *other != place && seen.contains(other))
        };
        failed.iter().copied().min_by_key(|place| (needs_another(place), &formulas[*place].target))
    }
}
