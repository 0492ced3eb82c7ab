//! Replacing the values of one measure, which leaves keys, coordinates and other measures as they
//! are and so shares them.

use std::borrow::Cow;
use std::sync::Arc;

use super::column::Values;
use super::{CubeRows, Location, Rows, Segment, SegmentView};
use crate::limits::{PATCHED_ROWS_SHARE, SMALL_SEGMENT_ROWS};

/// A row and its new value.
type ValueChange = (Location, Option<i64>);

impl CubeRows {
    /// The rows with values of one measure replaced at some places, each alive and named once.
    ///
    /// A small segment, or one of which many rows change, gets a new column and shares the others:
    /// rows keep their places. Of others the few rows move to a new small segment. A row left without
    /// any value goes away unless `keeps_blank`.
    #[must_use]
    pub fn with_values(
        &self,
        measure: usize,
        changes: &[(Location, Option<i64>)],
        keeps_blank: bool,
    ) -> Self {
        let mut segments = self.segments.clone();
        let mut moved = self.empty_rows(measure + 1);
        let changes = by_segment(changes);
        for changes in changes.chunk_by(|a, b| a.0.segment == b.0.segment) {
            let view = &mut segments[changes[0].0.segment];
            view.remove_blank(measure, changes, keeps_blank);
            let row_count = view.segment.row_count();
            if row_count <= SMALL_SEGMENT_ROWS || changes.len() > row_count / PATCHED_ROWS_SHARE {
                view.segment = Arc::new(view.segment.with_values(measure, changes));
            } else {
                view.move_rows(measure, changes, &mut moved);
            }
        }
        if moved.is_empty() {
            segments.retain(|view| view.live_count() > 0);
            Self { segments }
        } else {
            Self::assembled(segments, &moved.sorted())
        }
    }

    /// The rows with other codes for the values of one measure; dead rows are left without one.
    #[must_use]
    pub fn recoded(&self, measure: usize, code: impl Fn(i64) -> i64) -> Self {
        let recoded = |view: &SegmentView| {
            let Some(values) = view.segment.values.get(measure) else { return view.clone() };
            let live = |row: &usize| !view.dead.contains(*row as u32);
            let value = |row: usize| Some(row).filter(live).and_then(|row| values.get(row));
            let values: Vec<Option<i64>> =
                (0..view.segment.row_count()).map(|row| value(row).map(&code)).collect();
            let segment = view.segment.with_column(measure, Values::new(&values));
            SegmentView { segment: Arc::new(segment), dead: Arc::clone(&view.dead) }
        };
        Self { segments: self.segments.iter().map(recoded).collect() }
    }

    /// No rows, of a shape that holds those of all segments.
    fn empty_rows(&self, measure_count: usize) -> Rows {
        let Some(view) = self.segments.first() else { return Rows::default() };
        let counts = self.segments.iter().map(|view| view.segment.values.len());
        let measure_count = counts.fold(measure_count, usize::max);
        Rows::empty(view.segment.keys.len(), view.segment.coordinates.len(), measure_count)
    }
}

/// The changes of each segment side by side.
fn by_segment(changes: &[ValueChange]) -> Cow<'_, [ValueChange]> {
    if changes.is_sorted_by_key(|(location, _)| location.segment) {
        return Cow::Borrowed(changes);
    }
    let mut ordered = changes.to_vec();
    ordered.sort_by_key(|(location, _)| location.segment);
    Cow::Owned(ordered)
}

impl SegmentView {
    /// Marks the rows dead that the changes leave without any value.
    fn remove_blank(&mut self, measure: usize, changes: &[ValueChange], keeps_blank: bool) {
        if keeps_blank {
            return;
        }
        for (location, value) in changes {
            if value.is_none() && self.segment.is_blank_but(location.row, measure) {
                Arc::make_mut(&mut self.dead).insert(location.row as u32);
            }
        }
    }

    /// Marks the rows dead and appends them to `moved` as they will be, those that are dead already
    /// left out.
    fn move_rows(&mut self, measure: usize, changes: &[ValueChange], moved: &mut Rows) {
        for &(location, value) in changes {
            if Arc::make_mut(&mut self.dead).insert(location.row as u32) {
                self.segment.copy_row(location.row, moved);
                moved.values[measure].pop();
                moved.values[measure].push(value);
            }
        }
    }
}

impl Segment {
    /// The segment with another column of one measure.
    fn with_values(&self, measure: usize, changes: &[ValueChange]) -> Self {
        let rows = changes.iter().map(|&(location, value)| (location.row, value));
        let column = match self.values.get(measure) {
            Some(values) => values.with(rows),
            None => Values::blank(self.row_count).with(rows),
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
        }
    }

    /// Whether a row has no value but that of one measure.
    fn is_blank_but(&self, row: usize, measure: usize) -> bool {
        let mut others = self.values.iter().enumerate().filter(|(idx, _)| *idx != measure);
        others.all(|(_, values)| values.get(row).is_none())
    }
}
