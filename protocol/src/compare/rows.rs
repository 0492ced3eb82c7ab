//! Which rows of one cube differ between two versions, found by what the versions do not share.
//!
//! A segment that both hold has the same rows in both; only those that one of them marks as dead
//! can differ. What is left is put in the order of the primary key and merged.

use std::cmp::Ordering;
use std::sync::Arc;

use cube::dimension::Dimension;
use cube::segment::{CubeRows, Segment, SegmentView};
use cube::view::MemoryGrant;
use cube::{CubeId, DimensionId, MeasureId, MemberId, View};

/// Rows between two looks at the interrupt.
const INTERRUPT_ROWS: usize = 1 << 16;

/// Where a row lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    segment: u32,
    row: u32,
}

/// The rows of a cube in one version that may differ from those in another, in the order of the
/// primary key.
pub(super) struct Side<'a> {
    /// The version.
    pub view: &'a View,
    /// The cube in it.
    pub cube: CubeId,
    dimensions: &'a [DimensionId],
    segments: &'a [SegmentView],
    places: Vec<Place>,
    /// Per dimension, the members by the ids that the other side has for them; none where they are
    /// the same.
    ids: Vec<Option<Vec<MemberId>>>,
    _memory: MemoryGrant,
}

impl<'a> Side<'a> {
    /// The rows of a cube that are not shared with `other`, with members numbered as in `leader`.
    pub fn new(
        view: &'a View,
        cube: CubeId,
        other: &CubeRows,
        leader: Option<(&View, CubeId)>,
    ) -> cube::Result<Self> {
        let version = &view.version;
        let rows = version.rows(cube);
        let dimensions = &version.model.cube_def(cube).dimensions;
        let count = rows.unshared(other).map(|(_, rows)| rows.len()).sum::<usize>();
        let memory = view.memory.reserve((count * size_of::<Place>()) as u64)?;
        let mut places = Vec::with_capacity(count);
        for (segment, rows) in rows.unshared(other) {
            view.interrupt.check()?;
            let segment = segment as u32;
            places.extend(rows.into_iter().map(|row| Place { segment, row }));
        }
        let ids = match leader {
            None => vec![None; dimensions.len()],
            Some((leader, cube)) => {
                let theirs = &leader.version.model.cube_def(cube).dimensions;
                let pairs = dimensions.iter().zip(theirs);
                let pair = |(own, other): (&DimensionId, &DimensionId)| {
                    renumbered(
                        &version.dimensions[own.idx()],
                        &leader.version.dimensions[other.idx()],
                    )
                };
                pairs.map(pair).collect()
            }
        };
        let segments = rows.segments();
        let mut side = Self { view, cube, dimensions, segments, places, ids, _memory: memory };
        side.keep_allowed();
        let mut places = std::mem::take(&mut side.places);
        // segments are sorted, so this is a merge of a few runs
        places.sort_by(|&a, &b| side.compare(a, &side, b));
        side.places = places;
        Ok(side)
    }

    /// Leaves out what the reader may not see.
    fn keep_allowed(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        for (position, &dimension) in self.dimensions.iter().enumerate() {
            if let Some(allowed) = self.view.allowed(dimension) {
                places.retain(|&place| allowed.contains(self.member(place, position).0));
            }
        }
        self.places = places;
    }

    fn segment(&self, place: Place) -> &Segment {
        &self.segments[place.segment as usize].segment
    }

    /// The member of a row, by this side's own id.
    pub fn member(&self, place: Place, position: usize) -> MemberId {
        self.segment(place).coordinates[position].get(place.row as usize)
    }

    /// The member of a row, by the id that both sides know.
    pub fn common_member(&self, place: Place, position: usize) -> MemberId {
        let member = self.member(place, position);
        self.ids[position].as_ref().map_or(member, |ids| ids[member.idx()])
    }

    /// The value of a row; blank where the segment is older than the measure.
    pub fn value(&self, place: Place, measure: MeasureId) -> Option<i64> {
        let values = self.segment(place).values.get(measure.idx());
        values.and_then(|values| values.get(place.row as usize))
    }

    /// How many dimensions the cube has.
    pub fn dimension_count(&self) -> usize {
        self.dimensions.len()
    }

    /// The text of a row's member.
    pub fn member_text(&self, place: Place, position: usize) -> String {
        let dimension = self.view.version.dimension(self.dimensions[position]);
        dimension.key(self.member(place, position)).to_owned()
    }

    /// The primary key of a row, as texts.
    pub fn key_texts(&self, place: Place) -> Vec<String> {
        let segment = self.segment(place);
        if segment.keys.is_empty() {
            return (0..self.dimensions.len()).map(|at| self.member_text(place, at)).collect();
        }
        let keys = &self.view.version.model.cube_def(self.cube).def.key;
        let parts = keys.iter().zip(&segment.keys);
        parts.map(|(key, column)| column.get(place.row as usize).format(key.key_type)).collect()
    }

    /// Compares the primary keys of two rows.
    fn compare(&self, place: Place, other: &Self, other_place: Place) -> Ordering {
        let (ours, theirs) = (self.segment(place), other.segment(other_place));
        if ours.keys.is_empty() {
            let positions = 0..self.dimensions.len();
            let each = positions.map(|position| {
                let member = self.common_member(place, position);
                member.cmp(&other.common_member(other_place, position))
            });
            return each.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal);
        }
        let (row, other_row) = (place.row as usize, other_place.row as usize);
        let parts = ours.keys.iter().zip(&theirs.keys);
        let each = parts.map(|(a, b)| a.compare(row, &b.get(other_row)));
        each.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// The ids of `leader` for the members of a dimension; those it does not know come behind. None
/// where they are the same.
fn renumbered(dimension: &Arc<Dimension>, leader: &Arc<Dimension>) -> Option<Vec<MemberId>> {
    let mut numbers = dimension.ids_in(leader)?;
    let unknown = numbers.iter_mut().filter(|number| **number == MemberId::NONE);
    for (number, behind) in unknown.zip(leader.member_count()..) {
        *number = MemberId::from_idx(behind);
    }
    Some(numbers)
}

/// Calls a function with every row of either side, in the order of the primary key: where it is on
/// each, if it is there.
pub(super) fn merge<E: From<cube::CubeError>>(
    from: &Side<'_>,
    to: &Side<'_>,
    mut visit: impl FnMut(Option<Place>, Option<Place>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut ours, mut theirs) = (from.places.iter().peekable(), to.places.iter().peekable());
    let mut visited: usize = 0;
    loop {
        if visited.is_multiple_of(INTERRUPT_ROWS) {
            from.view.interrupt.check()?;
        }
        visited += 1;
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(&&a), Some(&&b)) => from.compare(a, to, b),
        };
        let left = if order.is_le() { ours.next().copied() } else { None };
        let right = if order.is_ge() { theirs.next().copied() } else { None };
        visit(left, right)?;
    }
}
