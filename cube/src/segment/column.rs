//! The columns of a segment: members in the narrowest width, values with their blanks.

use super::RowSet;
use crate::id::MemberId;

/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;

/// Member ids in the narrowest width that holds them.
#[derive(Debug, Clone)]
pub enum Codes {
    /// Below 2^8.
    U8(Vec<u8>),
    /// Below 2^16.
    U16(Vec<u16>),
    /// All others.
    U32(Vec<u32>),
}

impl Codes {
    pub(super) fn new(members: &[MemberId]) -> Self {
        let max = members.iter().map(|member| member.0).max().unwrap_or(0);
        if u8::try_from(max).is_ok() {
            Self::U8(members.iter().map(|member| member.0 as u8).collect())
        } else if u16::try_from(max).is_ok() {
            Self::U16(members.iter().map(|member| member.0 as u16).collect())
        } else {
            Self::U32(members.iter().map(|member| member.0).collect())
        }
    }

    /// The member of a row.
    pub fn get(&self, row: usize) -> MemberId {
        MemberId(match self {
            Self::U8(codes) => u32::from(codes[row]),
            Self::U16(codes) => u32::from(codes[row]),
            Self::U32(codes) => codes[row],
        })
    }

    /// Calls a function with every row and its member.
    pub fn for_each(&self, mut visit: impl FnMut(usize, MemberId)) {
        match self {
            Self::U8(codes) => {
                codes.iter().enumerate().for_each(|(r, &c)| visit(r, MemberId(c.into())))
            }
            Self::U16(codes) => {
                codes.iter().enumerate().for_each(|(r, &c)| visit(r, MemberId(c.into())))
            }
            Self::U32(codes) => codes.iter().enumerate().for_each(|(r, &c)| visit(r, MemberId(c))),
        }
    }

    /// Bits of a code.
    pub(super) fn width(&self) -> u32 {
        match self {
            Self::U8(_) => u8::BITS,
            Self::U16(_) => u16::BITS,
            Self::U32(_) => u32::BITS,
        }
    }

    /// Takes the rows out of a set whose member is not wanted.
    pub(super) fn retain(&self, rows: &mut Presence, wanted: impl Fn(u32) -> bool) {
        match self {
            Self::U8(codes) => retain(codes, rows, wanted),
            Self::U16(codes) => retain(codes, rows, wanted),
            Self::U32(codes) => retain(codes, rows, wanted),
        }
    }
}

fn retain<C: Copy + Into<u32>>(codes: &[C], rows: &mut Presence, wanted: impl Fn(u32) -> bool) {
    for (word, codes) in rows.words.iter_mut().zip(codes.chunks(WORD_BITS)) {
        if *word == 0 {
            continue;
        }
        let flag = |(bit, &code): (usize, &C)| u64::from(wanted(code.into())) << bit;
        *word &= codes.iter().enumerate().map(flag).fold(0, |flags, flag| flags | flag);
    }
}

/// A set of rows of one segment: one bit a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    words: Vec<u64>,
}

impl Presence {
    /// None of some rows.
    pub(super) fn none(row_count: usize) -> Self {
        Self { words: vec![0; row_count.div_ceil(WORD_BITS)] }
    }

    /// All of some rows.
    pub(super) fn all(row_count: usize) -> Self {
        let mut words = vec![u64::MAX; row_count.div_ceil(WORD_BITS)];
        let unused = words.len() * WORD_BITS - row_count;
        if let Some(last) = words.last_mut() {
            *last >>= unused;
        }
        Self { words }
    }

    /// Whether a row is in the set.
    pub fn contains(&self, row: usize) -> bool {
        self.words[row / WORD_BITS] >> (row % WORD_BITS) & 1 == 1
    }

    /// The bits: row `r` is bit `r % 64` of word `r / 64`; bits past the last row are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn insert(&mut self, row: usize) {
        self.words[row / WORD_BITS] |= 1 << (row % WORD_BITS);
    }

    pub(super) fn remove(&mut self, row: usize) {
        self.words[row / WORD_BITS] &= !(1 << (row % WORD_BITS));
    }

    /// Number of rows in the set.
    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows in the set, in order.
    pub(super) fn rows(&self) -> Vec<u32> {
        rows_of(0, &self.words)
    }

    /// The same in sets of rows within the same `limit` rows.
    pub(super) fn row_sets(&self, limit: usize) -> Vec<RowSet> {
        let words_a_set = (limit / WORD_BITS).max(1);
        let set = |(idx, words): (usize, &[u64])| {
            let first = idx * words_a_set * WORD_BITS;
            let full = words.iter().take_while(|&&word| word == u64::MAX).count();
            match &words[full..] {
                [] if full * WORD_BITS <= limit => {
                    vec![RowSet::Run(first as u32..(first + full * WORD_BITS) as u32)]
                }
                _ => {
                    let rows = rows_of(first, words);
                    rows.chunks(limit).map(|rows| RowSet::of_list(rows.to_vec())).collect()
                }
            }
        };
        self.words.chunks(words_a_set).enumerate().flat_map(set).collect()
    }
}

/// The rows that words from a row on mark.
fn rows_of(first: usize, words: &[u64]) -> Vec<u32> {
    let count = words.iter().map(|word| word.count_ones() as usize).sum();
    let mut rows = Vec::with_capacity(count);
    for (idx, &word) in words.iter().enumerate() {
        let mut rest = word;
        while rest != 0 {
            rows.push((first + idx * WORD_BITS) as u32 + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
    rows
}

/// Values with their blanks.
#[derive(Debug, Clone)]
pub struct Values {
    /// Zero where blank.
    raw: Vec<i64>,
    /// Rows with a value; absent where all have one.
    presence: Option<Presence>,
}

impl Values {
    pub(super) fn new(values: &[Option<i64>]) -> Self {
        let mut presence = Presence::none(values.len());
        let filled = values.iter().enumerate().filter(|(_, value)| value.is_some());
        filled.for_each(|(row, _)| presence.insert(row));
        let raw = values.iter().map(|value| value.unwrap_or(0)).collect();
        Self::normal(raw, presence)
    }

    /// No value in any row.
    pub(super) fn blank(row_count: usize) -> Self {
        Self { raw: vec![0; row_count], presence: Some(Presence::none(row_count)) }
    }

    pub(super) fn normal(raw: Vec<i64>, presence: Presence) -> Self {
        let presence = (presence.count() < raw.len()).then_some(presence);
        Self { raw, presence }
    }

    /// A value in every row.
    pub(super) fn full(raw: Vec<i64>) -> Self {
        Self { raw, presence: None }
    }

    /// The rows with a value, as a set of its own.
    pub(super) fn presence_of_all(&self) -> Presence {
        self.presence.clone().unwrap_or_else(|| Presence::all(self.raw.len()))
    }

    /// The value of a row.
    pub fn get(&self, row: usize) -> Option<i64> {
        match &self.presence {
            Some(presence) if !presence.contains(row) => None,
            _ => Some(self.raw[row]),
        }
    }

    /// The values of all rows, zero where blank.
    pub fn raw(&self) -> &[i64] {
        &self.raw
    }

    /// The rows with a value; absent where all have one.
    pub fn presence(&self) -> Option<&Presence> {
        self.presence.as_ref()
    }
}
