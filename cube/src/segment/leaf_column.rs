//! Leaf columns: per row of a segment the number of its leaf, which is its coordinate without one dimension; kept once
//! they were asked for.
//!
//! A leaf has the same number in all segments and states of a cube. Numbers say which members a leaf has and nothing
//! about what these are, so they stay right whatever becomes of members.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::ints::Ints;
use super::{CubeRows, RowSet, Segment};
use crate::error::Result;
use crate::view::Interrupt;

/// Leaves are numbered anew where there are more than so many for each row that the cube had: most have gone.
const LEAVES_A_ROW: usize = 2;
/// Leaf columns of one segment that are kept.
const KEPT_MAX: usize = 2;

/// What is known of a cube's leaves, one numbering for each dimension left out.
#[derive(Debug, Default)]
pub(super) struct LeafNumberings(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    numbering: Arc<LeafNumbering>,
    /// Rows of the largest state that asked.
    rows_max: usize,
}

/// The numbers of leaves.
#[derive(Debug)]
pub(crate) struct LeafNumbering {
    /// Position of the dimension that is left out.
    without: usize,
    /// What columns know it by.
    identity: Arc<()>,
    /// Per dimension that is not, but for the first, the numbers of members up to it: by the number up to the dimension
    /// before, and the member.
    steps: Mutex<Vec<Step>>,
}

type Step = HashMap<(u32, u32), u32, FixedState>;

/// The leaf columns of a segment.
#[derive(Debug, Default)]
pub(super) struct LeafColumns(Mutex<Vec<LeafColumn>>);

#[derive(Debug)]
struct LeafColumn {
    /// Of the numbering, which goes away where nobody asks it any more.
    identity: Arc<()>,
    numbers: Arc<Ints>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LeafNumberings {
    /// The leaves without one of so many dimensions, for a state of so many rows.
    fn numbering(&self, without: usize, dimensions: usize, rows: usize) -> Arc<LeafNumbering> {
        let new = || Arc::new(LeafNumbering::new(without, dimensions));
        let mut all = locked(&self.0);
        let Some(kept) = all.iter_mut().find(|kept| kept.numbering.without == without) else {
            let numbering = new();
            all.push(Kept { numbering: Arc::clone(&numbering), rows_max: rows });
            return numbering;
        };
        kept.rows_max = kept.rows_max.max(rows);
        if kept.numbering.len() > LEAVES_A_ROW * kept.rows_max {
            *kept = Kept { numbering: new(), rows_max: rows };
        }
        Arc::clone(&kept.numbering)
    }

    /// Memory of the numbers.
    pub fn size_bytes(&self) -> usize {
        locked(&self.0).iter().map(|kept| kept.numbering.size_bytes()).sum()
    }
}

impl LeafNumbering {
    fn new(without: usize, dimensions: usize) -> Self {
        let steps = (0..dimensions.saturating_sub(2)).map(|_| Step::default());
        Self { without, identity: Arc::default(), steps: Mutex::new(steps.collect()) }
    }

    /// Numbers are below it.
    fn len(&self) -> usize {
        locked(&self.steps).last().map_or(0, Step::len)
    }

    fn size_bytes(&self) -> usize {
        let entry = size_of::<(u32, u32, u32)>() + 1;
        locked(&self.steps).iter().map(|step| step.capacity() * entry).sum()
    }

    /// The number of each row's leaf.
    fn numbers(&self, segment: &Segment) -> Ints {
        let every = RowSet::Run(0..segment.row_count() as u32);
        let columns = segment.coordinates.iter().enumerate();
        let mut columns =
            columns.filter(|(position, _)| *position != self.without).map(|(_, column)| column);
        let first = columns.next();
        let mut numbers = first.map_or(Vec::new(), |codes| codes.gathered(&every, |m| m.0));
        for (step, codes) in locked(&self.steps).iter_mut().zip(columns) {
            let mut last = None;
            codes.visit(&every, |row, member| {
                let key = (numbers[row], member.0);
                numbers[row] = match last {
                    // rows of one leaf follow each other where the dimension left out comes last
                    Some((same, number)) if same == key => number,
                    _ => {
                        let next = step.len() as u32;
                        *step.entry(key).or_insert(next)
                    }
                };
                last = Some((key, numbers[row]));
            });
        }
        Ints::of(numbers.iter().map(|&number| i64::from(number)))
    }
}

impl LeafColumns {
    /// Memory of the columns.
    pub fn size_bytes(&self) -> usize {
        locked(&self.0).iter().map(|column| column.numbers.size_bytes()).sum()
    }
}

impl Segment {
    /// Per row, the number of its leaf.
    pub(crate) fn leaf_column(&self, numbering: &LeafNumbering) -> Arc<Ints> {
        let mut columns = locked(&self.leaf_columns.0);
        let is_same = |column: &&LeafColumn| Arc::ptr_eq(&column.identity, &numbering.identity);
        if let Some(column) = columns.iter().find(is_same) {
            return Arc::clone(&column.numbers);
        }
        let numbers = Arc::new(numbering.numbers(self));
        if columns.len() >= KEPT_MAX {
            columns.remove(0);
        }
        let identity = Arc::clone(&numbering.identity);
        columns.push(LeafColumn { identity, numbers: Arc::clone(&numbers) });
        numbers
    }
}

impl CubeRows {
    /// Numbers of the leaves of all rows without a dimension, and how many there may be; none where a leaf is one
    /// member or less.
    pub(crate) fn leaf_numbers(
        &self,
        without: usize,
        interrupt: &Interrupt,
    ) -> Result<Option<(Arc<LeafNumbering>, usize)>> {
        let dimensions = self.segments.first().map_or(0, |view| view.segment.coordinates.len());
        if dimensions < 3 {
            return Ok(None);
        }
        let numbering = self.leaves.numbering(without, dimensions, self.row_count);
        for view in &self.segments {
            interrupt.check()?;
            view.segment.leaf_column(&numbering);
        }
        let count = numbering.len();
        Ok(Some((numbering, count)))
    }
}
