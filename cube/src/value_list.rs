//! Values with their blanks as rows have them on their way into a cube: eight bytes each, and a bit
//! where there are blanks at all. Ledger entries hold them as a list of optional integers.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;
/// Room that a list is given before its values are read, however many it promises.
const TRUSTED_LEN: usize = 1 << 16;

/// Values, none is blank.
#[derive(Clone, Default)]
pub struct ValueList {
    /// Zero where blank; empty where all are.
    integers: Vec<i64>,
    filled: Filled,
}

/// Which places have a value.
#[derive(Clone, Default)]
enum Filled {
    /// All.
    #[default]
    All,
    /// None of so many.
    None(usize),
    /// Those whose bits are set; bits past the last place are zero.
    Some(Vec<u64>),
}

impl ValueList {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// No values yet, with room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { integers: Vec::with_capacity(capacity), filled: Filled::All }
    }

    /// A value in every place.
    pub fn full(integers: Vec<i64>) -> Self {
        Self { integers, filled: Filled::All }
    }

    /// So many blanks.
    pub fn blank(len: usize) -> Self {
        Self { integers: Vec::new(), filled: Filled::None(len) }
    }

    /// Integers, zero where blank, and a bit for each place that has a value.
    pub fn from_parts(integers: Vec<i64>, filled: Vec<u64>) -> Self {
        debug_assert_eq!(filled.len(), integers.len().div_ceil(WORD_BITS));
        let count: usize = filled.iter().map(|word| word.count_ones() as usize).sum();
        match count == integers.len() {
            true => Self::full(integers),
            false => Self { integers, filled: Filled::Some(filled) },
        }
    }

    /// Number of places.
    #[inline]
    pub fn len(&self) -> usize {
        match self.filled {
            Filled::None(len) => len,
            _ => self.integers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a place.
    ///
    /// # Panics
    /// If there is no such place.
    #[inline]
    pub fn get(&self, at: usize) -> Option<i64> {
        match &self.filled {
            Filled::All => Some(self.integers[at]),
            Filled::Some(words) => {
                let integer = self.integers[at];
                bit(words, at).then_some(integer)
            }
            Filled::None(len) => {
                assert!(at < *len, "a list of {len} values has no place {at}");
                None
            }
        }
    }

    /// All values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<i64>> + DoubleEndedIterator + Clone {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The integers, zero where blank; empty where all are.
    pub fn integers(&self) -> &[i64] {
        &self.integers
    }

    /// A bit for each place that has a value; none where all or no places have one.
    pub fn filled_words(&self) -> Option<&[u64]> {
        match &self.filled {
            Filled::Some(words) => Some(words),
            _ => None,
        }
    }

    /// Whether every place has a value, as far as is known without looking.
    pub fn is_full(&self) -> bool {
        matches!(self.filled, Filled::All)
    }

    /// Whether no place has a value, as far as is known without looking.
    pub fn is_blank(&self) -> bool {
        matches!(self.filled, Filled::None(_))
    }

    /// Memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of_val(self.integers.as_slice()) + self.filled_words().map_or(0, size_of_val)
    }

    /// Makes room for further values.
    pub fn reserve(&mut self, additional: usize) {
        self.integers.reserve(additional);
    }

    /// Appends a value.
    pub fn push(&mut self, value: Option<i64>) {
        let at = self.len();
        match (value, &mut self.filled) {
            (Some(_), Filled::All) => {}
            (None, Filled::None(len)) => {
                *len += 1;
                return;
            }
            _ => {
                let words = self.words_mut();
                if at.is_multiple_of(WORD_BITS) {
                    words.push(0);
                }
                set_bit(words, at, value.is_some());
            }
        }
        self.integers.push(value.unwrap_or(0));
    }

    /// Puts another value in a place.
    pub fn set(&mut self, at: usize, value: Option<i64>) {
        let is_known = match self.filled {
            Filled::All => value.is_some(),
            Filled::None(_) => value.is_none(),
            Filled::Some(_) => false,
        };
        if !is_known {
            set_bit(self.words_mut(), at, value.is_some());
        }
        if !self.is_blank() {
            self.integers[at] = value.unwrap_or(0);
        }
    }

    /// Shortens the list to its first places.
    pub fn truncate(&mut self, len: usize) {
        self.integers.truncate(len);
        match &mut self.filled {
            Filled::All => {}
            Filled::None(places) => *places = len.min(*places),
            Filled::Some(words) => {
                words.truncate(len.div_ceil(WORD_BITS));
                let used = len % WORD_BITS;
                if let (Some(last), true) = (words.get_mut(len / WORD_BITS), used > 0) {
                    *last &= !(u64::MAX << used);
                }
            }
        }
    }

    /// Appends blanks up to a length.
    pub fn fill_up(&mut self, len: usize) {
        let more = len.saturating_sub(self.len());
        if self.is_empty() {
            *self = Self::blank(more);
        } else {
            self.extend(std::iter::repeat_n(None, more));
        }
    }

    /// Appends the values of another list.
    pub fn append(&mut self, other: &Self) {
        match (&self.filled, &other.filled) {
            _ if other.is_empty() => {}
            (Filled::All, Filled::All) => self.integers.extend_from_slice(&other.integers),
            (Filled::None(len), Filled::None(more)) => self.filled = Filled::None(len + more),
            _ => self.extend(other.iter()),
        }
    }

    /// Appends the values at some places of another list.
    pub fn append_places(&mut self, other: &Self, places: impl ExactSizeIterator<Item = usize>) {
        match (&self.filled, &other.filled) {
            (Filled::All, Filled::All) => {
                self.integers.extend(places.map(|at| other.integers[at]));
            }
            _ => self.extend(places.map(|at| other.get(at))),
        }
    }

    /// The values at some places.
    #[must_use]
    pub fn taken(&self, places: &[usize]) -> Self {
        match &self.filled {
            Filled::All => Self::full(places.iter().map(|&at| self.integers[at]).collect()),
            Filled::None(_) => Self::blank(places.len()),
            Filled::Some(words) => {
                let integers = places.iter().map(|&at| self.integers[at]).collect();
                let word = |places: &[usize]| {
                    let bits = places.iter().enumerate();
                    bits.fold(0, |word, (at, &place)| word | u64::from(bit(words, place)) << at)
                };
                Self::from_parts(integers, places.chunks(WORD_BITS).map(word).collect())
            }
        }
    }

    /// The bits, made where all or no places have a value.
    fn words_mut(&mut self) -> &mut Vec<u64> {
        let len = self.len();
        if self.is_blank() {
            self.integers = vec![0; len];
        }
        if !matches!(self.filled, Filled::Some(_)) {
            let word = if self.is_full() { u64::MAX } else { 0 };
            let mut words = vec![word; len.div_ceil(WORD_BITS)];
            let unused = words.len() * WORD_BITS - len;
            words.last_mut().into_iter().for_each(|last| *last >>= unused);
            self.filled = Filled::Some(words);
        }
        match &mut self.filled {
            Filled::Some(words) => words,
            _ => unreachable!("the bits were just made"),
        }
    }
}

#[inline]
fn bit(words: &[u64], at: usize) -> bool {
    words[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1
}

fn set_bit(words: &mut [u64], at: usize, is_set: bool) {
    let word = &mut words[at / WORD_BITS];
    *word = *word & !(1 << (at % WORD_BITS)) | u64::from(is_set) << (at % WORD_BITS);
}

impl Extend<Option<i64>> for ValueList {
    fn extend<I: IntoIterator<Item = Option<i64>>>(&mut self, values: I) {
        let values = values.into_iter();
        self.integers.reserve(values.size_hint().0);
        values.for_each(|value| self.push(value));
    }
}

impl FromIterator<Option<i64>> for ValueList {
    fn from_iter<I: IntoIterator<Item = Option<i64>>>(values: I) -> Self {
        let mut list = Self::new();
        list.extend(values);
        list
    }
}

impl From<Vec<Option<i64>>> for ValueList {
    fn from(values: Vec<Option<i64>>) -> Self {
        values.into_iter().collect()
    }
}

impl PartialEq for ValueList {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for ValueList {}

impl fmt::Debug for ValueList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for ValueList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|value| list.serialize_element(&value))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for ValueList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = ValueList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of integers and blanks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ValueList, A::Error> {
                let promised = list.size_hint().unwrap_or(0);
                let mut values = ValueList::with_capacity(promised.min(TRUSTED_LEN));
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(values)
            }
        }

        deserializer.deserialize_seq(Values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way to make a list of these values.
    fn lists(values: &[Option<i64>]) -> Vec<ValueList> {
        let mut lists = vec![values.iter().copied().collect::<ValueList>(), values.to_vec().into()];
        let mut set = ValueList::blank(values.len());
        let mut longer = ValueList::full(vec![7; values.len()]);
        for (at, &value) in values.iter().enumerate() {
            set.set(at, value);
            longer.set(at, value);
        }
        longer.extend([None, Some(3)]);
        longer.truncate(values.len());
        let half = values.len() / 2;
        let mut joined: ValueList = values[..half].iter().copied().collect();
        joined.append(&values[half..].iter().copied().collect());
        let backwards: ValueList = values.iter().rev().copied().collect();
        let places: Vec<usize> = (0..values.len()).rev().collect();
        let mut appended: ValueList = values[..half].iter().copied().collect();
        appended.append_places(&backwards, places.iter().copied().skip(half));
        lists.extend([set, longer, joined, backwards.taken(&places), appended]);
        lists
    }

    proptest! {
        #[test]
        fn values_are_as_they_were(
            values in prop::collection::vec(
                prop_oneof![Just(None), any::<i64>().prop_map(Some), Just(Some(5))], 0..200),
            share in 0..3,
        ) {
            let kept = |value: Option<i64>| match share {
                0 => value,
                1 => None,
                _ => Some(value.unwrap_or(1)),
            };
            let values: Vec<Option<i64>> = values.into_iter().map(kept).collect();
            for mut list in lists(&values) {
                prop_assert_eq!(list.iter().collect::<Vec<_>>(), values.clone());
                prop_assert_eq!(&list, &ValueList::from(values.clone()));
                list.fill_up(values.len() + 70);
                prop_assert_eq!(list.len(), values.len() + 70);
                prop_assert!(list.iter().skip(values.len()).all(|value| value.is_none()));
                list.truncate(values.len() / 2);
                prop_assert!(list.iter().eq(values[..values.len() / 2].iter().copied()));
                list.push(Some(1));
                prop_assert_eq!(list.get(values.len() / 2), Some(1));
            }
        }
    }
}
