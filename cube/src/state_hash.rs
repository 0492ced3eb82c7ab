//! A hash of inputs and model that does not depend on ids, segments or the order of writes.
//!
//! Every member and every row is hashed by itself, from names and keys; the state is their sum
//! modulo 2^256, so that a write changes it by the difference. Formula results are left out.
//!
//! A row names the same members and measures as many others: it holds the sum of their digests, so that
//! what is hashed of it is short however long names are.

mod batch;
mod lanes;

use std::ops::Range;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use batch::Batch;

/// Rows that are hashed together; more are hashed side by side.
const ROWS_A_TASK: usize = 256;

/// A sum of hashes modulo 2^256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateHash([u64; 4]);

impl StateHash {
    /// Adds a piece of the state.
    pub fn add(&mut self, piece: Piece) {
        self.add_words(piece.words());
    }

    /// The sum of the pieces of so many rows, a range of them at a time, which a function adds to a batch.
    pub fn sum(row_count: usize, add: impl Fn(Range<usize>, &mut Batch) + Sync) -> Self {
        let sum = |batch: &mut Batch, task: usize| {
            batch.clear();
            add(task * ROWS_A_TASK..row_count.min((task + 1) * ROWS_A_TASK), batch);
            batch.sum()
        };
        let tasks = row_count.div_ceil(ROWS_A_TASK);
        let sums: Vec<Self> = match tasks {
            ..=1 => (0..tasks).map(|task| sum(&mut Batch::default(), task)).collect(),
            _ => (0..tasks).into_par_iter().map_init(Batch::default, sum).collect(),
        };
        let mut all = Self::default();
        sums.into_iter().for_each(|sum| all.add_words(sum.0));
        all
    }

    /// Adds a sum of pieces.
    pub fn add_sum(&mut self, sum: Self) {
        self.add_words(sum.0);
    }

    fn add_words(&mut self, words: [u64; 4]) {
        let mut carry = false;
        for (sum, word) in self.0.iter_mut().zip(words) {
            let (partial, first) = sum.overflowing_add(word);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            *sum = total;
            carry = first || second;
        }
    }

    /// Takes a piece of the state away.
    pub fn remove(&mut self, piece: Piece) {
        self.remove_words(piece.words());
    }

    /// Takes a sum of pieces away.
    pub fn remove_sum(&mut self, sum: Self) {
        self.remove_words(sum.0);
    }

    fn remove_words(&mut self, words: [u64; 4]) {
        let mut borrow = false;
        for (sum, word) in self.0.iter_mut().zip(words) {
            let (partial, first) = sum.overflowing_sub(word);
            let (total, second) = partial.overflowing_sub(u64::from(borrow));
            *sum = total;
            borrow = first || second;
        }
    }

    /// The 32 bytes, least significant first.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of a name, and of several names the sum, word by word modulo 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameDigest([u64; 4]);

impl NameDigest {
    /// The digest of a piece that names something.
    pub fn of(piece: Piece) -> Self {
        Self(piece.words())
    }
}

impl std::ops::AddAssign for NameDigest {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        for (sum, word) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(word);
        }
    }
}

/// One piece of the state, field by field. The fields are short, so they are gathered and hashed
/// together.
pub struct Piece(Vec<u8>);

impl Piece {
    /// A piece of a kind: `member`, `row`, `model`.
    pub fn new(kind: &str) -> Self {
        Self(Vec::new()).text(kind)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds an integer.
    #[must_use]
    pub fn integer(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn words(self) -> [u64; 4] {
        words_of(&self.0)
    }
}

/// The hash of a piece as the words of a sum: its bytes, the least significant first.
fn words_of(piece: &[u8]) -> [u64; 4] {
    let digest = Sha256::digest(piece);
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(digest.chunks_exact(8)) {
        *word = chunk.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        let piece = |n: i64| Piece::new("row").integer(n);
        let (mut a, mut b) = (StateHash::default(), StateHash::default());
        (0..100).for_each(|n| a.add(piece(n)));
        (0..100).rev().for_each(|n| b.add(piece(n)));
        assert_eq!(a, b);
        (0..100).for_each(|n| a.remove(piece(n)));
        assert_eq!(a, StateHash::default());
        assert_ne!(b, StateHash::default());
    }

    #[test]
    fn pieces_that_are_hashed_together_are_those_that_are_hashed_alone() {
        // lengths on both sides of every multiple of a block
        let text = |n: usize| "é".repeat(n % 150);
        for count in [0, 1, 5, 17, 1_024, 1_025, 5_000] {
            let mut alone = StateHash::default();
            let digest = |n: usize| {
                let mut digest = NameDigest::of(Piece::new("a").integer(n as i64));
                digest += NameDigest::of(Piece::new("b"));
                digest
            };
            let some = (0..count).filter(|n| n % 3 > 0);
            some.for_each(|n| {
                let piece = Piece(Vec::new()).integer(n as i64).text(&text(n));
                let words = digest(n).0.map(|word| word as i64);
                alone.add(words.into_iter().fold(piece, Piece::integer));
            });
            let together = StateHash::sum(count, |range, batch| {
                for n in range.filter(|n| n % 3 > 0) {
                    batch.add(8 + size_of::<NameDigest>(), |piece| {
                        piece.integer(n as i64);
                        piece.text(&text(n));
                        piece.digest(digest(n));
                    });
                }
            });
            assert_eq!(together, alone, "{count} pieces");
            let mut none = together;
            none.remove_sum(alone);
            assert_eq!(none, StateHash::default());
        }
    }
}
