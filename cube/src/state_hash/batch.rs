//! Pieces one behind the other, each padded to whole blocks as SHA-256 wants them.
//!
//! Fields are a few bytes long: they are copied in steps of a fixed width, which the compiler makes single
//! instructions, and what is too much is written over by the next field.

use super::lanes::{self, BLOCK_BYTES};
use super::{StateHash, words_of};

/// Bytes that are copied at once.
const STEP: usize = 32;
/// Fields of so many steps take little memory, however short others are.
const STEPS_MAX: usize = 3;
/// How many times as much memory as their bytes longer fields may take.
const WASTE_MAX: usize = 4;
/// Bytes of a block before the length of the piece that ends in it.
const LENGTH_AT: usize = BLOCK_BYTES - size_of::<u64>();
/// Bytes behind a piece that its end may take.
const ROOM: usize = 2 * BLOCK_BYTES + STEP;

/// Fields that are written again and again.
#[derive(Debug)]
pub struct Fields {
    /// The fields one after the other, each in as many steps as the longest.
    steps: Vec<[u8; STEP]>,
    steps_each: usize,
    lengths: Vec<u16>,
}

impl Fields {
    /// Some fields.
    ///
    /// # Panics
    /// If one is longer than names and keys are.
    pub fn new<'a>(fields: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Self {
        let longest = fields.clone().map(<[u8]>::len).max().unwrap_or(0);
        let steps_each = longest.div_ceil(STEP).max(1);
        let mut steps = vec![[0; STEP]; steps_each * fields.len()];
        let mut lengths = Vec::with_capacity(fields.len());
        for (steps, field) in steps.chunks_mut(steps_each).zip(fields) {
            steps.as_flattened_mut()[..field.len()].copy_from_slice(field);
            lengths.push(u16::try_from(field.len()).expect("names and keys are short"));
        }
        Self { steps, steps_each, lengths }
    }

    /// So many fields, each written behind what is in a buffer; none where they would take too much memory,
    /// as one is much longer than most.
    pub fn frugal(count: usize, write: impl Fn(usize, &mut Vec<u8>)) -> Option<Self> {
        let (mut bytes, mut ends, mut longest) = (Vec::new(), Vec::with_capacity(count), 0);
        for at in 0..count {
            let start = bytes.len();
            write(at, &mut bytes);
            longest = longest.max(bytes.len() - start);
            ends.push(bytes.len());
        }
        let is_frugal = longest <= STEPS_MAX * STEP || longest * count <= bytes.len() * WASTE_MAX;
        let field = |at: usize| &bytes[at.checked_sub(1).map_or(0, |at| ends[at])..ends[at]];
        is_frugal.then(|| Self::new((0..count).map(field)))
    }

    /// Bytes that writing one may take.
    pub fn room(&self) -> usize {
        self.steps_each * STEP
    }
}

/// Pieces that are hashed together.
#[derive(Default)]
pub struct Batch {
    /// All beyond the last piece is not looked at.
    bytes: Vec<u8>,
    /// Where the next byte goes.
    len: usize,
    /// Bytes that are free behind it, whatever texts take.
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

    /// Adds the piece that a function writes, if it says that it is one.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Self) -> bool) {
        let start = self.len;
        if !write(self) {
            self.len = start;
            return;
        }
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

    /// Writes a field; there must be room.
    #[inline]
    pub fn field(&mut self, fields: &Fields, at: usize) {
        let steps = &fields.steps[at * fields.steps_each..][..fields.steps_each];
        let mut place = self.len;
        for step in steps {
            *self.bytes[place..].first_chunk_mut().expect("there is room") = *step;
            place += STEP;
        }
        self.len += usize::from(fields.lengths[at]);
    }

    /// Makes room for so many bytes of fields and integers; texts between them take nothing of it.
    #[inline]
    pub fn keep_room(&mut self, count: usize) {
        self.room = count;
        self.make_room(count);
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
