//! Replacing the values of one measure, which leaves keys, coordinates and other measures as they
//! are and so shares them.

use std::sync::Arc;

use rayon::prelude::*;

use super::column::Values;
use super::history::History;
use super::ints::Ints;
use super::{CubeRows, RowSet, Rows, Segment, SegmentView, Step};
use crate::id::MeasureId;
use crate::limits::{PATCHED_ROWS_SHARE, SMALL_SEGMENT_ROWS};
use crate::value_list::ValueList;

/// Fewer rows than this are not worth another thread.
const PARALLEL_ROWS: usize = 32_768;

/// New values of one measure in some rows of a segment.
#[derive(Debug, Clone)]
pub struct Patch {
    /// The segment, by its place among those of the version.
    pub segment: usize,
    /// The rows, all alive.
    pub rows: RowSet,
    /// Per row its value, zero where blank.
    pub values: Vec<i64>,
    /// Per row, whether it has one; absent where all have.
    pub present: Option<Vec<bool>>,
}

impl Patch {
    /// Whether the row at a place has a value.
    fn is_present(&self, at: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present[at])
    }

    /// The rows with their new values.
    fn changes(&self) -> impl Iterator<Item = (usize, Option<i64>)> + '_ {
        let value = |at: usize| self.is_present(at).then(|| self.values[at]);
        self.rows.iter().enumerate().map(move |(at, row)| (row, value(at)))
    }
}

impl CubeRows {
    /// The rows with values of one measure replaced by those of patches, which name each row once.
    ///
    /// A small segment, or one of which many rows change, gets a new column and shares the others:
    /// rows keep their places. Of others the few rows move to a new small segment. A row left without
    /// any value goes away unless `keeps_blank`.
    #[must_use]
    pub fn with_values(&self, measure: usize, patches: &[Patch], keeps_blank: bool) -> Self {
        let mut ordered: Vec<&Patch> = patches.iter().collect();
        ordered.sort_by_key(|patch| patch.segment);
        let of_segments: Vec<&[&Patch]> = ordered.chunk_by(|a, b| a.segment == b.segment).collect();
        let rewritten = |patches: &&[&Patch]| {
            let segment = &self.segments[patches[0].segment].segment;
            let (row_count, count) = (segment.row_count(), count_of(patches));
            let is_rewritten =
                row_count <= SMALL_SEGMENT_ROWS || count > row_count / PATCHED_ROWS_SHARE;
            is_rewritten.then(|| Arc::new(segment.with_values(measure, patches)))
        };
        let rewritten: Vec<Option<Arc<Segment>>> = if count_of(&ordered) < PARALLEL_ROWS {
            of_segments.iter().map(rewritten).collect()
        } else {
            of_segments.par_iter().map(rewritten).collect()
        };
        let mut segments = self.segments.clone();
        let mut moved = self.empty_rows(measure + 1);
        for (patches, rewritten) in of_segments.into_iter().zip(rewritten) {
            let view = &mut segments[patches[0].segment];
            if !keeps_blank {
                view.remove_blank(measure, patches);
            }
            match rewritten {
                Some(segment) => view.segment = segment,
                None => view.move_rows(measure, patches, &mut moved),
            }
        }
        if moved.is_empty() {
            let left: usize = segments.iter().map(SegmentView::live_count).sum();
            let history = match left == self.row_count() {
                true => self.history.with(Step::Values(MeasureId::from_idx(measure))),
                false => History::new(),
            };
            segments.retain(|view| view.live_count() > 0);
            self.of_same_cube(segments, history)
        } else {
            self.assembled(segments, &moved.sorted(), |_| History::new())
        }
    }

    /// The rows with other codes for the values of one measure; dead rows are left without one.
    #[must_use]
    pub fn recoded(&self, measure: usize, code: impl Fn(i64) -> i64) -> Self {
        let recoded = |view: &SegmentView| {
            let Some(values) = view.segment.values.get(measure) else { return view.clone() };
            let live = |row: &usize| !view.dead.contains(*row as u32);
            let value = |row: usize| Some(row).filter(live).and_then(|row| values.get(row));
            let row_count = view.segment.row_count();
            let values: ValueList = (0..row_count).map(|row| value(row).map(&code)).collect();
            let segment = view.segment.with_column(measure, Values::new(&values, 0..row_count));
            SegmentView { segment: Arc::new(segment), dead: Arc::clone(&view.dead) }
        };
        let history = self.history.with(Step::Values(MeasureId::from_idx(measure)));
        self.of_same_cube(self.segments.iter().map(recoded).collect(), history)
    }

    /// No rows, of a shape that holds those of all segments.
    fn empty_rows(&self, measure_count: usize) -> Rows {
        let Some(view) = self.segments.first() else { return Rows::default() };
        let counts = self.segments.iter().map(|view| view.segment.values.len());
        let measure_count = counts.fold(measure_count, usize::max);
        Rows::empty(view.segment.keys.len(), view.segment.coordinates.len(), measure_count)
    }
}

fn count_of(patches: &[&Patch]) -> usize {
    patches.iter().map(|patch| patch.rows.len()).sum()
}

impl SegmentView {
    /// Marks the rows dead that patches leave without any value.
    fn remove_blank(&mut self, measure: usize, patches: &[&Patch]) {
        for patch in patches.iter().filter(|patch| patch.present.is_some()) {
            for (row, value) in patch.changes() {
                if value.is_none() && self.segment.is_blank_but(row, measure) {
                    Arc::make_mut(&mut self.dead).insert(row as u32);
                }
            }
        }
    }

    /// Marks the rows dead and appends them to `moved` as they will be, those that are dead already
    /// left out.
    fn move_rows(&mut self, measure: usize, patches: &[&Patch], moved: &mut Rows) {
        for (row, value) in patches.iter().flat_map(|patch| patch.changes()) {
            if Arc::make_mut(&mut self.dead).insert(row as u32) {
                self.segment.copy_row(row, moved);
                let last = moved.len() - 1;
                moved.values[measure].set(last, value);
            }
        }
    }
}

impl Segment {
    /// The segment with another column of one measure.
    fn with_values(&self, measure: usize, patches: &[&Patch]) -> Self {
        let column = match self.values.get(measure) {
            Some(values) => values.with(patches),
            None => Values::blank(self.row_count).with(patches),
        };
        self.with_column(measure, column)
    }

    /// The segment with another column of one measure, all else shared.
    fn with_column(&self, measure: usize, column: Values) -> Self {
        let mut values = self.values.clone();
        if values.len() <= measure {
            values.resize(measure + 1, Arc::new(Values::blank(self.row_count)));
        }
        values[measure] = Arc::new(column);
        Self {
            row_count: self.row_count,
            keys: self.keys.clone(),
            coordinates: self.coordinates.clone(),
            zones: self.zones.clone(),
            values,
            postings: Arc::clone(&self.postings),
            level_columns: Arc::clone(&self.level_columns),
            leaf_columns: Arc::clone(&self.leaf_columns),
            key_filter: Arc::clone(&self.key_filter),
        }
    }

    /// Whether a row has no value but that of one measure.
    fn is_blank_but(&self, row: usize, measure: usize) -> bool {
        let mut others = self.values.iter().enumerate().filter(|(idx, _)| *idx != measure);
        others.all(|(_, values)| values.get(row).is_none())
    }
}

impl Values {
    /// The values with those of patches in their place.
    fn with(&self, patches: &[&Patch]) -> Self {
        let is_whole = is_whole(patches, self.ints().len());
        let changes = patches.iter().flat_map(|patch| patch.rows.iter().zip(&patch.values));
        let ints = match is_whole {
            true => {
                Ints::new(&patches.iter().map(|p| p.values.as_slice()).collect::<Vec<_>>().concat())
            }
            false => self.ints().with(changes.map(|(row, &value)| (row, value))),
        };
        let all_present = patches.iter().all(|patch| patch.present.is_none());
        if all_present && (is_whole || self.presence().is_none()) {
            return Self::full(ints);
        }
        let mut presence = self.presence_of_all();
        for patch in patches {
            for (at, row) in patch.rows.iter().enumerate() {
                match patch.is_present(at) {
                    true => presence.insert(row),
                    false => presence.remove(row),
                }
            }
        }
        Self::normal(ints, presence)
    }
}

/// Whether patches are runs from the first row to the last.
fn is_whole(patches: &[&Patch], row_count: usize) -> bool {
    let end = patches.iter().try_fold(0, |end, patch| {
        let run = patch.rows.as_run()?;
        (run.start == end).then_some(run.end)
    });
    end == Some(row_count)
}
