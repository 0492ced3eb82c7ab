//! A block read column by column, as one is of which every row can be placed. Of any other it says nothing:
//! that is read row by row, which tells what is wrong.

use cube::change::RowsWrite;
use cube::model::{KeyDef, MeasureDef};
use cube::number::power_of_ten;
use cube::value::KeyPart;
use cube::{MemberId, ValueList};

use super::super::axis::Axis;
use super::super::block::Block;
use super::super::columns::Row;
use super::super::expression::Expression;
use super::super::numbers::{Numbers, Unit};
use super::known::Known;
use super::{Layout, Reading, Rows, Totals, stored};

impl Layout<'_> {
    /// What a block brings; none where a row of it cannot be placed.
    pub(super) fn by_column(
        &self,
        load: &Rows<'_>,
        block: &Block,
        known: &mut [Known],
    ) -> Option<Reading> {
        let numbers: Vec<usize> = (0..block.row_count()).map(|row| block.number(row)).collect();
        let rows = (0..block.row_count()).map(|row| load.columns.row(block, row));
        let rows = rows.collect::<Result<Vec<_>, _>>().ok()?;
        let empty = Reading::new(load.cube, self);
        let Reading { mut texts, mut totals, write, .. } = empty;
        let mut keys = vec![KeyPart::Integer(0); rows.len() * self.key.len()];
        for (place, (def, source)) in self.key.iter().enumerate() {
            let parts = keys.iter_mut().skip(place).step_by(self.key.len());
            key_parts(def, source, block, &rows, parts)?;
        }
        let mut coordinates = vec![MemberId(0); rows.len() * self.dimensions.len()];
        for (place, (axis, known)) in self.dimensions.iter().zip(known).enumerate() {
            let members = coordinates.iter_mut().skip(place).step_by(self.dimensions.len());
            self::members(axis, block, &rows, known, members)?;
        }
        let width = self.measures.len();
        let (mut integers, mut blanks) = (vec![0; rows.len() * width], Vec::new());
        for (place, ((_, def, source), totals)) in self.measures.iter().zip(&mut totals).enumerate()
        {
            let mut put = |row: usize, value: Option<i64>| match value {
                Some(value) => integers[row * width + place] = value,
                None => blanks.push(row * width + place),
            };
            if let Some((numbers, factor)) = held(def, source, block) {
                held_values(def, numbers, factor, rows.len(), totals, &mut put)?;
                continue;
            }
            for (at, row) in rows.iter().enumerate() {
                let raw = source.raw(row);
                let text = source.finish(&raw).ok()?;
                let value = stored(def, source.round, &text, &mut texts).ok()?;
                if def.value_type.is_number() {
                    totals.add(&text, source.round, def.rounding);
                }
                put(at, value);
            }
        }
        let blank_count = match (self.key.is_empty(), width) {
            (false, _) => 0,
            (true, 0) => rows.len(),
            (true, _) => blank_rows(&mut blanks, width),
        };
        let mut values = ValueList::full(integers);
        blanks.into_iter().for_each(|at| values.set(at, None));
        let write = RowsWrite { keys, coordinates, values, ..write };
        Some(Reading { write, texts, numbers, blank_count, totals })
    }
}

/// Reads one part of the rows' keys.
fn key_parts<'k>(
    def: &KeyDef,
    source: &Expression,
    block: &Block,
    rows: &[Row<'_>],
    parts: impl Iterator<Item = &'k mut KeyPart>,
) -> Option<()> {
    let numbers = source.own_column().and_then(|column| block.numbers(column));
    let held = numbers.filter(|of| source.is_as_it_stands() && of.unit == Unit::Decimal(0));
    for ((at, row), part) in rows.iter().enumerate().zip(parts) {
        let integer = held.and_then(|numbers| numbers.get(at));
        let held = integer.and_then(|integer| KeyPart::of_integer(def.key_type, integer));
        *part = match held {
            Some(part) => part,
            None => {
                let raw = source.raw(row);
                KeyPart::parse(def.key_type, &source.finish(&raw).ok()?).ok()?
            }
        };
    }
    Some(())
}

/// Finds the members of a dimension.
fn members<'m>(
    axis: &Axis<'_>,
    block: &Block,
    rows: &[Row<'_>],
    known: &mut Known,
    members: impl Iterator<Item = &'m mut MemberId>,
) -> Option<()> {
    let find = |raw: &str| axis.find(&axis.source.finish(raw).ok()?);
    let numbers = axis.source.own_column().and_then(|column| block.numbers(column));
    for ((at, row), found) in rows.iter().enumerate().zip(members) {
        let number = numbers.and_then(|numbers| numbers.get(at));
        *found = match number {
            Some(number) => {
                known.of_number(number, || find(&axis.source.raw(row)).ok_or(())).ok()?
            }
            None => {
                let raw = axis.source.raw(row);
                known.of_text(&raw, || find(&raw).ok_or(())).ok()?
            }
        };
    }
    Some(())
}

/// Numbers that the file holds and that are loaded as they stand there, and what makes them units of the
/// measure's last digit.
fn held<'b>(def: &MeasureDef, source: &Expression, block: &'b Block) -> Option<(&'b Numbers, i64)> {
    let numbers = block.numbers(source.own_column()?)?;
    let is_as_it_stands = source.is_as_it_stands() && !source.has_default();
    let Unit::Decimal(scale) = numbers.unit else { return None };
    if !is_as_it_stands || !def.value_type.is_number() {
        return None;
    }
    let factor = power_of_ten(def.value_type.scale().checked_sub(scale)?)?;
    Some((numbers, i64::try_from(factor).ok()?))
}

/// Stores numbers that the file holds, and adds them up as they stand there.
fn held_values(
    def: &MeasureDef,
    numbers: &Numbers,
    factor: i64,
    row_count: usize,
    totals: &mut Totals,
    put: &mut impl FnMut(usize, Option<i64>),
) -> Option<()> {
    let (limit, mut sum) = (def.value_type.limit(), 0);
    for row in 0..row_count {
        let Some(number) = numbers.get(row) else {
            put(row, None);
            continue;
        };
        let value = number.checked_mul(factor)?;
        if value.unsigned_abs() > limit {
            return None;
        }
        put(row, Some(value));
        sum += i128::from(number);
    }
    match numbers.unit {
        Unit::Decimal(scale) => totals.rounded.add_scaled(sum, scale),
        Unit::Days => None,
    }
}

/// How many rows have blanks in all places.
fn blank_rows(blanks: &mut [usize], width: usize) -> usize {
    blanks.sort_unstable();
    let rows = blanks.chunk_by(|a, b| a / width == b / width);
    rows.filter(|row| row.len() == width).count()
}

#[cfg(test)]
mod tests {
    use super::blank_rows;

    #[test]
    fn rows_are_blank_where_all_their_places_are() {
        assert_eq!(blank_rows(&mut [5, 0, 1, 2, 7], 3), 1);
        assert_eq!(blank_rows(&mut [4, 3, 1, 0, 5], 2), 2);
        assert_eq!(blank_rows(&mut [], 0), 0);
    }
}
