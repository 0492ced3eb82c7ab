//! Which primary keys a small segment may have: two bits a key, so that looking for one in many segments costs a look
//! at each and not a search.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use super::{Rows, Segment};
use crate::limits::WRITE_MERGED_ROWS_MAX;
use crate::value::KeyPart;

/// Rows of segments that have a filter: others are searched at once, or lie apart from each other.
const FILTERED_ROWS: RangeInclusive<usize> = 32..=WRITE_MERGED_ROWS_MAX;
/// Bits a row, at least.
const BITS_A_ROW: usize = 8;
/// A number with bits everywhere.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The filter of a segment, made when the first key is looked for.
#[derive(Debug, Default)]
pub(super) struct KeyFilter(OnceLock<Box<[u64]>>);

/// The hash of a primary key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    /// That of a row.
    pub fn of(rows: &Rows, row: usize) -> Self {
        match rows.keys.is_empty() {
            true => Self::of_numbers(rows.coordinates.iter().map(|column| column[row].0.into())),
            false => Self::of_numbers(rows.keys.iter().map(|column| number(&column[row]))),
        }
    }

    /// That of some numbers in order.
    pub fn of_numbers(numbers: impl Iterator<Item = u64>) -> Self {
        let mixed = |hash: u64, number: u64| (hash.rotate_left(23) ^ number).wrapping_mul(SPREAD);
        let hash = numbers.fold(0, mixed);
        Self(hash ^ hash >> 29)
    }

    /// Two of so many bits; the count is a power of two.
    fn bits(self, count: usize) -> [usize; 2] {
        [self.0 as usize, (self.0 >> u32::BITS) as usize].map(|bit| bit & (count - 1))
    }
}

/// A number of a part of a key: of a text its bytes folded.
fn number(part: &KeyPart) -> u64 {
    match part {
        KeyPart::Integer(integer) => *integer as u64,
        KeyPart::Text(text) => {
            let folded = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(SPREAD);
            text.bytes().fold(text.len() as u64, folded)
        }
    }
}

impl Segment {
    /// Whether a row may have a key; where there is no filter it may.
    pub(super) fn may_have_key(&self, hash: KeyHash) -> bool {
        if !FILTERED_ROWS.contains(&self.row_count) {
            return true;
        }
        let bits = self.key_filter.0.get_or_init(|| self.key_bits());
        let count = bits.len() * u64::BITS as usize;
        hash.bits(count).into_iter().all(|bit| bits[bit / 64] >> (bit % 64) & 1 == 1)
    }

    fn key_bits(&self) -> Box<[u64]> {
        let count = (self.row_count * BITS_A_ROW).next_power_of_two().max(u64::BITS as usize);
        let mut bits = vec![0; count / u64::BITS as usize];
        for row in 0..self.row_count {
            let hash = match self.keys.is_empty() {
                true => {
                    let members = self.coordinates.iter().map(|codes| codes.get(row).0);
                    KeyHash::of_numbers(members.map(u64::from))
                }
                false => KeyHash::of_numbers(self.keys.iter().map(|keys| number(&keys.get(row)))),
            };
            hash.bits(count).into_iter().for_each(|bit| bits[bit / 64] |= 1 << (bit % 64));
        }
        bits.into()
    }
}

impl KeyFilter {
    /// Memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.0.get().map_or(0, |bits| size_of_val(&**bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MemberId;

    /// Every key that is there may be, and of those that are not few may.
    #[test]
    fn few_keys_that_are_not_there_may_be() {
        let text = |at: usize| KeyPart::Text(format!("deal {at}").into());
        let rows_of = |range: std::ops::Range<usize>, is_records: bool| {
            let mut rows = Rows::empty(if is_records { 2 } else { 0 }, 2, 0);
            for at in range {
                if is_records {
                    rows.keys[0].push(KeyPart::Integer(at as i64 / 3 - 9));
                    rows.keys[1].push(text(at));
                }
                rows.coordinates[0].push(MemberId((at / 50) as u32));
                rows.coordinates[1].push(MemberId((at % 50) as u32));
            }
            rows
        };
        for (count, is_records) in [(32, false), (5_000, false), (33, true), (8_192, true)] {
            let rows = rows_of(0..count, is_records).sorted();
            let segment = Segment::new(&rows, 0..count);
            assert!((0..count).all(|row| segment.may_have_key(KeyHash::of(&rows, row))));
            let others = rows_of(count..count + 10_000, is_records);
            let may = (0..10_000).filter(|&row| segment.may_have_key(KeyHash::of(&others, row)));
            let may = may.count();
            assert!(may < 1_000, "{may} of 10000 beside {count}");
            assert!(segment.key_filter.size_bytes() > 0);
        }
        let one = rows_of(0..1, false);
        assert!(Segment::new(&one, 0..1).may_have_key(KeyHash::of(&rows_of(1..2, false), 0)));
    }
}
