//! The rows of a write as columns in the order of the primary key.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::Version;
use crate::blocks::{self, BLOCK_ROWS};
use crate::change::{RowsAction, RowsWrite};
use crate::dictionary::Interner;
use crate::error::{CubeError, Result};
use crate::id::{MeasureId, MemberId};
use crate::model::{Cube, MeasureDef};
use crate::order::Order;
use crate::segment::Rows;
use crate::value::{KeyPart, ValueType};
use crate::value_list::ValueList;

/// A write whose columns have the lengths that they should have.
pub(super) struct Input<'a> {
    version: &'a Version,
    write: &'a RowsWrite,
    cube: &'a Cube,
    pub row_count: usize,
    order: Order,
}

impl<'a> Input<'a> {
    /// Finds the order of the rows. Ragged columns are an error.
    pub fn new(version: &'a Version, write: &'a RowsWrite, cube: &'a Cube) -> Result<Self> {
        let (key_width, dimension_count) = (cube.def.key.len(), cube.dimensions.len());
        let row_count = write.row_count(key_width, dimension_count);
        let removes_records = write.action == RowsAction::Remove && key_width > 0;
        let fits = write.keys.len() == row_count * key_width
            && (removes_records || write.coordinates.len() == row_count * dimension_count)
            && (write.action == RowsAction::Remove
                || write.values.len() == row_count * write.measures.len());
        if !fits {
            return Err(CubeError::Inconsistent(format!(
                "rows of {} have ragged columns",
                cube.def.name
            )));
        }
        let order = Order { positions: None, duplicate: None };
        let mut input = Self { version, write, cube, row_count, order };
        if !write.is_in_order(key_width, dimension_count) {
            let mut rows = Rows { keys: input.keys(), ..Rows::default() };
            if key_width == 0 {
                rows.coordinates = input.coordinates();
            }
            input.order = Order::new(&rows);
        }
        Ok(input)
    }

    /// The first row, in the order of the primary key, that has the key of the one before it.
    pub fn duplicate(&self) -> Option<usize> {
        self.order.duplicate
    }

    /// All rows as a table, with values in the columns of their measures.
    pub fn rows(&self, texts: &[Arc<str>], interner: &mut Interner) -> Result<Rows> {
        let (write, cube) = (self.write, self.cube);
        let removes_records = write.action == RowsAction::Remove && !cube.def.key.is_empty();
        let coordinates = if removes_records {
            vec![vec![MemberId(0); self.row_count]; cube.dimensions.len()]
        } else {
            let columns = self.coordinates();
            self.check_members(&columns)?;
            columns
        };
        let mut rows = Rows { keys: self.keys(), coordinates, values: Vec::new() };
        rows.values = vec![ValueList::blank(self.row_count); cube.def.measures.len()];
        if write.action == RowsAction::Set {
            let range = 0..self.row_count;
            let values = |position| self.numbers(position, range.clone());
            let columns = side_by_side(self.row_count, write.measures.len(), values);
            for (position, (&measure, column)) in write.measures.iter().zip(columns).enumerate() {
                let def = self.measure(measure)?;
                rows.values[measure.idx()] = match column {
                    _ if def.value_type == ValueType::Text => {
                        let mut codes = ValueList::new();
                        let list = self.codes(position, texts, interner)?;
                        self.append(&list, 1, 0, range.clone(), &mut codes);
                        codes
                    }
                    Some(column) => column,
                    None => return Err(self.too_large(position, def)),
                };
            }
        }
        Ok(rows)
    }

    fn measure(&self, measure: MeasureId) -> Result<&'a MeasureDef> {
        self.cube.def.measures.get(measure.idx()).ok_or_else(|| {
            CubeError::Inconsistent(format!("no measure {} in {}", measure.0, self.cube.def.name))
        })
    }

    fn keys(&self) -> Vec<Vec<KeyPart>> {
        self.columns(&self.write.keys, self.cube.def.key.len())
    }

    fn coordinates(&self) -> Vec<Vec<MemberId>> {
        self.columns(&self.write.coordinates, self.cube.dimensions.len())
    }

    /// The columns of what stands row by row.
    fn columns<T: Clone + Send + Sync>(&self, row_major: &[T], width: usize) -> Vec<Vec<T>> {
        side_by_side(self.row_count, width, |position| {
            let mut column = Vec::with_capacity(self.row_count);
            let positions = self.order.positions.as_deref();
            extend(row_major, width, position, positions, 0..self.row_count, &mut column);
            column
        })
    }

    /// Refuses members that hold no facts; the first of them as the rows were written.
    fn check_members(&self, columns: &[Vec<MemberId>]) -> Result<()> {
        let holds = |position: usize| FactMembers::new(self, position).hold(&columns[position]);
        let hold_facts = side_by_side(self.row_count, columns.len(), holds);
        let Some(position) = hold_facts.iter().position(|holds| !holds) else { return Ok(()) };
        let mut members = self.write.coordinates.iter().skip(position).step_by(columns.len());
        let holds = |member| self.version.holds_facts(self.write.cube, position, member);
        match members.find(|&&member| !holds(member)) {
            None => Ok(()),
            Some(member) => Err(CubeError::Inconsistent(format!(
                "member {} of dimension {} holds no facts",
                member.0, self.cube.def.dimensions[position]
            ))),
        }
    }

    /// The values of a measure of the write as they stand there.
    fn written(&self, position: usize) -> impl Iterator<Item = Option<i64>> {
        let values = &self.write.values;
        (position..values.len()).step_by(self.write.measures.len()).map(|at| values.get(at))
    }

    /// Values of a measure in a range of the ordered rows; none where one is not within its type. Those of texts
    /// are places.
    fn numbers(&self, position: usize, range: Range<usize>) -> Option<ValueList> {
        let (values, width) = (&self.write.values, self.write.measures.len());
        if values.is_blank() {
            return Some(ValueList::blank(range.len()));
        }
        let mut column = ValueList::with_capacity(range.len());
        self.append(values, width, position, range, &mut column);
        let def = self.cube.def.measures.get(self.write.measures[position].idx());
        let limit = def.map_or(u64::MAX, |def| def.value_type.limit());
        let fits = column.integers().iter().all(|integer| integer.unsigned_abs() <= limit);
        fits.then_some(column)
    }

    /// Appends one column of values that stand row by row.
    fn append(
        &self,
        values: &ValueList,
        width: usize,
        position: usize,
        range: Range<usize>,
        column: &mut ValueList,
    ) {
        match &self.order.positions {
            None => column.append_places(values, range.map(|row| row * width + position)),
            Some(positions) => {
                let places = positions[range].iter().map(|row| row * width + position);
                column.append_places(values, places);
            }
        }
    }

    fn too_large(&self, position: usize, def: &MeasureDef) -> CubeError {
        let mut values = self.written(position).flatten();
        let wrong = values.try_for_each(|v| def.value_type.check_range(v.into()).map(|_| ()));
        wrong.err().unwrap_or_else(|| {
            CubeError::Inconsistent(format!("a value of {} does not fit", def.name))
        })
    }

    /// The codes of the texts of a measure, as they stand in the write.
    fn codes(
        &self,
        position: usize,
        texts: &[Arc<str>],
        interner: &mut Interner,
    ) -> Result<ValueList> {
        let def = self.measure(self.write.measures[position])?;
        let mut codes = vec![None; texts.len()];
        let code = |value: Option<i64>| {
            let Some(place) = value else { return Ok(None) };
            let at = usize::try_from(place).ok().filter(|at| *at < texts.len());
            let at = at.ok_or_else(|| {
                CubeError::Inconsistent(format!("no text {place} before {}", def.name))
            })?;
            if codes[at].is_none() {
                codes[at] = Some(interner.code(&texts[at])?);
            }
            Ok(codes[at])
        };
        self.written(position).map(code).collect()
    }
}

/// Rows of a write that are all new, range by range: no table of all of them is made.
pub(super) struct NewRows<'a> {
    input: &'a Input<'a>,
    members: Vec<FactMembers<'a>>,
    /// Per measure of the write, the codes of its texts.
    codes: Vec<Option<ValueList>>,
}

impl<'a> NewRows<'a> {
    /// What is needed of all rows; none where something is unusual about them, which [`Input::rows`] tells.
    pub fn new(input: &'a Input<'a>, texts: &[Arc<str>], interner: &mut Interner) -> Option<Self> {
        let write = input.write;
        let has_blank_rows = || {
            let width = write.measures.len();
            let is_blank = |row: usize| {
                (row * width..(row + 1) * width).all(|at| write.values.get(at).is_none())
            };
            let some = |rows: Range<usize>| rows.into_iter().all(|row| !is_blank(row));
            !blocks::all(input.row_count, some)
        };
        let is_cells = input.cube.def.key.is_empty();
        if is_cells && (write.measures.is_empty() || !write.values.is_full() && has_blank_rows()) {
            return None;
        }
        let mut codes = Vec::new();
        for (position, &measure) in write.measures.iter().enumerate() {
            let is_twice = write.measures[..position].contains(&measure);
            let def = input.measure(measure).ok().filter(|_| !is_twice)?;
            let is_text = def.value_type == ValueType::Text;
            codes.push(match is_text {
                true => Some(input.codes(position, texts, interner).ok()?),
                false => None,
            });
        }
        let axes = 0..input.cube.dimensions.len();
        let members = axes.map(|position| FactMembers::new(input, position)).collect();
        Some(Self { input, members, codes })
    }

    /// A range of the ordered rows; none where a member or a value may not be there.
    pub fn rows(&self, range: Range<usize>) -> Option<Rows> {
        let Input { write, cube, .. } = self.input;
        let (key_width, axes, width) =
            (cube.def.key.len(), cube.dimensions.len(), write.measures.len());
        let mut rows = Rows::empty(key_width, axes, 0);
        rows.keys.iter_mut().for_each(|column| column.reserve_exact(range.len()));
        rows.coordinates.iter_mut().for_each(|column| column.reserve_exact(range.len()));
        let mut values = vec![ValueList::with_capacity(range.len()); width];
        let positions = self.input.order.positions.as_deref();
        // a block at a time, so that what stands row by row is read from memory once
        let mut first = range.start;
        while first < range.end {
            let block = first..range.end.min(first + BLOCK_ROWS / 4);
            first = block.end;
            for (at, column) in rows.keys.iter_mut().enumerate() {
                extend(&write.keys, key_width, at, positions, block.clone(), column);
            }
            for (at, column) in rows.coordinates.iter_mut().enumerate() {
                extend(&write.coordinates, axes, at, positions, block.clone(), column);
            }
            for (at, (column, codes)) in values.iter_mut().zip(&self.codes).enumerate() {
                match codes {
                    None => self.input.append(&write.values, width, at, block.clone(), column),
                    Some(codes) => self.input.append(codes, 1, 0, block.clone(), column),
                }
            }
        }
        let mut members = self.members.iter().zip(&rows.coordinates);
        if !members.all(|(members, column)| members.hold(column)) {
            return None;
        }
        rows.values = vec![ValueList::blank(range.len()); cube.def.measures.len()];
        for (measure, column) in write.measures.iter().zip(values) {
            let limit = cube.def.measures[measure.idx()].value_type.limit();
            if !column.integers().iter().all(|integer| integer.unsigned_abs() <= limit) {
                return None;
            }
            rows.values[measure.idx()] = column;
        }
        Some(rows)
    }
}

/// The members of one dimension that rows may name.
struct FactMembers<'a> {
    input: &'a Input<'a>,
    position: usize,
    /// Per member, found once where there are not more of them than rows.
    known: Option<Vec<bool>>,
}

impl<'a> FactMembers<'a> {
    fn new(input: &'a Input<'a>, position: usize) -> Self {
        let dimension = input.version.dimension(input.cube.dimensions[position]);
        let is_worth_it = dimension.member_count() <= input.row_count;
        let holds = |member| input.version.holds_facts(input.write.cube, position, member);
        let known = is_worth_it.then(|| dimension.members().map(holds).collect());
        Self { input, position, known }
    }

    fn hold(&self, members: &[MemberId]) -> bool {
        let holds =
            |&member| self.input.version.holds_facts(self.input.write.cube, self.position, member);
        match &self.known {
            Some(known) => {
                members.iter().all(|member| known.get(member.idx()).copied().unwrap_or(false))
            }
            None => members.iter().all(holds),
        }
    }
}

/// Appends one column of what stands row by row, in a range of the ordered rows.
fn extend<T: Clone>(
    row_major: &[T],
    width: usize,
    position: usize,
    positions: Option<&[usize]>,
    range: Range<usize>,
    column: &mut Vec<T>,
) {
    let value = |row: usize| row_major[row * width + position].clone();
    match positions {
        None => column.extend(range.map(value)),
        Some(positions) => column.extend(positions[range].iter().copied().map(value)),
    }
}

/// What a function makes of each column.
fn side_by_side<T: Send>(rows: usize, columns: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
    match rows {
        ..=BLOCK_ROWS => (0..columns).map(of).collect(),
        _ => (0..columns).into_par_iter().map(&of).collect(),
    }
}
