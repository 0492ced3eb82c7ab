//! Grouping: the combined code of a row, made of what each axis has for the row's member.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{Axis, Grain, Request};
use crate::dimension::{Dimension, LevelGroups};
use crate::error::{CubeError, Result};
use crate::id::MemberId;
use crate::limits::DENSE_GROUPS_MAX;
use crate::model::Cube;
use crate::segment::{RowSet, Segment};

/// Above so many members, a level column is read rather than a table of all members.
const MEMBER_TABLE_MAX: usize = 4_096;
/// Groups from the start are worth their room where there are no more for a row of the cube.
const DENSE_GROUPS_A_ROW: usize = 2;

/// How rows are grouped.
pub(super) struct GroupTables {
    pub axes: Vec<AxisTable>,
    /// Combined codes are below it.
    pub space: u128,
    /// Whether each combined code has a group from the start.
    pub is_dense: bool,
}

/// How an axis counts in the combined code of a row.
pub(super) struct AxisTable {
    position: usize,
    /// Groups of members that have one code each; none: the code is each member's own.
    groups: Option<Arc<LevelGroups>>,
    /// Per group or member, the place of its code among those that may be asked for.
    places: Arc<Vec<u32>>,
    /// Per place, the axis' code; none where they are the same.
    codes: Option<Vec<u32>>,
    /// Number of places.
    count: usize,
    /// What a place is multiplied by in the combined code: the first axis weighs most, so that
    /// combined codes sort like the axes' codes in order.
    stride: u128,
}

impl AxisTable {
    /// The axis' code at a combined code.
    pub fn code(&self, combined: u128) -> u32 {
        let place = (combined / self.stride % self.count.max(1) as u128) as u32;
        self.codes.as_ref().map_or(place, |codes| codes[place as usize])
    }
}

impl GroupTables {
    /// The tables of a request's axes, in a cube of so many rows.
    pub fn new(
        request: &Request<'_>,
        cube: &Cube,
        dimensions: &[&Dimension],
        filters: &[Option<RoaringBitmap>],
        row_count: usize,
    ) -> Result<Self> {
        let table = |axis| AxisTable::new(axis, cube, dimensions);
        let mut tables: Vec<AxisTable> = request.axes.iter().map(table).collect();
        let all = strides(tables.iter().map(|table| table.count));
        if !matches!(&all, Ok((_, space)) if *space <= DENSE_GROUPS_MAX as u128) {
            // codes that no wanted member has need no place
            for (table, axis) in tables.iter_mut().zip(&request.axes) {
                if let Some(wanted) = &filters[axis.position] {
                    table.keep_codes(wanted.iter().map(|member| axis.codes[member as usize]));
                }
            }
        }
        Self::of_tables(tables, row_count)
    }

    /// The tables of axes of which some codes are wanted.
    pub fn of_codes(
        request: &Request<'_>,
        cube: &Cube,
        dimensions: &[&Dimension],
        codes: impl Fn(&Axis) -> Vec<u32>,
        row_count: usize,
    ) -> Result<Self> {
        let table = |axis: &Axis| {
            let mut table = AxisTable::new(axis, cube, dimensions);
            table.keep_codes(codes(axis).into_iter());
            table
        };
        Self::of_tables(request.axes.iter().map(table).collect(), row_count)
    }

    fn of_tables(mut axes: Vec<AxisTable>, row_count: usize) -> Result<Self> {
        let (strides, space) = strides(axes.iter().map(|table| table.count))?;
        axes.iter_mut().zip(strides).for_each(|(table, stride)| table.stride = stride);
        let dense_max = DENSE_GROUPS_MAX.min(DENSE_GROUPS_A_ROW * row_count + 1);
        Ok(Self { axes, space, is_dense: space <= dense_max as u128 })
    }

    /// The combined code of every row.
    pub fn codes<C: Code>(&self, segment: &Segment, rows: &RowSet) -> Vec<C> {
        let mut codes = vec![C::default(); rows.len()];
        for axis in &self.axes {
            let stride = C::of(axis.stride);
            axis.visit(segment, rows, |at, place| codes[at].add(stride, place));
        }
        codes
    }
}

/// Integers that combined codes are made of.
pub(super) trait Code: Copy + Default {
    fn of(stride: u128) -> Self;
    fn add(&mut self, stride: Self, place: u32);
}

impl Code for u32 {
    fn of(stride: u128) -> Self {
        stride as Self
    }

    #[inline(always)]
    fn add(&mut self, stride: Self, place: u32) {
        *self += stride * place;
    }
}

impl Code for u128 {
    fn of(stride: u128) -> Self {
        stride
    }

    #[inline(always)]
    fn add(&mut self, stride: Self, place: u32) {
        *self += stride * Self::from(place);
    }
}

impl AxisTable {
    /// The table of an axis by itself: all its codes, each in its place.
    pub fn new(axis: &Axis, cube: &Cube, dimensions: &[&Dimension]) -> Self {
        let dimension = dimensions[axis.position];
        let groups = match axis.grain {
            Grain::Level(hierarchy, position) if dimension.member_count() > MEMBER_TABLE_MAX => {
                dimension.column_groups(cube.levels[axis.position], hierarchy, position)
            }
            _ => None,
        };
        let code = |first: &MemberId| axis.codes.get(first.idx()).copied().unwrap_or(0);
        let places = match &groups {
            Some(groups) => Arc::new(groups.first.iter().map(code).collect()),
            None => Arc::clone(&axis.codes),
        };
        let (position, count) = (axis.position, axis.cardinality as usize);
        Self { position, groups, places, codes: None, count, stride: 1 }
    }

    /// Whether the axis is of the dimension at a position.
    pub fn is_of(&self, position: usize) -> bool {
        self.position == position
    }

    /// What a member has in the combined code.
    pub fn combined(&self, member: MemberId) -> u128 {
        let idx = match &self.groups {
            Some(groups) => groups.codes[member.idx()] as usize,
            None => member.idx(),
        };
        self.stride * u128::from(self.places[idx])
    }

    /// Calls a function with each of some rows, counted from zero, and its place.
    #[inline]
    pub fn visit(&self, segment: &Segment, rows: &RowSet, mut visit: impl FnMut(usize, u32)) {
        let places = &self.places;
        match &self.groups {
            Some(groups) => {
                let column = segment.level_column(self.position, groups);
                column.visit(rows, |at, group| visit(at, places[group as usize]));
            }
            None => {
                let column = &segment.coordinates[self.position];
                column.visit(rows, |at, member| visit(at, places[member.idx()]));
            }
        }
    }

    /// Leaves places to some codes only.
    fn keep_codes(&mut self, codes: impl Iterator<Item = u32>) {
        let mut is_kept = vec![false; self.count];
        codes.for_each(|code| is_kept[code as usize] = true);
        let mut place_of = vec![0; self.count];
        let mut kept = Vec::new();
        for (code, _) in is_kept.iter().enumerate().filter(|(_, kept)| **kept) {
            place_of[code] = kept.len() as u32;
            kept.push(code as u32);
        }
        self.places = Arc::new(self.places.iter().map(|&code| place_of[code as usize]).collect());
        self.count = kept.len();
        self.codes = Some(kept);
    }
}

/// The first axis weighs most, so that combined codes sort like the axes' codes in order.
fn strides(cardinalities: impl DoubleEndedIterator<Item = usize>) -> Result<(Vec<u128>, u128)> {
    let mut space = 1u128;
    let mut strides = Vec::new();
    for cardinality in cardinalities.rev() {
        strides.push(space);
        space = space.checked_mul(cardinality.max(1) as u128).ok_or_else(|| {
            CubeError::Memory("the columns grouped by have more combinations than 2^128".into())
        })?;
    }
    strides.reverse();
    Ok((strides, space))
}
