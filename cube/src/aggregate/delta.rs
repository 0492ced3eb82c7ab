//! What a version has otherwise than the base of an aggregate: rows that went count against their
//! cells, rows that came count for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use super::cells::{Change, Chunk, ChunkTerm};
use super::{Aggregate, CELLS_A_MOVED_ROW, Layout, MOVED_ROWS, lock};
use crate::rollup::{Integers, Prepared};
use crate::segment::{CubeRows, Ints, RowSet, Segment, Step};

/// Rows that may differ before an aggregate is of no use.
const DELTA_ROWS_MAX: usize = 131_072;
/// Blocks of a delta are joined once they are so many.
const BLOCKS_MAX: usize = 32;
/// Versions whose deltas are kept: those of some branches.
const KEPT_MAX: usize = 4;

/// Differences by cell, in blocks that deltas share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delta(Vec<Arc<Block>>);

/// Differences; a cell may be there more than once.
#[derive(Debug)]
struct Block {
    cells: Vec<u32>,
    /// What is added to each.
    totals: Chunk,
}

/// The deltas of the newest versions that were read.
#[derive(Debug, Default)]
pub(super) struct Deltas(Mutex<KeptDeltas>);

#[derive(Debug, Default)]
struct KeptDeltas {
    /// The newest last.
    all: VecDeque<Kept>,
    /// The rows of the newest, from which the next delta is made; those of others are not held.
    newest: Option<Arc<CubeRows>>,
}

#[derive(Debug)]
struct Kept {
    rows: Weak<CubeRows>,
    /// Where the groups of these rows are.
    layout: Layout,
    /// None where it is too much.
    delta: Option<Arc<Delta>>,
}

impl Deltas {
    /// The delta of a version's rows, made from that of the version before.
    pub fn at(
        &self,
        aggregate: &Aggregate,
        layout: &Layout,
        rows: &Arc<CubeRows>,
    ) -> Option<Arc<Delta>> {
        let mut kept = lock(&self.0);
        let is_known = |known: &&Kept| std::ptr::eq(known.rows.as_ptr(), Arc::as_ptr(rows));
        if let Some(known) = kept.all.iter().find(is_known) {
            return known.delta.clone();
        }
        let from_newest = kept.newest.as_ref().zip(kept.all.back());
        let from_newest = from_newest.and_then(|(rows_before, newest)| {
            let before = (rows_before.as_ref(), &newest.layout);
            let block = Block::between(aggregate, before, (rows, layout))?;
            Some(newest.delta.as_ref()?.with(block))
        });
        let delta = from_newest.or_else(|| {
            let base = (aggregate.base.as_ref(), &aggregate.layout);
            let block = Block::between(aggregate, base, (rows, layout))?;
            Some(Delta::default().with(block))
        });
        let delta = delta.filter(|delta| delta.len() <= DELTA_ROWS_MAX).map(Arc::new);
        if kept.all.len() >= KEPT_MAX {
            kept.all.pop_front();
        }
        let weak = Arc::downgrade(rows);
        kept.all.push_back(Kept { rows: weak, layout: layout.clone(), delta: delta.clone() });
        let newest = delta.is_some().then(|| Arc::clone(rows));
        let before = std::mem::replace(&mut kept.newest, newest);
        // nobody else waits while the last to hold a version lets it go
        drop(kept);
        drop(before);
        delta
    }

    /// Memory of the differences.
    pub fn size_bytes(&self) -> usize {
        let kept = lock(&self.0);
        let newest = kept.all.back().and_then(|newest| newest.delta.as_ref());
        let bytes = |block: &Arc<Block>| block.cells.len() * 4 + block.totals.size_bytes();
        newest.map_or(0, |delta| delta.0.iter().map(bytes).sum())
    }
}

impl Delta {
    /// Number of differences.
    pub fn len(&self) -> usize {
        self.0.iter().map(|block| block.cells.len()).sum()
    }

    /// Whether there is so much that the base should be moved: each read looks at all of it, and moving takes the
    /// longer the more cells there are.
    pub fn is_large(&self, layout: &Layout) -> bool {
        let limit = layout.cell_count() / CELLS_A_MOVED_ROW;
        self.len() >= limit.clamp(*MOVED_ROWS.start(), *MOVED_ROWS.end())
    }

    /// Cells, and what is added to the one at each place; a cell more than once, perhaps.
    pub fn blocks(&self) -> impl Iterator<Item = (&[u32], &Chunk)> {
        self.0.iter().map(|block| (block.cells.as_slice(), &block.totals))
    }

    /// The differences with those of a later version to this one.
    fn with(&self, block: Block) -> Self {
        let mut blocks = self.0.clone();
        if !block.cells.is_empty() {
            blocks.push(Arc::new(block));
        }
        if blocks.len() <= BLOCKS_MAX {
            return Self(blocks);
        }
        // the largest stays as it is, as long as the others are small
        blocks.sort_by_key(|block| std::cmp::Reverse(block.cells.len()));
        let small: usize = blocks[1..].iter().map(|block| block.cells.len()).sum();
        let kept = usize::from(small * 2 < blocks[0].cells.len());
        // none where a sum is too large for a block
        if let Some(joined) = Block::joined(&blocks[kept..]) {
            blocks.truncate(kept);
            blocks.push(Arc::new(joined));
        }
        Self(blocks)
    }
}

impl Block {
    /// What some rows have otherwise than others, by the steps between them where these are known.
    fn between(
        aggregate: &Aggregate,
        before: (&CubeRows, &Layout),
        after: (&CubeRows, &Layout),
    ) -> Option<Self> {
        Self::of_steps(aggregate, before.0, after).or_else(|| Self::of(aggregate, before, after))
    }

    /// The same by the rows themselves; none where that is too much or has no place. Each
    /// has its own places: members that only one of two branches has may be in other groups there.
    fn of(
        aggregate: &Aggregate,
        (before, places_before): (&CubeRows, &Layout),
        (after, places_after): (&CubeRows, &Layout),
    ) -> Option<Self> {
        let difference = after.difference(before, &aggregate.reads, DELTA_ROWS_MAX)?;
        let mut collected = Collected::new(aggregate.terms.len());
        collected.add(places_before, before, &difference.gone, -1, &aggregate.terms)?;
        collected.add(places_after, after, &difference.come, 1, &aggregate.terms)?;
        Some(collected.block())
    }

    /// What a few steps changed; none where these are not known, or not what they changed.
    fn of_steps(
        aggregate: &Aggregate,
        before: &CubeRows,
        (after, places): (&CubeRows, &Layout),
    ) -> Option<Self> {
        let steps = after.steps_since(before)?;
        let mut collected = Collected::new(aggregate.terms.len());
        for step in steps {
            match step {
                Step::Rows { gone, come } => {
                    for (segment, sign) in [(gone, -1), (come, 1)] {
                        let Some(segment) = segment else { continue };
                        collected.add_all(places, segment, sign, &aggregate.terms)?;
                    }
                }
                Step::Values(measure) if aggregate.reads.measures.contains(measure) => return None,
                Step::Values(_) => {}
            }
        }
        Some(collected.block())
    }

    /// The differences of several blocks, each cell once, those that cancel out left out.
    fn joined(blocks: &[Arc<Self>]) -> Option<Self> {
        let mut order: Vec<(u32, usize, usize)> = Vec::new();
        for (idx, block) in blocks.iter().enumerate() {
            order.extend(block.cells.iter().enumerate().map(|(at, &cell)| (cell, idx, at)));
        }
        order.sort_unstable();
        let mut joined = Collected::new(blocks.first()?.totals.terms.len());
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let mut change = Change::default();
            same.iter().for_each(|&(_, idx, at)| change.add(&blocks[idx].totals, at));
            joined.push(same[0].0, &change)?;
        }
        Some(joined.block())
    }
}

/// Differences as they are found.
struct Collected {
    cells: Vec<u32>,
    rows: Vec<i64>,
    /// Per term.
    sums: Vec<Vec<i64>>,
    counts: Vec<Vec<i64>>,
}

impl Collected {
    fn new(terms: usize) -> Self {
        let columns = || vec![Vec::new(); terms];
        Self { cells: Vec::new(), rows: Vec::new(), sums: columns(), counts: columns() }
    }

    /// Takes in all rows of a segment, which came (1) or went (-1); none where one has no place or is too
    /// large.
    fn add_all(
        &mut self,
        layout: &Layout,
        segment: &Segment,
        sign: i64,
        terms: &[Prepared],
    ) -> Option<()> {
        let rows = RowSet::Run(0..segment.row_count() as u32);
        self.cells.extend(layout.cells(segment, &rows)?);
        self.rows.resize(self.cells.len(), sign);
        for (idx, term) in terms.iter().enumerate() {
            let (sums, counts) = (&mut self.sums[idx], &mut self.counts[idx]);
            let Some(computed) = term.values(segment, &rows).ok()? else {
                sums.resize(self.cells.len(), 0);
                counts.resize(self.cells.len(), 0);
                continue;
            };
            let integers = match computed.integers {
                Integers::Narrow(integers) => integers,
                Integers::Wide(integers) => {
                    let narrow = integers.into_iter().map(|integer| i64::try_from(integer).ok());
                    narrow.collect::<Option<_>>()?
                }
            };
            if integers.contains(&i64::MIN) {
                return None;
            }
            let Some(present) = computed.present else {
                sums.extend(integers.iter().map(|integer| integer * sign));
                counts.resize(self.cells.len(), sign);
                continue;
            };
            for (integer, is_there) in integers.into_iter().zip(present) {
                self.push_value(idx, is_there.then_some(integer), sign)?;
            }
        }
        Some(())
    }

    fn push_value(&mut self, term: usize, value: Option<i64>, sign: i64) -> Option<()> {
        self.sums[term].push(value.unwrap_or(0).checked_mul(sign)?);
        self.counts[term].push(if value.is_some() { sign } else { 0 });
        Some(())
    }

    /// The same of some rows of segments.
    fn add(
        &mut self,
        layout: &Layout,
        rows: &CubeRows,
        of_segments: &[(usize, Vec<u32>)],
        sign: i64,
        terms: &[Prepared],
    ) -> Option<()> {
        let start = self.cells.len();
        let count: usize = of_segments.iter().map(|(_, listed)| listed.len()).sum();
        self.cells.resize(start + count, 0);
        self.rows.resize(start + count, sign);
        // rows lie far apart: all are asked for before one is waited for
        let each = || {
            of_segments.iter().flat_map(|(position, listed)| {
                let segment = &rows.segments()[*position].segment;
                listed.iter().map(move |&row| (segment.as_ref(), row as usize))
            })
        };
        for (segment, row) in each() {
            layout.axes.iter().for_each(|axis| axis.places.fetch(segment, row));
            terms.iter().for_each(|term| term.fetch(segment, row));
        }
        for axis in &layout.axes {
            for (cell, (segment, row)) in self.cells[start..].iter_mut().zip(each()) {
                let place = axis.places.of_row(segment, row)?;
                if place >= axis.count {
                    return None;
                }
                *cell += place * axis.stride;
            }
        }
        for (idx, term) in terms.iter().enumerate() {
            for (segment, row) in each() {
                self.push_value(idx, term.value(segment, row)?, sign)?;
            }
        }
        Some(())
    }

    fn push(&mut self, cell: u32, change: &Change) -> Option<()> {
        if change.is_nothing() {
            return Some(());
        }
        self.cells.push(cell);
        self.rows.push(change.rows);
        for (idx, (sum, count)) in change.terms.iter().enumerate() {
            self.sums[idx].push(i64::try_from(*sum).ok()?);
            self.counts[idx].push(*count);
        }
        Some(())
    }

    fn block(self) -> Block {
        let terms = self.sums.iter().zip(&self.counts).map(|(sums, counts)| ChunkTerm {
            sums: Ints::new(sums),
            counts: (*counts != self.rows).then(|| Ints::new(counts)),
        });
        let totals = Chunk { rows: Ints::new(&self.rows), terms: terms.collect() };
        Block { cells: self.cells, totals }
    }
}
