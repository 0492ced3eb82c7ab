//! Pieces one behind the other, each padded to whole blocks as SHA-256 wants them.
//!
//! What is written is of a fixed width where it can be, which the compiler makes single instructions.

use super::lanes::{self, BLOCK_BYTES};
use super::{NameDigest, StateHash, words_of};

/// Bytes of a block before the length of the piece that ends in it.
const LENGTH_AT: usize = BLOCK_BYTES - size_of::<u64>();
/// Bytes behind a piece that its end may take.
const ROOM: usize = 2 * BLOCK_BYTES;

/// Pieces that are hashed together.
#[derive(Default)]
pub struct Batch {
    /// All beyond the last piece is not looked at.
    bytes: Vec<u8>,
    /// Where the next byte goes.
    len: usize,
    /// Bytes of the piece beside its texts.
    room: usize,
    /// Where each piece ends, in blocks.
    ends: Vec<usize>,
    /// How long each is, in bytes.
    lengths: Vec<usize>,
}

impl Batch {
    /// Leaves out all pieces.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.ends.clear();
        self.lengths.clear();
    }

    /// Adds the piece that a function writes, of so many bytes and texts beside.
    #[inline]
    pub fn add(&mut self, bytes: usize, write: impl FnOnce(&mut Self)) {
        let start = self.len;
        self.room = bytes;
        self.make_room(bytes);
        write(self);
        let length = self.len - start;
        self.make_room(ROOM);
        self.put([0x80]);
        let zeros_from = self.len;
        self.put([0; BLOCK_BYTES]);
        let filled = zeros_from % BLOCK_BYTES;
        self.len = match filled <= LENGTH_AT {
            true => zeros_from - filled + LENGTH_AT,
            false => zeros_from - filled + BLOCK_BYTES + LENGTH_AT,
        };
        self.put((length as u64 * 8).to_be_bytes());
        self.lengths.push(length);
        self.ends.push(self.len / BLOCK_BYTES);
    }

    /// Writes a text: every text carries its length. It makes its own room.
    pub fn text(&mut self, text: &str) {
        self.make_room(size_of::<u64>() + text.len() + self.room);
        self.put((text.len() as u64).to_le_bytes());
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
    }

    /// Writes an integer; there must be room.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.put(value.to_le_bytes());
    }

    /// Writes a digest; there must be room.
    #[inline]
    pub fn digest(&mut self, digest: NameDigest) {
        digest.0.iter().for_each(|word| self.put(word.to_le_bytes()));
    }

    #[inline]
    fn make_room(&mut self, count: usize) {
        if self.bytes.len() < self.len + count {
            self.bytes.resize((self.len + count) * 2, 0);
        }
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        *self.bytes[self.len..].first_chunk_mut().expect("there is room") = bytes;
        self.len += N;
    }

    /// The sum of the hashes.
    pub(super) fn sum(&self) -> StateHash {
        let mut sum = StateHash::default();
        if lanes::are_faster(self.ends.len()) {
            let (blocks, _) = self.bytes[..self.len].as_chunks();
            lanes::digests(blocks, &self.ends, |digest| sum.add_words(words(digest)));
            return sum;
        }
        let mut start = 0;
        for (end, length) in self.ends.iter().zip(&self.lengths) {
            sum.add_words(words_of(&self.bytes[start..start + length]));
            start = end * BLOCK_BYTES;
        }
        sum
    }
}

/// A hash as the words of a sum: its bytes, the least significant first.
fn words(digest: [u32; 8]) -> [u64; 4] {
    let word = |at: usize| {
        let [low, high] = [digest[at * 2], digest[at * 2 + 1]].map(u32::swap_bytes);
        u64::from(high) << u32::BITS | u64::from(low)
    };
    [0, 1, 2, 3].map(word)
}
