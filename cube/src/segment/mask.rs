//! Filters as sets of rows: a bit a row, 64 rows at a time, compiled for several kinds of CPU of which
//! the one that runs is found out when a filter is first used.

use multiversion::multiversion;

use super::column::Presence;
use super::ints::{Ints, Offsets, Source};
use crate::packed_flags;
use crate::prefetch::prefetch;

/// How far ahead of what is compared memory is asked for: CPUs that fetch ahead by themselves stop at
/// the end of each page.
const PREFETCHED_BYTES: usize = 4_096;
/// What memory is fetched in.
const CACHE_LINE_BYTES: usize = 64;
/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;

macro_rules! in_range {
    ($name:ident, $offset:ty) => {
        /// Leaves the rows whose offset is `low` or up to `span` above it.
        #[multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512vl+bmi1+bmi2",
            "x86_64+avx2+bmi1+bmi2"
        ))]
        fn $name(words: &mut [u64], offsets: &[$offset], low: $offset, span: $offset) {
            let is_in = |offset: $offset| u8::from(offset.wrapping_sub(low) <= span);
            let (whole, rest) = offsets.as_chunks::<WORD_BITS>();
            for (idx, (word, chunk)) in words.iter_mut().zip(whole).enumerate() {
                let later = idx * WORD_BITS + PREFETCHED_BYTES / size_of::<$offset>();
                for line in (0..WORD_BITS).step_by(CACHE_LINE_BYTES / size_of::<$offset>()) {
                    prefetch(offsets, later + line);
                }
                let mut flags = [0u8; WORD_BITS];
                for (flag, &offset) in flags.iter_mut().zip(chunk) {
                    *flag = is_in(offset);
                }
                *word &= packed_flags!(&flags);
            }
            if let Some(word) = words.get_mut(whole.len()) {
                let bits = rest.iter().enumerate().map(|(bit, &o)| u64::from(is_in(o)) << bit);
                *word &= bits.fold(0, |word, bit| word | bit);
            }
        }
    };
}
in_range!(u8_in_range, u8);
in_range!(u16_in_range, u16);

macro_rules! in_table {
    ($name:ident, $offset:ty) => {
        /// Leaves the rows for whose offset a table has 1, and not 0; offsets past its end have 0.
        #[multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512vl+bmi1+bmi2",
            "x86_64+avx2+bmi1+bmi2"
        ))]
        fn $name(words: &mut [u64], offsets: &[$offset], table: &[u8]) {
            let flag = |offset: $offset| table.get(usize::from(offset)).copied().unwrap_or(0);
            let (whole, rest) = offsets.as_chunks::<WORD_BITS>();
            for (word, offsets) in words.iter_mut().zip(whole) {
                if *word == 0 {
                    continue;
                }
                let mut flags = [0u8; WORD_BITS];
                for (set, &offset) in flags.iter_mut().zip(offsets) {
                    *set = flag(offset);
                }
                *word &= packed_flags!(&flags);
            }
            if let Some(word) = words.get_mut(whole.len()) {
                let bits = rest.iter().enumerate().map(|(bit, &o)| u64::from(flag(o)) << bit);
                *word &= bits.fold(0, |word, bit| word | bit);
            }
        }
    };
}
in_table!(u8_in_table, u8);
in_table!(u16_in_table, u16);

/// Leaves the rows of which a function says so of their offset.
fn retain(words: &mut [u64], offsets: &(impl Source + ?Sized), keep: impl Fn(u64) -> bool) {
    for (idx, word) in words.iter_mut().enumerate() {
        let mut rest = *word;
        let mut kept = 0;
        if rest == u64::MAX {
            let run = offsets.run(idx * WORD_BITS, (idx + 1) * WORD_BITS);
            for (bit, offset) in run.enumerate() {
                kept |= u64::from(keep(offset)) << bit;
            }
        } else {
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                kept |= u64::from(keep(offsets.at(idx * WORD_BITS + bit as usize))) << bit;
            }
        }
        *word = kept;
    }
}

impl Ints {
    /// Leaves the rows whose integer is from `low` to `high`, both included.
    pub(super) fn keep_range(&self, rows: &mut Presence, low: i64, high: i64) {
        let (min, max) = self.bounds();
        let (low, high) = (low.max(min), high.min(max));
        if low > high {
            return rows.clear();
        }
        if (low, high) == (min, max) {
            return;
        }
        let (low, span) = (low.wrapping_sub(min) as u64, high.wrapping_sub(low) as u64);
        let words = rows.words_mut();
        let is_in = |offset: u64| offset.wrapping_sub(low) <= span;
        match &self.offsets {
            // all are the one integer, which is within
            Offsets::Zero(_) => {}
            Offsets::U8(offsets) => u8_in_range(words, offsets, low as u8, span as u8),
            Offsets::U16(offsets) => u16_in_range(words, offsets, low as u16, span as u16),
            Offsets::Packed(offsets) => retain(words, offsets, is_in),
            Offsets::U64(offsets) => retain(words, &**offsets, is_in),
        }
    }

    /// Leaves the rows whose integer is in one of some ranges, ends included.
    pub(super) fn keep_ranges(&self, rows: &mut Presence, ranges: &[(i64, i64)]) {
        let [(low, high)] = ranges else {
            let mut kept = Presence::none(rows.words().len() * WORD_BITS);
            for &(low, high) in ranges {
                let mut of_range = rows.clone();
                self.keep_range(&mut of_range, low, high);
                kept.add(&of_range);
            }
            *rows = kept;
            return;
        };
        self.keep_range(rows, *low, *high);
    }

    /// Leaves the rows for whose integer, none of them negative, a table has 1, and not 0.
    pub(super) fn keep_table(&self, rows: &mut Presence, table: &[u8]) {
        let base = usize::try_from(self.bounds().0).unwrap_or(usize::MAX);
        let from_base = table.get(base..).unwrap_or_default();
        match &self.offsets {
            Offsets::U8(offsets) => u8_in_table(rows.words_mut(), offsets, from_base),
            Offsets::U16(offsets) => u16_in_table(rows.words_mut(), offsets, from_base),
            _ => self.keep(rows, |integer| table.get(integer as usize) == Some(&1)),
        }
    }

    /// Leaves the rows of which a function says so of their integer.
    pub(super) fn keep(&self, rows: &mut Presence, keep: impl Fn(i64) -> bool) {
        let base = self.bounds().0;
        let keep = |offset: u64| keep(base.wrapping_add(offset as i64));
        let words = rows.words_mut();
        match &self.offsets {
            Offsets::Zero(_) if !keep(0) => rows.clear(),
            Offsets::Zero(_) => {}
            Offsets::U8(offsets) => retain(words, &**offsets, keep),
            Offsets::U16(offsets) => retain(words, &**offsets, keep),
            Offsets::Packed(offsets) => retain(words, offsets, keep),
            Offsets::U64(offsets) => retain(words, &**offsets, keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_kept_as_one_by_one(
            width in 0u32..62,
            base in -1_000i64..1_000,
            noise in prop::collection::vec(any::<u64>(), 1..400),
            ends in any::<[u64; 2]>(),
            dead in prop::collection::vec(0usize..400, 0..5),
        ) {
            let within = |noise: u64| base + (noise & ((1u64 << width) - 1)) as i64;
            let integers: Vec<i64> = noise.iter().map(|&n| within(n)).collect();
            let ints = Ints::new(&integers);
            let [low, high] = ends.map(|end| within(end >> 1));
            let mut all = Presence::all(integers.len());
            dead.iter().filter(|&&row| row < integers.len()).for_each(|&row| all.remove(row));
            let expected = |keep: &dyn Fn(i64) -> bool| -> Vec<u32> {
                let rows = (0..integers.len()).filter(|&row| all.contains(row) && keep(integers[row]));
                rows.map(|row| row as u32).collect()
            };
            let mut rows = all.clone();
            ints.keep_range(&mut rows, low, high);
            prop_assert_eq!(rows.rows(), expected(&|n| (low..=high).contains(&n)));
            let mut rows = all.clone();
            ints.keep(&mut rows, |n| n % 3 == 0);
            prop_assert_eq!(rows.rows(), expected(&|n| n % 3 == 0));
            let mut rows = all.clone();
            let ranges = [(low, high), (low + 7, low + 7), (base, base + 1)];
            ints.keep_ranges(&mut rows, &ranges);
            let is_in = |n: i64| ranges.iter().any(|&(low, high)| (low..=high).contains(&n));
            prop_assert_eq!(rows.rows(), expected(&is_in));
            if base >= 0 {
                let table: Vec<u8> = (0..60_000).map(|n| u8::from(n % 5 < 2)).collect();
                let mut rows = all.clone();
                ints.keep_table(&mut rows, &table);
                prop_assert_eq!(rows.rows(), expected(&|n| n < 60_000 && n % 5 < 2));
            }
        }
    }
}
