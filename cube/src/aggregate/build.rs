//! Making an aggregate from all rows of a version.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::cells::{Cells, TermTotals, Totals};
use super::delta::Deltas;
use super::{Aggregate, Layout, Shape};
use crate::error::Result;
use crate::id::CubeId;
use crate::rollup::{Integers, Prepared};
use crate::segment::{RowSet, Segment, Selector};
use crate::version::Version;
use crate::view::Interrupt;

/// Rows that are added up at a time.
const BLOCK_ROWS: usize = 4_096;

impl Aggregate {
    /// The aggregate of a shape; none where it cannot be: of too many cells, or of totals that are too
    /// large.
    pub(super) fn build(
        shape: Shape,
        version: &Version,
        cube: CubeId,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>> {
        let Some(layout) = Layout::new(&shape, version, cube) else { return Ok(None) };
        let def = version.model.cube_def(cube);
        let terms = shape.terms.iter().map(|term| term.prepared(def));
        let terms = terms.collect::<Result<Vec<Prepared>>>()?;
        let base = Arc::clone(&version.cubes[cube.idx()]);
        let mut totals = Totals::zeros(layout.cell_count(), terms.len());
        let all = Selector::new(&[]);
        for view in base.segments() {
            interrupt.check()?;
            for rows in view.row_sets_with(&all, BLOCK_ROWS) {
                if totals.add(&view.segment, &rows, &layout, &terms).is_none() {
                    return Ok(None);
                }
            }
        }
        let cells = Cells::of(&totals);
        let reads = Arc::new(shape.reads());
        let (deltas, hits) = (Deltas::default(), Arc::new(AtomicU64::new(0)));
        let terms = Arc::new(terms);
        Ok(Some(Self { shape, layout, cells, terms, reads, base, deltas, hits }))
    }
}

impl Totals {
    fn zeros(cells: usize, terms: usize) -> Self {
        let term = |_| TermTotals { sums: vec![0; cells], counts: None };
        Self { rows: vec![0; cells], terms: (0..terms).map(term).collect() }
    }

    /// Adds rows up; none where that cannot be.
    fn add(
        &mut self,
        segment: &Segment,
        rows: &RowSet,
        layout: &Layout,
        terms: &[Prepared],
    ) -> Option<()> {
        let cells = layout.cells(segment, rows)?;
        for (term, totals) in terms.iter().zip(&mut self.terms) {
            let computed = term.values(segment, rows).ok()?;
            let is_full = computed.as_ref().is_some_and(|computed| computed.present.is_none());
            if !is_full && totals.counts.is_none() {
                totals.counts = Some(self.rows.clone());
            }
            if let Some(computed) = &computed {
                let present = computed.present.as_deref();
                match &computed.integers {
                    Integers::Narrow(values) => totals.add(&cells, values, present)?,
                    Integers::Wide(values) => {
                        let narrow = values.iter().map(|value| i64::try_from(*value).ok());
                        totals.add(&cells, &narrow.collect::<Option<Vec<_>>>()?, present)?;
                    }
                }
            }
        }
        cells.iter().for_each(|&cell| self.rows[cell as usize] += 1);
        Some(())
    }
}

impl TermTotals {
    fn add(&mut self, cells: &[u32], values: &[i64], present: Option<&[bool]>) -> Option<()> {
        let is_present = |at: usize| present.is_none_or(|present| present[at]);
        for (at, (&cell, &value)) in cells.iter().zip(values).enumerate() {
            if is_present(at) {
                let sum = &mut self.sums[cell as usize];
                *sum = sum.checked_add(value)?;
                if let Some(counts) = &mut self.counts {
                    counts[cell as usize] += 1;
                }
            }
        }
        Some(())
    }
}
