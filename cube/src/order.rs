//! The order of rows by their primary key, found side by side.
//!
//! Members and integers of a key are narrow, so that most keys fit into 64 or 128 bits with the row's position
//! behind them: sorting is then a matter of integers, and not of columns here and there in memory.

use std::ops::{BitOr, Range, Shl};

use rayon::prelude::*;

use crate::blocks;
use crate::id::MemberId;
use crate::segment::Rows;
use crate::value::KeyPart;

/// Fewer rows than this are not worth more than one thread.
const ROWS_SIDE_BY_SIDE: usize = 16_384;

/// The order of rows by their primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The positions of rows in the order of the key; none where they are in it. Rows of one key are as they
    /// stood.
    pub positions: Option<Vec<usize>>,
    /// The first of the ordered rows that has the key of the one before it.
    pub duplicate: Option<usize>,
}

impl Order {
    /// The order of rows.
    pub fn new(rows: &Rows) -> Self {
        let ascends = |range: Range<usize>| {
            let mut pairs = range.start.max(1)..range.end;
            pairs.all(|row| rows.compare(row - 1, rows, row).is_lt())
        };
        if blocks::all(rows.len(), ascends) {
            return Self { positions: None, duplicate: None };
        }
        let key = PackedKey::new(rows);
        let position_bits = usize::BITS - rows.len().leading_zeros();
        match key.as_ref().map(|key| key.bits + position_bits) {
            Some(..=u64::BITS) => Self::of_packed::<u64>(key, position_bits, rows),
            Some(..=u128::BITS) => Self::of_packed::<u128>(key, position_bits, rows),
            _ => {
                let mut positions: Vec<usize> = (0..rows.len()).collect();
                positions.par_sort_by(|&a, &b| rows.compare(a, rows, b));
                let is_same =
                    |row: &usize| rows.compare(positions[row - 1], rows, positions[*row]).is_eq();
                let duplicate = (1..rows.len()).find(is_same);
                Self { positions: Some(positions), duplicate }
            }
        }
    }

    fn of_packed<P: Packed>(key: Option<PackedKey<'_>>, position_bits: u32, rows: &Rows) -> Self {
        let pack = |range: Range<usize>| {
            let mut packed = vec![P::from(0); range.len()];
            key.iter().for_each(|key| key.append(range.clone(), &mut packed));
            let positions = packed.iter_mut().zip(range);
            positions.for_each(|(key, at)| *key = *key << position_bits | P::from(at as u64));
            packed
        };
        let mut packed = blocks::map(rows.len(), pack).concat();
        packed.par_sort_unstable();
        let key_of = |packed: P| packed.high(position_bits);
        let duplicate = packed.array_windows().position(|&[a, b]| key_of(a) == key_of(b));
        let position = |packed: P| packed.low(position_bits) as usize;
        Self {
            positions: Some(packed.into_iter().map(position).collect()),
            duplicate: duplicate.map(|before| before + 1),
        }
    }
}

/// The positions of rows in the order of the primary key; rows of one key as they stood.
pub fn positions(rows: &Rows) -> Vec<usize> {
    Order::new(rows).positions.unwrap_or_else(|| (0..rows.len()).collect())
}

/// The rows in the order of the primary key.
pub fn sorted(rows: Rows) -> Rows {
    let Some(positions) = Order::new(&rows).positions else { return rows };
    if rows.len() < ROWS_SIDE_BY_SIDE {
        return rows.taken(&positions);
    }
    Rows {
        keys: taken(&rows.keys, &positions),
        coordinates: taken(&rows.coordinates, &positions),
        values: rows.values.par_iter().map(|column| column.taken(&positions)).collect(),
    }
}

fn taken<T: Clone + Send + Sync>(columns: &[Vec<T>], positions: &[usize]) -> Vec<Vec<T>> {
    let column = |column: &Vec<T>| positions.iter().map(|&at| column[at].clone()).collect();
    columns.par_iter().map(column).collect()
}

/// An integer that holds a key and, in its lowest bits, the position of a row.
trait Packed:
    Copy + Ord + Send + Sync + From<u64> + Shl<u32, Output = Self> + BitOr<Output = Self>
{
    /// What is above so many bits.
    fn high(self, bits: u32) -> Self;
    /// What is in so many bits.
    fn low(self, bits: u32) -> u64;
}

macro_rules! packed {
    ($($type:ty),*) => {$(
        impl Packed for $type {
            fn high(self, bits: u32) -> Self {
                self.checked_shr(bits).unwrap_or(0)
            }

            fn low(self, bits: u32) -> u64 {
                self as u64 & !(u64::MAX.checked_shl(bits).unwrap_or(0))
            }
        }
    )*};
}
packed!(u64, u128);

/// How keys are packed into integers that are in their order.
struct PackedKey<'a> {
    parts: Vec<Part<'a>>,
    bits: u32,
}

/// One column of the key, in as many bits as its largest value needs.
struct Part<'a> {
    column: Column<'a>,
    least: i64,
    bits: u32,
}

/// A column of the key.
#[derive(Clone, Copy)]
enum Column<'a> {
    Members(&'a [MemberId]),
    Integers(&'a [KeyPart]),
}

impl<'a> PackedKey<'a> {
    /// The keys of rows; none where there are texts in them.
    fn new(rows: &'a Rows) -> Option<Self> {
        let columns: Vec<Column<'a>> = match rows.keys.is_empty() {
            true => rows.coordinates.iter().map(|column| Column::Members(column)).collect(),
            false => rows.keys.iter().map(|column| Column::Integers(column)).collect(),
        };
        let parts = columns.into_iter().map(Part::new).collect::<Option<Vec<_>>>()?;
        let bits = parts.iter().map(|part| part.bits).sum();
        Some(Self { parts, bits })
    }

    /// Appends the keys of some rows to what integers hold.
    fn append<P: Packed>(&self, rows: Range<usize>, packed: &mut [P]) {
        for part in &self.parts {
            let mut append = |(key, value): (&mut P, i64)| {
                *key = *key << part.bits | P::from(value.abs_diff(part.least));
            };
            let keys = packed.iter_mut();
            match part.column {
                Column::Members(column) => {
                    let members = column[rows.clone()].iter().map(|member| i64::from(member.0));
                    keys.zip(members).for_each(&mut append);
                }
                Column::Integers(column) => {
                    let integers =
                        column[rows.clone()].iter().map(|part| integer(part).unwrap_or(0));
                    keys.zip(integers).for_each(&mut append);
                }
            }
        }
    }
}

impl<'a> Part<'a> {
    fn new(column: Column<'a>) -> Option<Self> {
        let ends = |range: Range<usize>| match column {
            Column::Members(column) => {
                let members = column[range].iter().map(|member| Some(i64::from(member.0)));
                ends(members)
            }
            Column::Integers(column) => ends(column[range].iter().map(integer)),
        };
        let len = match column {
            Column::Members(column) => column.len(),
            Column::Integers(column) => column.len(),
        };
        let each = blocks::map(len, ends).into_iter().collect::<Option<Vec<_>>>()?;
        let least = each.iter().map(|ends| ends.0).min().unwrap_or(0);
        let most = each.iter().map(|ends| ends.1).max().unwrap_or(0);
        Some(Self { column, least, bits: u64::BITS - most.abs_diff(least).leading_zeros() })
    }
}

fn integer(part: &KeyPart) -> Option<i64> {
    match part {
        KeyPart::Integer(integer) => Some(*integer),
        KeyPart::Text(_) => None,
    }
}

/// The smallest and the largest; none where there is something else.
fn ends(mut integers: impl Iterator<Item = Option<i64>>) -> Option<(i64, i64)> {
    integers.try_fold((i64::MAX, i64::MIN), |(least, most), integer| {
        let integer = integer?;
        Some((least.min(integer), most.max(integer)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::MemberId;

    /// Numbers without a pattern.
    fn numbers(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17))
    }

    fn check(rows: &Rows) {
        let mut expected: Vec<usize> = (0..rows.len()).collect();
        expected.sort_by(|&a, &b| rows.compare(a, rows, b));
        assert_eq!(positions(rows), expected);
        let is_same = |row: &usize| rows.compare(expected[row - 1], rows, expected[*row]).is_eq();
        let duplicate = (1..expected.len()).find(is_same);
        assert_eq!(Order::new(rows).duplicate, duplicate);
        let sorted = sorted(rows.clone());
        let taken = rows.taken(&expected);
        assert_eq!(sorted.keys, taken.keys);
        assert_eq!(sorted.coordinates, taken.coordinates);
        assert_eq!(sorted.values, taken.values);
        assert_eq!(Order::new(&sorted).duplicate, duplicate);
        assert_eq!(Order::new(&sorted).positions.is_none(), duplicate.is_none());
    }

    fn rows(count: u64, key: impl Fn(u64) -> Vec<KeyPart>, members: u64) -> Rows {
        let mut rows = Rows::empty(key(0).len(), 2, 1);
        for number in numbers(count) {
            rows.keys.iter_mut().zip(key(number)).for_each(|(column, part)| column.push(part));
            rows.coordinates[0].push(MemberId((number % members) as u32));
            rows.coordinates[1].push(MemberId((number >> 40) as u32 % 9));
            rows.values[0].push(Some(number as i64).filter(|_| number % 3 > 0));
        }
        rows
    }

    #[test]
    fn rows_are_in_the_order_of_their_keys_whatever_these_are() {
        let integer = |value: u64| KeyPart::Integer(value as i64);
        for count in [0, 1, 2, 1_000, 40_000] {
            check(&rows(count, |_| Vec::new(), 700));
            check(&rows(count, |_| Vec::new(), u64::from(u32::MAX)));
            check(&rows(count, |number| vec![integer(number % 500), integer(number >> 60)], 5));
            // wider than what is packed
            check(&rows(count, |number| vec![integer(number), integer(!number)], 5));
            let text = |number: u64| KeyPart::Text(Arc::from(format!("{}", number % 999)));
            check(&rows(count, |number| vec![text(number), integer(number % 7)], 5));
        }
    }
}
