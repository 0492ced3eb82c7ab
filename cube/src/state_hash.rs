//! A hash of inputs and model that does not depend on ids, segments or the order of writes.
//!
//! Every member and every row is hashed by itself, from names and keys; the state is their sum
//! modulo 2^256, so that a write changes it by the difference. Formula results are left out.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Pieces that are hashed one after the other; more are hashed side by side.
const PIECES_A_TASK: usize = 1_024;
/// Room for the fields of a piece, as rows have them.
const PIECE_BYTES: usize = 512;

/// A sum of hashes modulo 2^256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateHash([u64; 4]);

impl StateHash {
    /// Adds a piece of the state.
    pub fn add(&mut self, piece: Piece) {
        self.add_words(piece.words());
    }

    /// Adds the pieces of some numbers below a count, of those that have one.
    pub fn add_all(&mut self, count: usize, piece: impl Fn(usize) -> Option<Piece> + Sync) {
        let sum = |chunk: usize| {
            let mut sum = Self::default();
            let numbers = chunk * PIECES_A_TASK..count.min((chunk + 1) * PIECES_A_TASK);
            numbers.filter_map(&piece).for_each(|piece| sum.add(piece));
            sum
        };
        let chunks = count.div_ceil(PIECES_A_TASK);
        let sums: Vec<Self> = match chunks {
            ..=1 => (0..chunks).map(sum).collect(),
            _ => (0..chunks).into_par_iter().map(sum).collect(),
        };
        sums.into_iter().for_each(|sum| self.add_words(sum.0));
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
        let mut borrow = false;
        for (sum, word) in self.0.iter_mut().zip(piece.words()) {
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

/// One piece of the state, field by field; every field carries its length. The fields are short, so
/// they are gathered and hashed together.
pub struct Piece(Vec<u8>);

impl Piece {
    /// A piece of a kind: `member`, `row`, `model`.
    pub fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(PIECE_BYTES)).text(kind)
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
        let digest = Sha256::digest(&self.0);
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(digest.chunks_exact(8)) {
            *word = chunk.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
        }
        words
    }
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
        let mut c = StateHash::default();
        c.add_all(10_000, |n| (n % 100 == 7).then(|| piece(n as i64 / 100)));
        assert_eq!(c, b);
    }
}
