//! The order of rows by their primary key, found side by side.
//!
//! Members and integers of a key are narrow, so that most keys fit into 96 bits with the row's position
//! behind them: sorting is then a matter of integers, and not of columns here and there in memory.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::segment::Rows;
use crate::value::KeyPart;

/// Fewer rows than this are not worth more than one thread.
const ROWS_SIDE_BY_SIDE: usize = 16_384;
/// Bits of a row's position.
const POSITION_BITS: u32 = 32;

/// The positions of rows in the order of the primary key; rows of one key as they stood.
pub fn positions(rows: &Rows) -> Vec<usize> {
    if let Some(mut packed) = packed(rows) {
        packed.par_sort_unstable();
        return packed.into_iter().map(|key| key as u32 as usize).collect();
    }
    let mut positions: Vec<usize> = (0..rows.len()).collect();
    positions.par_sort_by(|&a, &b| rows.compare(a, rows, b));
    positions
}

/// The rows in the order of the primary key.
pub fn sorted(rows: Rows) -> Rows {
    let is_sorted = |row: usize| rows.compare(row - 1, &rows, row) == Ordering::Less;
    if (1..rows.len()).all(is_sorted) {
        return rows;
    }
    let positions = positions(&rows);
    if rows.len() < ROWS_SIDE_BY_SIDE {
        return rows.taken(&positions);
    }
    Rows {
        keys: taken(&rows.keys, &positions),
        coordinates: taken(&rows.coordinates, &positions),
        values: taken(&rows.values, &positions),
    }
}

fn taken<T: Clone + Send + Sync>(columns: &[Vec<T>], positions: &[usize]) -> Vec<Vec<T>> {
    let column = |column: &Vec<T>| positions.iter().map(|&at| column[at].clone()).collect();
    columns.par_iter().map(column).collect()
}

/// The keys of all rows as integers that are in the order of the keys, each with the position of its
/// row in its lowest bits; none where they are too wide, or texts.
fn packed(rows: &Rows) -> Option<Vec<u128>> {
    u32::try_from(rows.len()).ok()?;
    let mut packed = vec![0; rows.len()];
    let mut bits_left = u128::BITS - POSITION_BITS;
    if rows.keys.is_empty() {
        for column in &rows.coordinates {
            let members = column.iter().map(|member| i64::from(member.0));
            append(&mut packed, members, &mut bits_left)?;
        }
    } else {
        for column in &rows.keys {
            let is_integer = |part: &KeyPart| matches!(part, KeyPart::Integer(_));
            if !column.iter().all(is_integer) {
                return None;
            }
            let integers = column.iter().map(|part| match part {
                KeyPart::Integer(integer) => *integer,
                KeyPart::Text(_) => 0,
            });
            append(&mut packed, integers, &mut bits_left)?;
        }
    }
    for (position, key) in packed.iter_mut().enumerate() {
        *key = *key << POSITION_BITS | position as u128;
    }
    Some(packed)
}

/// Appends a part to every key in as many bits as its largest value needs.
fn append(
    packed: &mut [u128],
    values: impl Iterator<Item = i64> + Clone,
    bits_left: &mut u32,
) -> Option<()> {
    let (Some(least), Some(most)) = (values.clone().min(), values.clone().max()) else {
        return Some(());
    };
    let bits = u64::BITS - most.abs_diff(least).leading_zeros();
    *bits_left = bits_left.checked_sub(bits)?;
    for (key, value) in packed.iter_mut().zip(values) {
        *key = *key << bits | u128::from(value.abs_diff(least));
    }
    Some(())
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
        let sorted = sorted(rows.clone());
        let taken = rows.taken(&expected);
        assert_eq!(sorted.keys, taken.keys);
        assert_eq!(sorted.coordinates, taken.coordinates);
        assert_eq!(sorted.values, taken.values);
    }

    fn rows(count: u64, key: impl Fn(u64) -> Vec<KeyPart>, members: u64) -> Rows {
        let mut rows = Rows::empty(key(0).len(), 2, 1);
        for number in numbers(count) {
            rows.keys.iter_mut().zip(key(number)).for_each(|(column, part)| column.push(part));
            rows.coordinates[0].push(MemberId((number % members) as u32));
            rows.coordinates[1].push(MemberId((number >> 40) as u32 % 9));
            rows.values[0].push(Some(number as i64));
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
