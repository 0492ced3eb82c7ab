//! The columns of a segment: members in the narrowest width, values with their blanks.

use std::cmp::Ordering;
use std::ops::Range;

use multiversion::multiversion;

use super::RowSet;
use super::ints::Ints;
use crate::id::MemberId;
use crate::value::KeyPart;
use crate::value_list::ValueList;

/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;
/// Rows of a word that are written at a time.
const ROWS_AT_ONCE: usize = 4;

/// Members, one a row.
#[derive(Debug, Clone)]
pub struct Codes(Ints);

impl Codes {
    pub(super) fn new(members: &[MemberId]) -> Self {
        Self(Ints::of(members.iter().map(|member| i64::from(member.0))))
    }

    /// The same member in every row.
    pub(super) fn repeated(member: MemberId, row_count: usize) -> Self {
        Self(Ints::repeated(i64::from(member.0), row_count))
    }

    /// The member of a row.
    #[inline]
    pub fn get(&self, row: usize) -> MemberId {
        MemberId(self.0.get(row) as u32)
    }

    /// Calls a function with each place of a set of rows, counted from zero, and its member.
    #[inline]
    pub fn visit(&self, rows: &RowSet, mut visit: impl FnMut(usize, MemberId)) {
        self.0.visit(rows, |at, member| visit(at, MemberId(member as u32)));
    }

    /// The members of some rows.
    #[inline]
    pub fn gathered<U>(&self, rows: &RowSet, convert: impl Fn(MemberId) -> U) -> Vec<U> {
        self.0.gathered(rows, |member| convert(MemberId(member as u32)))
    }

    /// Their ids.
    pub(crate) fn ints(&self) -> &Ints {
        &self.0
    }
}

/// One part of the row key, one a row.
#[derive(Debug, Clone)]
pub enum Keys {
    /// Integers and dates.
    Integers(Ints),
    /// Texts.
    Texts(Box<[KeyPart]>),
}

impl Keys {
    pub(super) fn new(parts: &[KeyPart]) -> Self {
        let integer = |part: &KeyPart| match part {
            KeyPart::Integer(integer) => Some(*integer),
            KeyPart::Text(_) => None,
        };
        match parts.iter().map(integer).collect::<Option<Vec<i64>>>() {
            Some(integers) => Self::Integers(Ints::new(&integers)),
            None => Self::Texts(parts.into()),
        }
    }

    /// The part of a row.
    pub fn get(&self, row: usize) -> KeyPart {
        match self {
            Self::Integers(integers) => KeyPart::Integer(integers.get(row)),
            Self::Texts(parts) => parts[row].clone(),
        }
    }

    /// The integer of a row; none where the part is text.
    pub fn integer(&self, row: usize) -> Option<i64> {
        match self {
            Self::Integers(integers) => Some(integers.get(row)),
            Self::Texts(_) => None,
        }
    }

    /// The text of a row; none where the part is an integer.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Integers(_) => None,
            Self::Texts(parts) => match &parts[row] {
                KeyPart::Text(text) => Some(text),
                KeyPart::Integer(_) => None,
            },
        }
    }

    /// Compares the part of a row with another.
    pub fn compare(&self, row: usize, other: &KeyPart) -> Ordering {
        match self {
            Self::Integers(integers) => KeyPart::Integer(integers.get(row)).cmp(other),
            Self::Texts(parts) => parts[row].cmp(other),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.size_bytes(),
            Self::Texts(parts) => size_of_val(&**parts),
        }
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

    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Takes all rows out.
    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Takes in the rows of another set.
    pub(super) fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes the rows out that are not in another set.
    pub(super) fn keep(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
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

    /// The same in sets of up to `limit` rows: runs where so many follow each other, else lists.
    pub(super) fn row_sets(&self, limit: usize) -> Vec<RowSet> {
        let words_a_set = (limit / WORD_BITS).max(1);
        let mut sets = Vec::new();
        let mut rows: Vec<u32> = Vec::new();
        let close = |rows: &mut Vec<u32>, sets: &mut Vec<RowSet>| {
            let rows = std::mem::take(rows);
            sets.extend(rows.chunks(limit).map(|rows| RowSet::of_list(rows.to_vec())));
        };
        for (idx, words) in self.words.chunks(words_a_set).enumerate() {
            let first = idx * words_a_set * WORD_BITS;
            let is_full = words.len() * WORD_BITS <= limit && words.iter().all(|&w| w == u64::MAX);
            let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
            if is_full || rows.len() + count > limit {
                close(&mut rows, &mut sets);
            }
            match is_full {
                true => {
                    sets.push(RowSet::Run(first as u32..(first + words.len() * WORD_BITS) as u32));
                }
                false => push_rows(first, words, &mut rows),
            }
        }
        close(&mut rows, &mut sets);
        sets
    }
}

/// The rows that words from a row on mark.
fn rows_of(first: usize, words: &[u64]) -> Vec<u32> {
    let mut rows = Vec::new();
    push_rows(first, words, &mut rows);
    rows
}

/// Appends the rows that words from a row on mark.
///
/// Most words have few bits or many, at random: so many rows are written at a time, whether there are as many or not,
/// and what is too much is written over.
#[multiversion(targets("x86_64+popcnt+bmi1"))]
fn push_rows(first: usize, words: &[u64], rows: &mut Vec<u32>) {
    let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
    let mut len = rows.len();
    rows.resize(len + count + ROWS_AT_ONCE, 0);
    for (row, &word) in (first as u32..).step_by(WORD_BITS).zip(words) {
        let (mut rest, mut place) = (word, len);
        loop {
            let written: &mut [u32; ROWS_AT_ONCE] =
                rows[place..].first_chunk_mut().expect("there is room for so many more");
            for written in written {
                *written = row + rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
            }
            if rest == 0 {
                break;
            }
            place += ROWS_AT_ONCE;
        }
        len += word.count_ones() as usize;
    }
    rows.truncate(len);
}

/// Values with their blanks.
#[derive(Debug, Clone)]
pub struct Values {
    /// Zero where blank.
    ints: Ints,
    /// Rows with a value; absent where all have one.
    presence: Option<Presence>,
}

impl Values {
    /// The values of a range of a list.
    pub(super) fn new(values: &ValueList, range: Range<usize>) -> Self {
        if values.is_blank() {
            return Self::blank(range.len());
        }
        let ints = Ints::new(&values.integers()[range.clone()]);
        let Some(words) = values.filled_words() else { return Self::full(ints) };
        if range.start.is_multiple_of(WORD_BITS) {
            let words = &words[range.start / WORD_BITS..range.end.div_ceil(WORD_BITS)];
            let mut presence = Presence::all(range.len());
            presence.words.iter_mut().zip(words).for_each(|(word, filled)| *word &= filled);
            return Self::normal(ints, presence);
        }
        let mut presence = Presence::none(range.len());
        let filled = range.clone().filter(|&at| values.get(at).is_some());
        filled.for_each(|at| presence.insert(at - range.start));
        Self::normal(ints, presence)
    }

    /// The values of some rows.
    pub(super) fn taken(&self, rows: &RowSet) -> ValueList {
        let Some(presence) = &self.presence else {
            return ValueList::full(self.ints.gathered(rows, |value| value));
        };
        rows.iter().map(|row| presence.contains(row).then(|| self.ints.get(row))).collect()
    }

    /// No value in any row.
    pub(super) fn blank(row_count: usize) -> Self {
        Self { ints: Ints::repeated(0, row_count), presence: Some(Presence::none(row_count)) }
    }

    pub(super) fn normal(ints: Ints, presence: Presence) -> Self {
        let presence = (presence.count() < ints.len()).then_some(presence);
        Self { ints, presence }
    }

    /// A value in every row.
    pub(super) fn full(ints: Ints) -> Self {
        Self { ints, presence: None }
    }

    /// The rows with a value, as a set of its own.
    pub(super) fn presence_of_all(&self) -> Presence {
        self.presence.clone().unwrap_or_else(|| Presence::all(self.ints.len()))
    }

    /// The value of a row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        match &self.presence {
            Some(presence) if !presence.contains(row) => None,
            _ => Some(self.ints.get(row)),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let presence = self.presence.as_ref().map_or(0, |presence| size_of_val(&*presence.words));
        self.ints.size_bytes() + presence
    }

    /// The values of all rows, zero where blank.
    pub fn ints(&self) -> &Ints {
        &self.ints
    }

    /// The rows with a value; absent where all have one.
    pub fn presence(&self) -> Option<&Presence> {
        self.presence.as_ref()
    }
}
