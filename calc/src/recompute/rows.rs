//! How the rows of an update differ from those that they replace.

use cube::MeasureId;
use cube::segment::Rows;
use cube::version::RowsUpdate;

use super::sums::Step;
use crate::points::Points;

/// Which rows that come or go make a difference to who reads a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// Those with a value.
    Values,
    /// Blank ones too: somebody takes the first or the last row, whatever it holds.
    Blanks,
}

/// How rows of an update differ from those they replace.
pub(super) struct RowChanges {
    /// Per row of the update, its row among the old ones; empty where all rows are new.
    old_row: Vec<Option<usize>>,
    /// Per row of the update, whether it is new or has other members; empty where all rows are new.
    is_fresh: Vec<bool>,
    removed: usize,
}

impl RowChanges {
    pub(super) fn new(old: &Rows, update: &RowsUpdate) -> Self {
        let removed = update.removed.len();
        let mut next = removed;
        let mut changes = Self { old_row: Vec::new(), is_fresh: Vec::new(), removed };
        for (row, before) in update.before.iter().enumerate() {
            let old_row = before.map(|_| {
                next += 1;
                next - 1
            });
            let moved = old_row.is_some_and(|old_row| {
                let mut pairs = old.coordinates.iter().zip(&update.rows.coordinates);
                pairs.any(|(before, after)| before[old_row] != after[row])
            });
            changes.old_row.push(old_row);
            changes.is_fresh.push(old_row.is_none() || moved);
        }
        changes
    }

    /// The coordinates, old and new, at which a measure may have changed, and by how much: of rows that come
    /// or go, those that count.
    pub(super) fn points(
        &self,
        measure: MeasureId,
        is_touched: bool,
        counting: Counting,
        old: &Rows,
        update: &RowsUpdate,
    ) -> (Points, Vec<Step>) {
        let axes = update.rows.coordinates.len();
        let mut points = Points::none(axes);
        let mut steps = Vec::new();
        let mut push = |rows: &Rows, row: usize, before: Option<i64>, after: Option<i64>| {
            steps.push(Step::new(before, after));
            points.len += 1;
            for (column, from) in points.columns.iter_mut().zip(&rows.coordinates) {
                column.get_or_insert_default().push(from[row]);
            }
        };
        let before = &old.values[measure.idx()];
        let after = &update.rows.values[measure.idx()];
        let removed = before.iter().take(self.removed).enumerate();
        let counts = |value: &Option<i64>| value.is_some() || counting == Counting::Blanks;
        removed
            .filter(|(_, value)| counts(value))
            .for_each(|(row, value)| push(old, row, value, None));
        for (row, value) in after.iter().enumerate() {
            match self.old_row(row) {
                Some(old_row) if self.is_fresh(row) => {
                    push(old, old_row, before.get(old_row), None);
                    push(&update.rows, row, None, value);
                }
                Some(old_row) if is_touched && before.get(old_row) != value => {
                    push(&update.rows, row, before.get(old_row), value);
                }
                None if counts(&value) => push(&update.rows, row, None, value),
                _ => {}
            }
        }
        (points, steps)
    }

    /// The row among the old ones of a row of the update.
    fn old_row(&self, row: usize) -> Option<usize> {
        self.old_row.get(row).copied().flatten()
    }

    /// Whether a row of the update is new or has other members.
    fn is_fresh(&self, row: usize) -> bool {
        self.is_fresh.get(row).copied().unwrap_or(true)
    }

    pub(super) fn fresh_rows(&self, update: &RowsUpdate) -> Vec<usize> {
        (0..update.rows.len()).filter(|&row| self.is_fresh(row)).collect()
    }

    /// Rows that are not fresh and have another value of a measure.
    pub(super) fn changed_rows(
        &self,
        measure: MeasureId,
        old: &Rows,
        update: &RowsUpdate,
    ) -> Vec<usize> {
        let before = &old.values[measure.idx()];
        let after = &update.rows.values[measure.idx()];
        let rows = self.old_row.iter().enumerate();
        rows.filter(|(row, _)| !self.is_fresh[*row])
            .filter_map(|(row, old_row)| Some((row, (*old_row)?)))
            .filter(|(row, old_row)| before.get(*old_row) != after.get(*row))
            .map(|(row, _)| row)
            .collect()
    }
}

/// The keys of some rows.
pub(super) fn keys_of(rows: &Rows, chosen: &[usize]) -> Rows {
    let keys = rows.keys.iter();
    let keys = keys.map(|column| chosen.iter().map(|&row| column[row].clone()).collect()).collect();
    // coordinates give the number of rows
    let coordinates = rows.coordinates.iter().take(1);
    let coordinates =
        coordinates.map(|column| chosen.iter().map(|&row| column[row]).collect()).collect();
    Rows { keys, coordinates, values: Vec::new() }
}
