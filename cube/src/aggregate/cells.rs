//! The totals of an aggregate: a dense array over the product of its keys, in chunks that versions of
//! it share, each column as narrow as its chunk allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Delta;
use crate::segment::Ints;

/// Cells of a chunk.
pub(crate) const CHUNK_CELLS: usize = 4_096;

/// Totals by cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    /// None where no cell of it has rows.
    chunks: Vec<Option<Arc<Chunk>>>,
}

/// Totals of cells that follow each other.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// Rows of each.
    pub rows: Ints,
    /// One a term.
    pub terms: Vec<ChunkTerm>,
}

/// Totals of one term.
#[derive(Debug, Clone)]
pub(crate) struct ChunkTerm {
    pub sums: Ints,
    /// Values that were added up; none where each row has one.
    pub counts: Option<Ints>,
}

/// Totals as they are added up: per cell.
pub(super) struct Totals {
    pub rows: Vec<u32>,
    pub terms: Vec<TermTotals>,
}

/// Those of one term.
pub(super) struct TermTotals {
    pub sums: Vec<i64>,
    /// None as long as each row had a value.
    pub counts: Option<Vec<u32>>,
}

impl Cells {
    /// The totals, packed.
    pub(super) fn of(totals: &Totals) -> Self {
        let starts = (0..totals.rows.len()).step_by(CHUNK_CELLS);
        let chunk = |start: usize| {
            let run = start..totals.rows.len().min(start + CHUNK_CELLS);
            let rows = &totals.rows[run.clone()];
            if rows.iter().all(|rows| *rows == 0) {
                return None;
            }
            let term = |term: &TermTotals| {
                let counts = term.counts.as_ref().map(|counts| &counts[run.clone()]);
                ChunkTerm {
                    sums: Ints::new(&term.sums[run.clone()]),
                    counts: counts.filter(|counts| *counts != rows).map(ints_of),
                }
            };
            let terms = totals.terms.iter().map(term).collect();
            Some(Arc::new(Chunk { rows: ints_of(rows), terms }))
        };
        Self { chunks: starts.map(chunk).collect() }
    }

    /// The chunk of a cell, and the cell's place in it.
    pub fn chunk(&self, cell: u32) -> Option<&Chunk> {
        self.chunks.get(cell as usize / CHUNK_CELLS)?.as_deref()
    }

    /// The totals with what a delta adds; none where one does not fit.
    pub fn with(&self, delta: &Delta) -> Option<Self> {
        let mut by_chunk: BTreeMap<usize, BTreeMap<usize, Change>> = BTreeMap::new();
        for (cells, totals) in delta.blocks() {
            for (at, &cell) in cells.iter().enumerate() {
                let (chunk, place) = (cell as usize / CHUNK_CELLS, cell as usize % CHUNK_CELLS);
                let change = by_chunk.entry(chunk).or_default().entry(place).or_default();
                change.add(totals, at);
            }
        }
        let mut chunks = self.chunks.clone();
        for (chunk, changes) in by_chunk {
            if chunks.len() <= chunk {
                chunks.resize(chunk + 1, None);
            }
            let term_count = changes.values().next().map_or(0, |change| change.terms.len());
            let before =
                chunks[chunk].clone().unwrap_or_else(|| Arc::new(Chunk::empty(term_count)));
            chunks[chunk] = Some(Arc::new(before.with(&changes)?));
        }
        Some(Self { chunks })
    }

    /// Memory of the totals.
    pub fn size_bytes(&self) -> usize {
        let each = self.chunks.iter().flatten().map(|chunk| chunk.size_bytes());
        each.sum::<usize>() + self.chunks.len() * size_of::<Option<Arc<Chunk>>>()
    }
}

fn ints_of(counts: &[u32]) -> Ints {
    Ints::of(counts.iter().map(|count| i64::from(*count)))
}

/// What is added to one cell: rows, and per term to the sum and to the number of values.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub rows: i64,
    pub terms: Vec<(i128, i64)>,
}

impl Change {
    pub fn is_nothing(&self) -> bool {
        self.rows == 0 && self.terms.iter().all(|term| *term == (0, 0))
    }

    pub fn add(&mut self, totals: &Chunk, at: usize) {
        self.rows += totals.rows.get(at);
        self.terms.resize(totals.terms.len(), (0, 0));
        for (idx, (sum, count)) in self.terms.iter_mut().enumerate() {
            *sum += i128::from(totals.terms[idx].sums.get(at));
            *count += totals.counts(idx).get(at);
        }
    }
}

impl Chunk {
    /// Number of values that each sum of a term has.
    pub fn counts(&self, term: usize) -> &Ints {
        self.terms[term].counts.as_ref().unwrap_or(&self.rows)
    }

    fn empty(term_count: usize) -> Self {
        let zeros = || Ints::repeated(0, CHUNK_CELLS);
        let terms = (0..term_count).map(|_| ChunkTerm { sums: zeros(), counts: None });
        Self { rows: zeros(), terms: terms.collect() }
    }

    fn with(&self, changes: &BTreeMap<usize, Change>) -> Option<Self> {
        let rows =
            changed(&self.rows, changes.iter().map(|(at, change)| (*at, change.rows.into())))?;
        let terms = self.terms.iter().enumerate().map(|(idx, term)| {
            let sums = changes.iter().map(|(at, change)| (*at, change.terms[idx].0));
            let sums = changed(&term.sums, sums)?;
            let is_full = changes.values().all(|change| change.terms[idx].1 == change.rows);
            if term.counts.is_none() && is_full {
                return Some(ChunkTerm { sums, counts: None });
            }
            let counts = changes.iter().map(|(at, change)| (*at, change.terms[idx].1.into()));
            let counts = changed(term.counts.as_ref().unwrap_or(&self.rows), counts)?;
            Some(ChunkTerm { sums, counts: Some(counts) })
        });
        let terms = terms.collect::<Option<Vec<_>>>()?;
        Some(Self { rows, terms })
    }

    pub fn size_bytes(&self) -> usize {
        let term = |term: &ChunkTerm| {
            term.sums.size_bytes() + term.counts.as_ref().map_or(0, Ints::size_bytes)
        };
        size_of::<Self>() + self.rows.size_bytes() + self.terms.iter().map(term).sum::<usize>()
    }
}

/// Integers with something added in some places.
fn changed(ints: &Ints, changes: impl Iterator<Item = (usize, i128)>) -> Option<Ints> {
    let added = |(at, more): (usize, i128)| {
        Some((at, i64::try_from(i128::from(ints.get(at)) + more).ok()?))
    };
    let changes = changes.map(added).collect::<Option<Vec<_>>>()?;
    Some(ints.with(changes.into_iter()))
}
