//! Immutable columns of rows sorted by primary key, and the set of them that is a cube's data.
//!
//! The primary key of a cells cube is the coordinate, that of a records cube the row key. A write
//! adds a small segment and marks the rows it replaces as dead in older ones; small neighbours are
//! merged so that their number stays logarithmic, larger ones beside writers. A key is alive in at most one segment.

mod column;
mod difference;
mod history;
mod ints;
mod key_filter;
mod leaf_column;
mod level_column;
mod mask;
mod merges;
mod postings;
mod replace;
mod row_set;
mod select;
mod widened;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::aggregate::Aggregates;
use crate::id::MemberId;
use crate::limits::{SEGMENT_ROWS_MAX, WRITE_MERGED_ROWS_MAX};
use crate::order;
use crate::value::KeyPart;
use crate::value_list::ValueList;

pub use column::{Codes, Keys, Presence, Values};
pub use ints::Ints;
pub use replace::Patch;
pub use row_set::RowSet;
pub use select::{Selector, ValueRange};

pub(crate) use difference::Reads;
pub(crate) use history::Step;

pub(crate) use leaf_column::LeafNumbering;

pub(crate) use select::Wanted;

use history::{History, STEP_ROWS_MAX};
use key_filter::{KeyFilter, KeyHash};
use leaf_column::{LeafColumns, LeafNumberings};
use level_column::LevelColumns;
use merges::{Merges, is_small};

use postings::Postings;

/// Keys that one thread looks for together.
const FIND_ROWS: usize = 4_096;

/// Rows in columns, not yet sorted. All columns have the same length.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Key columns (records).
    pub keys: Vec<Vec<KeyPart>>,
    /// One column of members per dimension.
    pub coordinates: Vec<Vec<MemberId>>,
    /// One column of values per measure, inputs and formulas alike.
    pub values: Vec<ValueList>,
}

impl Rows {
    /// No rows, of a shape.
    pub fn empty(key_width: usize, dimension_count: usize, measure_count: usize) -> Self {
        Self {
            keys: vec![Vec::new(); key_width],
            coordinates: vec![Vec::new(); dimension_count],
            values: vec![ValueList::new(); measure_count],
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        let keys = || self.keys.first().map(Vec::len);
        self.coordinates.first().map(Vec::len).or_else(keys).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compares the primary keys of two rows of two tables of one shape.
    pub fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        if self.keys.is_empty() {
            let pairs = self.coordinates.iter().zip(&other.coordinates);
            pairs.map(|(a, b)| a[row].cmp(&b[other_row])).find(|o| o.is_ne())
        } else {
            let pairs = self.keys.iter().zip(&other.keys);
            pairs.map(|(a, b)| a[row].cmp(&b[other_row])).find(|o| o.is_ne())
        }
        .unwrap_or(Ordering::Equal)
    }

    /// Appends a row of another table of the same shape.
    pub fn push_from(&mut self, other: &Self, row: usize) {
        for (column, from) in self.keys.iter_mut().zip(&other.keys) {
            column.push(from[row].clone());
        }
        for (column, from) in self.coordinates.iter_mut().zip(&other.coordinates) {
            column.push(from[row]);
        }
        for (column, from) in self.values.iter_mut().zip(&other.values) {
            column.push(from.get(row));
        }
    }

    /// The coordinate of a row: one member a dimension.
    pub fn coordinate(&self, row: usize) -> Vec<MemberId> {
        self.coordinates.iter().map(|column| column[row]).collect()
    }

    /// Whether a row has no value at all.
    pub fn is_blank(&self, row: usize) -> bool {
        self.values.iter().all(|column| column.get(row).is_none())
    }

    /// The rows in the order of the primary key.
    pub fn sorted(self) -> Self {
        order::sorted(self)
    }

    /// The rows at some positions.
    pub fn taken(&self, positions: &[usize]) -> Self {
        Self {
            keys: self
                .keys
                .iter()
                .map(|c| positions.iter().map(|&p| c[p].clone()).collect())
                .collect(),
            coordinates: self
                .coordinates
                .iter()
                .map(|c| positions.iter().map(|&p| c[p]).collect())
                .collect(),
            values: self.values.iter().map(|c| c.taken(positions)).collect(),
        }
    }

    /// Two adjacent rows with the same primary key, in sorted rows.
    pub fn first_duplicate(&self) -> Option<usize> {
        (1..self.len()).find(|&row| self.compare(row - 1, self, row).is_eq())
    }
}

/// An immutable run of rows, sorted by primary key. Its columns may be those of other segments too.
#[derive(Debug)]
pub struct Segment {
    row_count: usize,
    /// Key columns (records).
    pub keys: Vec<Arc<Keys>>,
    /// One column per dimension.
    pub coordinates: Vec<Arc<Codes>>,
    /// Smallest and largest member per dimension.
    pub zones: Vec<(MemberId, MemberId)>,
    /// One column per measure.
    pub values: Vec<Arc<Values>>,
    /// Per dimension, the rows of each member, made when they are first asked for.
    postings: Arc<Vec<OnceLock<Postings>>>,
    level_columns: Arc<LevelColumns>,
    leaf_columns: Arc<LeafColumns>,
    key_filter: Arc<KeyFilter>,
}

impl Segment {
    /// A segment of a range of sorted rows, at least one and no more than fit.
    pub(crate) fn new(rows: &Rows, range: Range<usize>) -> Self {
        debug_assert!(range.len() <= SEGMENT_ROWS_MAX, "a segment of {} rows", range.len());
        let zone = |members: &[MemberId]| {
            let min = members.iter().copied().min().unwrap_or(MemberId::NONE);
            (min, members.iter().copied().max().unwrap_or(MemberId::NONE))
        };
        let part = || range.clone();
        let (keys, members, values) = (&rows.keys, &rows.coordinates, &rows.values);
        Self {
            row_count: range.len(),
            keys: keys.iter().map(|column| Arc::new(Keys::new(&column[part()]))).collect(),
            coordinates: members.iter().map(|c| Arc::new(Codes::new(&c[part()]))).collect(),
            zones: members.iter().map(|column| zone(&column[part()])).collect(),
            values: values.iter().map(|column| Arc::new(Values::new(column, part()))).collect(),
            postings: Arc::new(members.iter().map(|_| OnceLock::new()).collect()),
            level_columns: Arc::default(),
            leaf_columns: Arc::default(),
            key_filter: Arc::default(),
        }
    }

    /// Number of rows, dead ones included.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// The rows of each member of one dimension.
    fn postings(&self, position: usize) -> &Postings {
        self.postings[position]
            .get_or_init(|| Postings::new(&self.coordinates[position], self.row_count))
    }

    /// Compares the primary keys of a row of this segment and of a row of `rows`.
    fn compare(&self, row: usize, rows: &Rows, other: usize) -> Ordering {
        if self.keys.is_empty() {
            let pairs = self.coordinates.iter().zip(&rows.coordinates);
            pairs.map(|(a, b)| a.get(row).cmp(&b[other])).find(|o| o.is_ne())
        } else {
            let pairs = self.keys.iter().zip(&rows.keys);
            pairs.map(|(a, b)| a.compare(row, &b[other])).find(|o| o.is_ne())
        }
        .unwrap_or(Ordering::Equal)
    }

    /// Where a row with the primary key of a row of `rows` is.
    fn find(&self, rows: &Rows, other: usize) -> Option<usize> {
        if self.keys.is_empty() {
            return self.find_at(|position| rows.coordinates[position][other]);
        }
        // most segments of rows that came in the order of their keys end before or begin after it
        let is_within = self.compare(0, rows, other).is_le()
            && self.compare(self.row_count - 1, rows, other).is_ge();
        if !is_within {
            return None;
        }
        self.search(|row| Some(self.compare(row, rows, other)).filter(|order| order.is_ne()))
    }

    /// Where a row with the members of a coordinate is (cells).
    fn find_at(&self, member: impl Fn(usize) -> MemberId) -> Option<usize> {
        let mut zones = self.zones.iter().enumerate();
        let is_within =
            zones.all(|(position, (min, max))| (min..=max).contains(&&member(position)));
        if !is_within {
            return None;
        }
        self.search(|row| {
            let columns = self.coordinates.iter().enumerate();
            columns.map(|(p, codes)| codes.get(row).cmp(&member(p))).find(|o| o.is_ne())
        })
    }

    /// The first row from `from` on whose primary key is not less than that of a row of `rows`: looked for in
    /// steps that double, as it is near where keys are searched in their order.
    fn place(&self, from: usize, rows: &Rows, other: usize) -> usize {
        let is_less = |row: usize| self.compare(row, rows, other).is_lt();
        let (mut low, mut high, mut step) = (from, from, 1);
        while high < self.row_count && is_less(high) {
            low = high + 1;
            high += step;
            step *= 2;
        }
        high = high.min(self.row_count);
        while low < high {
            let middle = low + (high - low) / 2;
            match is_less(middle) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// Binary search; `compare` says how a row's primary key differs from the one searched.
    fn search(&self, compare: impl Fn(usize) -> Option<Ordering>) -> Option<usize> {
        let (mut low, mut high) = (0, self.row_count);
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(middle) {
                Some(Ordering::Less) => low = middle + 1,
                Some(_) => high = middle,
                None => return Some(middle),
            }
        }
        None
    }

    /// Memory of the columns and of what was made of them, in bytes.
    pub fn size_bytes(&self) -> usize {
        let keys = self.keys.iter().map(|column| column.size_bytes());
        let coordinates = self.coordinates.iter().map(|codes| codes.ints().size_bytes());
        let values = self.values.iter().map(|values| values.size_bytes());
        let postings = self.postings.iter().filter_map(OnceLock::get).map(Postings::size_bytes);
        let columns: usize = keys.chain(coordinates).chain(values).chain(postings).sum();
        let made = self.leaf_columns.size_bytes() + self.key_filter.size_bytes();
        columns + self.level_columns.size_bytes() + made
    }

    /// Appends a row of this segment to `rows`.
    pub fn copy_row(&self, row: usize, rows: &mut Rows) {
        for (column, from) in rows.keys.iter_mut().zip(&self.keys) {
            column.push(from.get(row));
        }
        for (column, from) in rows.coordinates.iter_mut().zip(&self.coordinates) {
            column.push(from.get(row));
        }
        for (idx, column) in rows.values.iter_mut().enumerate() {
            // a measure declared later is blank in older segments
            column.push(self.values.get(idx).and_then(|values| values.get(row)));
        }
    }
}

/// A segment as one version sees it.
#[derive(Debug, Clone)]
pub struct SegmentView {
    /// The rows.
    pub segment: Arc<Segment>,
    /// Rows that newer segments replaced or that were removed.
    pub dead: Arc<RoaringBitmap>,
}

impl SegmentView {
    /// A segment of which all rows are alive.
    fn of(segment: Arc<Segment>) -> Self {
        Self { segment, dead: Arc::default() }
    }

    /// Number of rows that are alive.
    pub fn live_count(&self) -> usize {
        self.segment.row_count - usize::try_from(self.dead.len()).unwrap_or(usize::MAX)
    }

    /// The rows that are alive.
    pub fn live_rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.segment.row_count).filter(|&row| !self.dead.contains(row as u32))
    }

    /// Appends the rows that are alive, column by column.
    fn append_to(&self, rows: &mut Rows) {
        let segment = &self.segment;
        let live = match self.dead.is_empty() {
            true => RowSet::Run(0..segment.row_count as u32),
            false => RowSet::of_list(self.live_rows().map(|row| row as u32).collect()),
        };
        for (column, from) in rows.keys.iter_mut().zip(&segment.keys) {
            column.extend(live.iter().map(|row| from.get(row)));
        }
        for (column, from) in rows.coordinates.iter_mut().zip(&segment.coordinates) {
            column.append(&mut from.gathered(&live, |member| member));
        }
        for (idx, column) in rows.values.iter_mut().enumerate() {
            match segment.values.get(idx) {
                Some(values) => column.append(&values.taken(&live)),
                // a measure declared later is blank in older segments
                None => column.append(&ValueList::blank(live.len())),
            }
        }
    }
}

/// Where a row lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The segment, by its place among those of one version.
    pub segment: usize,
    /// The row of the segment.
    pub row: usize,
}

/// All rows of a cube in one version.
#[derive(Debug, Clone)]
pub struct CubeRows {
    segments: Vec<SegmentView>,
    /// Those that are alive.
    row_count: usize,
    /// Dead rows in segments that have more of them than others.
    wasted: usize,
    /// Segments of which two fit into one.
    small_count: usize,
    aggregates: Arc<Aggregates>,
    leaves: Arc<LeafNumberings>,
    merges: Arc<Merges>,
    history: History,
}

impl Default for CubeRows {
    fn default() -> Self {
        let (segments, history) = (Vec::new(), History::new());
        let (aggregates, leaves, merges) = Default::default();
        let (row_count, wasted, small_count) = (0, 0, 0);
        Self { segments, row_count, wasted, small_count, aggregates, leaves, merges, history }
    }
}

impl CubeRows {
    /// The segments, the oldest first.
    pub fn segments(&self) -> &[SegmentView] {
        &self.segments
    }

    /// The aggregates of the cube, which all its states share.
    pub fn aggregates(&self) -> &Arc<Aggregates> {
        &self.aggregates
    }

    /// The same rows, with aggregates of their own, of which there are none yet.
    #[must_use]
    pub fn without_aggregates(&self) -> Self {
        Self { aggregates: Arc::default(), ..self.clone() }
    }

    /// The steps that led from an earlier state to this one, if they are still known.
    pub(crate) fn steps_since(&self, earlier: &Self) -> Option<impl Iterator<Item = &Step>> {
        self.history.since(&earlier.history)
    }

    /// Other segments of the same cube.
    fn of_same_cube(&self, segments: Vec<SegmentView>, history: History) -> Self {
        let (mut row_count, mut wasted, mut small_count) = (0, 0, 0);
        for view in &segments {
            let live = view.live_count();
            row_count += live;
            wasted += view.wasted(live);
            small_count += usize::from(is_small(live));
        }
        let (aggregates, leaves) = (Arc::clone(&self.aggregates), Arc::clone(&self.leaves));
        let merges = Arc::clone(&self.merges);
        Self { segments, row_count, wasted, small_count, aggregates, leaves, merges, history }
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Memory of the segments, in bytes: of their columns, of what was made of them, and of the numbers of leaves.
    pub fn size_bytes(&self) -> usize {
        let segments: usize = self.segments.iter().map(|view| view.segment.size_bytes()).sum();
        segments + self.leaves.size_bytes()
    }

    /// Where the row with the primary key of a row of `rows` lives.
    pub fn find(&self, rows: &Rows, row: usize) -> Option<Location> {
        let hash = KeyHash::of(rows, row);
        self.newest(|segment| segment.may_have_key(hash).then(|| segment.find(rows, row))?)
    }

    /// Where the rows with the primary keys of sorted rows live.
    pub fn find_sorted(&self, sorted: &Rows) -> Vec<Option<Location>> {
        // one alone is looked for where it may be, and not in order
        if sorted.len() == 1 {
            return vec![self.find(sorted, 0)];
        }
        let found = |first: usize| {
            // where in each segment the next key is, or would be
            let mut places = vec![0; self.segments.len()];
            let rows = first..sorted.len().min(first + FIND_ROWS);
            let found = rows.map(move |row| {
                let newest_first = self.segments.iter().zip(&mut places).enumerate().rev();
                let mut found = newest_first.filter_map(|(segment, (view, place))| {
                    *place = view.segment.place(*place, sorted, row);
                    let at = *place;
                    let is_found = at < view.segment.row_count
                        && view.segment.compare(at, sorted, row).is_eq()
                        && !view.dead.contains(at as u32);
                    is_found.then_some(Location { segment, row: at })
                });
                found.next()
            });
            found.collect::<Vec<_>>()
        };
        if sorted.len() <= FIND_ROWS {
            return found(0);
        }
        let chunks = (0..sorted.len()).step_by(FIND_ROWS).collect::<Vec<_>>();
        chunks.into_par_iter().flat_map_iter(found).collect()
    }

    /// Whether a row may be there that has the primary key of one of some sorted rows.
    pub fn may_have(&self, sorted: &Rows) -> bool {
        let Some(last) = sorted.len().checked_sub(1) else { return false };
        self.segments.iter().any(|view| {
            let segment = &view.segment;
            segment.compare(0, sorted, last).is_le()
                && segment.compare(segment.row_count - 1, sorted, 0).is_ge()
        })
    }

    /// Where the cell with a coordinate lives: one member a dimension.
    pub fn find_at(&self, coordinate: &[MemberId]) -> Option<Location> {
        self.newest(|segment| segment.find_at(|position| coordinate[position]))
    }

    /// The row that is found and alive, of the newest segments first.
    fn newest(&self, find: impl Fn(&Segment) -> Option<usize>) -> Option<Location> {
        let newest_first = self.segments.iter().enumerate().rev();
        newest_first
            .filter_map(|(segment, view)| {
                let row = find(&view.segment)?;
                (!view.dead.contains(row as u32)).then_some(Location { segment, row })
            })
            .next()
    }

    /// Whether a row of a later state of these rows is the same one here, as far as is known without comparing.
    pub fn shares(&self, later: &Self, location: Location) -> bool {
        let segment = &later.segments[location.segment].segment;
        let own = self.segments.iter().rev().find(|view| Arc::ptr_eq(&view.segment, segment));
        own.is_some_and(|view| !view.dead.contains(location.row as u32))
    }

    /// Appends the row at a location to `rows`.
    pub fn copy_row(&self, location: Location, rows: &mut Rows) {
        self.segments[location.segment].segment.copy_row(location.row, rows);
    }

    /// The value of a measure at a location.
    pub fn value(&self, location: Location, measure: usize) -> Option<i64> {
        let segment = &self.segments[location.segment].segment;
        segment.values.get(measure).and_then(|values| values.get(location.row))
    }

    /// All rows, the oldest segment first.
    pub fn all(&self, mut rows: Rows) -> Rows {
        self.segments.iter().for_each(|view| view.append_to(&mut rows));
        rows
    }

    /// The rows with those at `replaced` dead and `added` in: sorted, with keys not alive elsewhere.
    #[must_use]
    pub fn with(&self, replaced: &[Location], added: &Rows) -> Self {
        let mut segments = self.segments.clone();
        for location in replaced {
            Arc::make_mut(&mut segments[location.segment].dead).insert(location.row as u32);
        }
        // for aggregates alone
        let is_told = !self.aggregates.is_empty() && replaced.len() + added.len() <= STEP_ROWS_MAX;
        let gone = is_told.then(|| self.apart(replaced, added));
        self.assembled(segments, added, |come| match gone {
            Some(gone) => self.history.with(Step::Rows { gone, come }),
            None => History::new(),
        })
    }

    /// The rows with many new ones: segments in the order of their keys, which are not alive elsewhere.
    pub(crate) fn with_segments(&self, added: Vec<Arc<Segment>>, shape: &Rows) -> Self {
        let mut segments = self.segments.clone();
        segments.extend(added.into_iter().map(SegmentView::of));
        merge_small(&mut segments, shape);
        self.of_same_cube(segments, History::new())
    }

    /// Members and values of rows as a segment of their own, in the shape of others.
    fn apart(&self, locations: &[Location], shape: &Rows) -> Option<Arc<Segment>> {
        let mut rows = Rows::empty(0, shape.coordinates.len(), shape.values.len());
        locations.iter().for_each(|location| self.copy_row(*location, &mut rows));
        (!rows.is_empty()).then(|| Arc::new(Segment::new(&rows, 0..rows.len())))
    }

    /// The live ones of some segments, and new ones for sorted rows with keys not alive in them. Few new
    /// rows are one segment, of which the history may tell.
    fn assembled(
        &self,
        mut segments: Vec<SegmentView>,
        added: &Rows,
        history: impl FnOnce(Option<Arc<Segment>>) -> History,
    ) -> Self {
        self.merges.replace_in(&mut segments);
        segments.retain(|view| view.live_count() > 0);
        let segment = |first: usize| {
            let range = first..added.len().min(first + SEGMENT_ROWS_MAX);
            SegmentView::of(Arc::new(Segment::new(added, range)))
        };
        match added.len() {
            0 => {}
            1..=SEGMENT_ROWS_MAX => segments.push(segment(0)),
            count => {
                let firsts = (0..count).into_par_iter().step_by(SEGMENT_ROWS_MAX);
                segments.par_extend(firsts.map(segment));
            }
        }
        let come = segments.last().filter(|_| !added.is_empty());
        let come = come.map(|view| Arc::clone(&view.segment));
        merge_small(&mut segments, added);
        self.of_same_cube(segments, history(come))
    }
}

/// Merges the newest segments while the last is at least half as large as the one before, which
/// keeps their number logarithmic and every row is rewritten a logarithmic number of times. More rows than a
/// writer waits for are merged in the background.
fn merge_small(segments: &mut Vec<SegmentView>, shape: &Rows) {
    let empty = || Rows::empty(shape.keys.len(), shape.coordinates.len(), shape.values.len());
    while let [.., before, last] = segments.as_slice() {
        let (small, large) = (last.live_count(), before.live_count());
        if small * 2 < large || small + large > WRITE_MERGED_ROWS_MAX {
            break;
        }
        let mut rows = empty();
        [before, last].into_iter().for_each(|view| view.append_to(&mut rows));
        let rows = rows.sorted();
        let merged = Segment::new(&rows, 0..rows.len());
        segments.truncate(segments.len() - 2);
        segments.push(SegmentView::of(Arc::new(merged)));
    }
}
