//! A column of integers in the narrowest form that holds them: a base, and how far each is above it.
//!
//! Offsets of up to 16 bits are slices, which filters compare many at a time; wider ones are packed
//! to the bit, as columns of that width are rather looked up than searched.

use super::RowSet;
use crate::prefetch::prefetch;

/// Bytes behind packed offsets, so that each is read with the seven bytes after its first.
const PADDING_BYTES: usize = 8;
/// How many rows of a list ahead of the one that is read are asked for.
const PREFETCHED_ROWS: usize = 24;
/// Packed offsets are read from 8 bytes, of which the first 7 bits may be of others.
const PACKED_BITS_MAX: u32 = 57;

/// Integers, each a base and an offset.
#[derive(Debug, Clone)]
pub struct Ints {
    /// None is smaller.
    base: i64,
    /// None is larger.
    max: i64,
    pub(super) offsets: Offsets,
}

/// How far integers are above their base.
#[derive(Debug, Clone)]
pub(super) enum Offsets {
    /// So many integers are the base.
    Zero(usize),
    U8(Box<[u8]>),
    U16(Box<[u16]>),
    Packed(Packed),
    U64(Box<[u64]>),
}

/// Offsets of a width, one behind the other.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    width: u32,
    len: usize,
    bytes: Box<[u8]>,
}

/// Something that offsets are read from.
pub(super) trait Source {
    /// The offset at a place.
    fn at(&self, at: usize) -> u64;
    /// Lets the CPU fetch what the offset at a place is read from.
    fn prefetch(&self, at: usize);
    /// The offsets from one place to before another.
    fn run(&self, start: usize, end: usize) -> impl Iterator<Item = u64>;
}

macro_rules! slice_source {
    ($($type:ty),*) => {$(
        impl Source for [$type] {
            #[inline(always)]
            fn at(&self, at: usize) -> u64 {
                u64::from(self[at])
            }

            #[inline(always)]
            fn prefetch(&self, at: usize) {
                prefetch(self, at);
            }

            #[inline(always)]
            fn run(&self, start: usize, end: usize) -> impl Iterator<Item = u64> {
                self[start..end].iter().map(|&offset| u64::from(offset))
            }
        }
    )*};
}
slice_source!(u8, u16, u64);

impl Source for Packed {
    #[inline(always)]
    fn at(&self, at: usize) -> u64 {
        let bit = at * self.width as usize;
        let bytes =
            self.bytes[bit / 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        bytes >> (bit % 8) & !(u64::MAX << self.width)
    }

    #[inline(always)]
    fn prefetch(&self, at: usize) {
        prefetch(&self.bytes, at * self.width as usize / 8);
    }

    #[inline(always)]
    fn run(&self, start: usize, end: usize) -> impl Iterator<Item = u64> {
        (start..end).map(|at| self.at(at))
    }
}

/// The same offset so many times.
impl Source for usize {
    #[inline(always)]
    fn at(&self, _at: usize) -> u64 {
        0
    }

    #[inline(always)]
    fn prefetch(&self, _at: usize) {}

    #[inline(always)]
    fn run(&self, start: usize, end: usize) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(0, end - start)
    }
}

/// Runs an expression with a column's offsets as what they are.
macro_rules! with_offsets {
    ($ints:expr, |$offsets:ident| $body:expr) => {
        match &$ints.offsets {
            Offsets::Zero($offsets) => $body,
            Offsets::U8($offsets) => {
                let $offsets = &**$offsets;
                $body
            }
            Offsets::U16($offsets) => {
                let $offsets = &**$offsets;
                $body
            }
            Offsets::Packed($offsets) => $body,
            Offsets::U64($offsets) => {
                let $offsets = &**$offsets;
                $body
            }
        }
    };
}

impl Packed {
    fn new(width: u32, offsets: impl ExactSizeIterator<Item = u64>) -> Self {
        let len = offsets.len();
        let mut bytes = Vec::with_capacity((len * width as usize).div_ceil(8) + 2 * PADDING_BYTES);
        let (mut word, mut filled) = (0u64, 0);
        for offset in offsets {
            word |= offset << filled;
            filled += width;
            if filled >= u64::BITS {
                bytes.extend_from_slice(&word.to_le_bytes());
                filled -= u64::BITS;
                // what did not fit any more; a shift by all bits is none
                word = offset.checked_shr(width - filled).unwrap_or(0);
            }
        }
        bytes.extend_from_slice(&word.to_le_bytes());
        bytes.resize((len * width as usize).div_ceil(8) + PADDING_BYTES, 0);
        Self { width, len, bytes: bytes.into_boxed_slice() }
    }

    fn set(&mut self, at: usize, offset: u64) {
        let bit = at * self.width as usize;
        let Some(place) = self.bytes[bit / 8..].first_chunk_mut() else { return };
        let (mask, shift) = (!(u64::MAX << self.width), bit % 8);
        let others = u64::from_le_bytes(*place) & !(mask << shift);
        *place = (others | offset << shift).to_le_bytes();
    }
}

impl Ints {
    /// A column of integers.
    pub fn new(integers: &[i64]) -> Self {
        Self::of(integers.iter().copied())
    }

    /// A column of what an iterator gives.
    pub fn of(integers: impl ExactSizeIterator<Item = i64> + Clone) -> Self {
        let ends = integers
            .clone()
            .fold((i64::MAX, i64::MIN), |(min, max), integer| (min.min(integer), max.max(integer)));
        let (base, max) = if integers.len() == 0 { (0, 0) } else { ends };
        let span = max.wrapping_sub(base) as u64;
        let offsets = || integers.clone().map(|integer| integer.wrapping_sub(base) as u64);
        let width = u64::BITS - span.leading_zeros();
        let offsets = match width {
            0 => Offsets::Zero(integers.len()),
            1..=8 => Offsets::U8(offsets().map(|offset| offset as u8).collect()),
            9..=16 => Offsets::U16(offsets().map(|offset| offset as u16).collect()),
            17..=PACKED_BITS_MAX => Offsets::Packed(Packed::new(width, offsets())),
            _ => Offsets::U64(offsets().collect()),
        };
        Self { base, max, offsets }
    }

    /// The same integer some times.
    pub fn repeated(integer: i64, count: usize) -> Self {
        Self { base: integer, max: integer, offsets: Offsets::Zero(count) }
    }

    /// Number of integers.
    pub fn len(&self) -> usize {
        match &self.offsets {
            Offsets::Zero(count) => *count,
            Offsets::U8(offsets) => offsets.len(),
            Offsets::U16(offsets) => offsets.len(),
            Offsets::Packed(packed) => packed.len,
            Offsets::U64(offsets) => offsets.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column with another integer in a place; none where it does not fit in the width.
    fn put(&mut self, at: usize, integer: i64) -> Option<()> {
        let offset = integer.wrapping_sub(self.base) as u64;
        let largest = match &self.offsets {
            Offsets::Zero(_) => 0,
            Offsets::U8(_) => u8::MAX.into(),
            Offsets::U16(_) => u16::MAX.into(),
            Offsets::Packed(packed) => !(u64::MAX << packed.width),
            Offsets::U64(_) => u64::MAX,
        };
        if integer < self.base || offset > largest {
            return None;
        }
        match &mut self.offsets {
            Offsets::Zero(_) => {}
            Offsets::U8(offsets) => offsets[at] = offset as u8,
            Offsets::U16(offsets) => offsets[at] = offset as u16,
            Offsets::Packed(packed) => packed.set(at, offset),
            Offsets::U64(offsets) => offsets[at] = offset,
        }
        self.max = self.max.max(integer);
        Some(())
    }

    /// The column with other integers in some places.
    #[must_use]
    pub(crate) fn with(&self, changes: impl Iterator<Item = (usize, i64)> + Clone) -> Self {
        let mut narrow = self.clone();
        match changes.clone().try_for_each(|(at, integer)| narrow.put(at, integer)) {
            Some(()) => narrow,
            None => {
                let mut integers = self.to_vec();
                changes.for_each(|(at, integer)| integers[at] = integer);
                Self::new(&integers)
            }
        }
    }

    /// Between which two all integers are; zeros where there is none.
    pub fn bounds(&self) -> (i64, i64) {
        (self.base, self.max)
    }

    /// Memory of the integers.
    pub fn size_bytes(&self) -> usize {
        match &self.offsets {
            Offsets::Zero(_) => 0,
            Offsets::U8(offsets) => offsets.len(),
            Offsets::U16(offsets) => offsets.len() * size_of::<u16>(),
            Offsets::Packed(packed) => packed.bytes.len(),
            Offsets::U64(offsets) => offsets.len() * size_of::<u64>(),
        }
    }

    /// Bytes of a row, to compare columns by what it takes to read them.
    pub(super) fn row_bytes(&self) -> u64 {
        match &self.offsets {
            Offsets::Zero(_) => 0,
            Offsets::U8(_) => 1,
            Offsets::U16(_) => 2,
            // looked at one by one
            Offsets::Packed(_) | Offsets::U64(_) => 15,
        }
    }

    /// The integer at a place.
    #[inline]
    pub fn get(&self, at: usize) -> i64 {
        with_offsets!(self, |offsets| self.base.wrapping_add(offsets.at(at) as i64))
    }

    /// Lets the CPU fetch the integer at a place, which is read soon.
    #[inline]
    pub(crate) fn fetch(&self, at: usize) {
        with_offsets!(self, |offsets| offsets.prefetch(at));
    }

    /// Calls a function with each place of a set, counted from zero, and the integer there.
    #[inline]
    pub fn visit(&self, rows: &RowSet, mut visit: impl FnMut(usize, i64)) {
        let base = self.base;
        with_offsets!(self, |offsets| match rows {
            RowSet::Run(run) => {
                let run = offsets.run(run.start as usize, run.end as usize);
                run.enumerate()
                    .for_each(|(at, offset)| visit(at, base.wrapping_add(offset as i64)));
            }
            RowSet::List(rows) => rows.iter().enumerate().for_each(|(at, &row)| {
                let later = rows.get(at + PREFETCHED_ROWS).copied().unwrap_or(row);
                offsets.prefetch(later as usize);
                visit(at, base.wrapping_add(offsets.at(row as usize) as i64));
            }),
        });
    }

    /// Takes the rows out of a list of which a function does not say so of their integer.
    #[inline]
    pub(super) fn retain_listed(&self, rows: &mut Vec<u32>, keep: impl Fn(i64) -> bool) {
        let base = self.base;
        with_offsets!(self, |offsets| {
            rows.retain(|&row| keep(base.wrapping_add(offsets.at(row as usize) as i64)));
        });
    }

    /// What the column has in some rows.
    #[inline]
    pub fn gathered<U>(&self, rows: &RowSet, convert: impl Fn(i64) -> U) -> Vec<U> {
        let mut gathered = Vec::with_capacity(rows.len());
        let base = self.base;
        with_offsets!(self, |offsets| match rows {
            RowSet::Run(run) => {
                let run = offsets.run(run.start as usize, run.end as usize);
                gathered.extend(run.map(|offset| convert(base.wrapping_add(offset as i64))));
            }
            RowSet::List(rows) => gathered.extend(rows.iter().enumerate().map(|(at, &row)| {
                let later = rows.get(at + PREFETCHED_ROWS).copied().unwrap_or(row);
                offsets.prefetch(later as usize);
                convert(base.wrapping_add(offsets.at(row as usize) as i64))
            })),
        });
        gathered
    }

    /// All integers.
    pub fn to_vec(&self) -> Vec<i64> {
        self.gathered(&RowSet::Run(0..self.len() as u32), |integer| integer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(integers: &[i64]) {
        let ints = Ints::new(integers);
        assert_eq!(ints.len(), integers.len());
        assert_eq!(ints.to_vec(), integers);
        let places: Vec<u32> = (0..integers.len() as u32).step_by(3).collect();
        let some: Vec<i64> = places.iter().map(|&at| integers[at as usize]).collect();
        assert_eq!(ints.gathered(&RowSet::List(places), |integer| integer), some);
        for (at, &integer) in integers.iter().enumerate() {
            assert_eq!(ints.get(at), integer);
        }
        let min_max = integers.iter().min().zip(integers.iter().max());
        assert_eq!(ints.bounds(), min_max.map_or((0, 0), |(&min, &max)| (min, max)));
        for value in [0, -1, i64::MAX, ints.max, ints.base, integers.first().copied().unwrap_or(7)]
        {
            let places = (0..integers.len()).step_by(5);
            let changed = ints.with(places.clone().map(|at| (at, value)));
            let mut expected = integers.to_vec();
            places.for_each(|at| expected[at] = value);
            assert_eq!(changed.to_vec(), expected);
            let (min, max) = changed.bounds();
            assert!(expected.iter().all(|integer| (min..=max).contains(integer)));
        }
    }

    #[test]
    fn every_width_holds_its_smallest_and_largest() {
        for width in 0..=63 {
            for base in [0, -1, 1_000_000_007, i64::MIN] {
                let largest =
                    base.saturating_add(((1i128 << width) - 1).min(i64::MAX.into()) as i64);
                check(&[base, largest, base, base + largest.saturating_sub(base) / 2, largest]);
            }
        }
        check(&[i64::MIN, i64::MAX, 0, -1]);
        check(&[]);
    }

    #[test]
    fn a_column_takes_the_bytes_of_its_span() {
        let bytes = |last: i64| {
            Ints::of((0..1_000).map(move |n| 5 + if n == 999 { last } else { 0 })).size_bytes()
        };
        assert_eq!(bytes(0), 0);
        assert_eq!(bytes(255), 1_000);
        assert_eq!(bytes(256), 2_000);
        assert_eq!(bytes(65_536), 17_000 / 8 + PADDING_BYTES);
        assert_eq!(bytes(1 << 60), 8_000);
    }

    proptest! {
        #[test]
        fn any_integers_are_as_they_were(
            base in any::<i64>(),
            width in 0u32..64,
            noise in prop::collection::vec(any::<u64>(), 0..300),
        ) {
            let mask = !(u64::MAX.checked_shl(width).unwrap_or(0));
            let integers: Vec<i64> =
                noise.iter().map(|n| base.saturating_add((n & mask & i64::MAX as u64) as i64)).collect();
            check(&integers);
        }
    }
}
