//! The texts of text measures: each different one is kept once and known by a code, the stored
//! integer of a text measure.
//!
//! A dictionary only grows, so a code stays true in every later version; codes of branches that went
//! different ways say different texts. A code is a place and nothing else: it is never compared,
//! sorted, hashed into a state or written to a ledger, the text is.
//!
//! Texts lie in layers that versions share. New ones make a small layer, and small neighbours are
//! merged, so that their number stays logarithmic, as with the segments of a cube.

use std::collections::HashMap;
use std::sync::Arc;

use crate::change::Change;
use crate::error::{CubeError, Result};
use crate::limits::{MERGED_TEXTS_MAX, TEXT_BYTES_MAX, TEXTS_BYTES_MAX, TEXTS_MAX};

/// Texts by code.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    layers: Vec<Arc<Layer>>,
    bytes: u64,
    /// Number of texts and bytes in them when those that no cell holds were last left out.
    swept: (usize, u64),
    /// How often texts got other codes.
    recoded_count: u32,
}

/// Texts whose codes follow each other.
#[derive(Debug, Default)]
struct Layer {
    /// The code of the first.
    first: usize,
    texts: Vec<Arc<str>>,
    /// Places in the layer.
    places: HashMap<Arc<str>, u32>,
}

impl Layer {
    fn new(first: usize, texts: Vec<Arc<str>>) -> Self {
        let places = texts.iter().zip(0..).map(|(text, place)| (Arc::clone(text), place));
        Self { first, places: places.collect(), texts }
    }
}

impl Dictionary {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.first + layer.texts.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The text of a code.
    ///
    /// # Panics
    /// If the code is of another dictionary.
    pub fn text(&self, code: i64) -> &Arc<str> {
        let place = usize::try_from(code).expect("a code is a place");
        let after = self.layers.partition_point(|layer| layer.first <= place);
        let layer = after.checked_sub(1).map(|at| &self.layers[at]);
        layer
            .and_then(|layer| layer.texts.get(place - layer.first))
            .expect("a code stands in the dictionary that gave it")
    }

    /// The code of a text.
    pub fn code(&self, text: &str) -> Option<i64> {
        let newest_first = self.layers.iter().rev();
        newest_first
            .filter_map(|layer| Some(layer.first + *layer.places.get(text)? as usize))
            .map(|place| place as i64)
            .next()
    }

    /// The dictionary with further texts behind the others.
    fn with(&self, texts: Vec<Arc<str>>) -> Self {
        let bytes = texts.iter().map(|text| text.len() as u64).sum::<u64>();
        let mut layers = self.layers.clone();
        layers.push(Arc::new(Layer::new(self.len(), texts)));
        while let [.., before, last] = layers.as_slice() {
            let (small, large) = (last.texts.len(), before.texts.len());
            if small * 2 < large || small + large > MERGED_TEXTS_MAX {
                break;
            }
            let texts = before.texts.iter().chain(&last.texts).cloned().collect();
            let merged = Layer::new(before.first, texts);
            layers.truncate(layers.len() - 2);
            layers.push(Arc::new(merged));
        }
        Self { layers, bytes: self.bytes + bytes, ..*self }
    }

    /// Whether codes mean the same in another state of the dictionary.
    pub fn has_codes_of(&self, other: &Self) -> bool {
        self.recoded_count == other.recoded_count
    }

    /// Whether so many texts came since the last sweep that those no cell holds may be half of all.
    pub(crate) fn is_due(&self, free: (usize, u64)) -> bool {
        let (count, bytes) = self.swept;
        self.len() - count > count.max(free.0) || self.bytes - bytes > bytes.max(free.1)
    }

    /// Whether more than half of the texts, and of their bytes, are in use.
    pub(crate) fn is_mostly(&self, is_used: &[bool]) -> bool {
        let used = self.used(is_used);
        let bytes = used.iter().map(|text| text.len() as u64).sum::<u64>();
        used.len() * 2 > self.len() && bytes * 2 > self.bytes
    }

    /// The dictionary, known to have been looked through.
    pub(crate) fn looked_through(&self) -> Self {
        Self { swept: (self.len(), self.bytes), ..self.clone() }
    }

    /// The dictionary of the texts that are in use, and per old code the new one.
    pub(crate) fn keeping(&self, is_used: &[bool]) -> (Self, Vec<u32>) {
        let used: Vec<Arc<str>> = self.used(is_used).into_iter().cloned().collect();
        let kept = if used.is_empty() { Self::default() } else { Self::default().with(used) };
        let mut next = 0;
        let codes = is_used.iter().map(|&used| {
            next += u32::from(used);
            next.saturating_sub(1)
        });
        let codes = codes.collect();
        (Self { recoded_count: self.recoded_count + 1, ..kept.looked_through() }, codes)
    }

    fn used(&self, is_used: &[bool]) -> Vec<&Arc<str>> {
        let all = self.layers.iter().flat_map(|layer| &layer.texts);
        all.zip(is_used).filter(|(_, used)| **used).map(|(text, _)| text).collect()
    }
}

/// Gives codes to texts, and makes the dictionary that has the new ones.
#[derive(Debug)]
pub struct Interner {
    base: Arc<Dictionary>,
    new: Vec<Arc<str>>,
    bytes: u64,
    /// Codes of all texts seen.
    seen: HashMap<Arc<str>, i64>,
    /// The text seen last: a formula gives one text to many cells.
    last: Option<(Arc<str>, i64)>,
}

impl Interner {
    /// Begins with a dictionary.
    pub fn new(base: Arc<Dictionary>) -> Self {
        Self { bytes: base.bytes, base, new: Vec::new(), seen: HashMap::new(), last: None }
    }

    /// The code of a text.
    ///
    /// # Errors
    /// A text that is longer than texts may be, and more texts than there may be.
    pub fn code(&mut self, text: &Arc<str>) -> Result<i64> {
        if let Some((last, code)) = &self.last
            && Arc::ptr_eq(last, text)
        {
            return Ok(*code);
        }
        let code = match self.seen.get(text) {
            Some(&code) => code,
            None => {
                let code = match self.base.code(text) {
                    Some(code) => code,
                    None => self.add(text)?,
                };
                self.seen.insert(Arc::clone(text), code);
                code
            }
        };
        self.last = Some((Arc::clone(text), code));
        Ok(code)
    }

    fn add(&mut self, text: &Arc<str>) -> Result<i64> {
        check_text(text)?;
        let place = self.base.len() + self.new.len();
        self.bytes += text.len() as u64;
        if place >= TEXTS_MAX {
            return Err(CubeError::TooManyTexts(format!("{TEXTS_MAX} different texts")));
        }
        if self.bytes > TEXTS_BYTES_MAX {
            return Err(CubeError::TooManyTexts(format!("{TEXTS_BYTES_MAX} bytes of texts")));
        }
        self.new.push(Arc::clone(text));
        Ok(place as i64)
    }

    /// The dictionary with all texts that got a code; the one it began with where none is new.
    pub fn finish(self) -> Arc<Dictionary> {
        if self.new.is_empty() { self.base } else { Arc::new(self.base.with(self.new)) }
    }
}

/// Whether a text may be the value of a measure.
///
/// # Errors
/// A text that is too long, or that no client could be sent.
pub fn check_text(text: &str) -> Result<()> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CubeError::TextTooLong {
            start: text.chars().take(24).collect(),
            bytes: text.len(),
        });
    }
    if text.contains('\0') {
        return Err(CubeError::InvalidValue {
            value: text.chars().take(24).collect(),
            expected: "text".into(),
            reason: "it has a zero byte in it".into(),
        });
    }
    Ok(())
}

/// The texts of a command's rows, each once: rows name them by position.
#[derive(Debug, Default)]
pub struct TextTable {
    texts: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, i64>,
}

impl TextTable {
    /// The position of a text.
    ///
    /// # Errors
    /// Texts that may not be the value of a measure.
    pub fn position(&mut self, text: &str) -> Result<i64> {
        if let Some(&position) = self.positions.get(text) {
            return Ok(position);
        }
        check_text(text)?;
        let (text, position) = (Arc::<str>::from(text), self.texts.len() as i64);
        self.texts.push(Arc::clone(&text));
        self.positions.insert(text, position);
        Ok(position)
    }

    /// The texts in order.
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    /// The change that stands before the rows; none where they name no text.
    pub fn into_change(self) -> Option<Change> {
        (!self.texts.is_empty()).then_some(Change::Texts(self.texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds texts, a layer each, and says their codes.
    fn grown(base: &Arc<Dictionary>, texts: &[&str]) -> (Arc<Dictionary>, Vec<i64>) {
        let mut dictionary = Arc::clone(base);
        let mut codes = Vec::new();
        for text in texts {
            let mut interner = Interner::new(dictionary);
            codes.push(interner.code(&Arc::from(*text)).unwrap());
            dictionary = interner.finish();
        }
        (dictionary, codes)
    }

    #[test]
    fn a_text_keeps_its_code_however_the_dictionary_grows() {
        let texts: Vec<String> = (0..1000).map(|number| format!("text {}", number % 700)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (dictionary, codes) = grown(&Arc::default(), &texts);
        assert_eq!(dictionary.len(), 700);
        assert!(dictionary.layers.len() <= 10, "{} layers", dictionary.layers.len());
        for (text, code) in texts.iter().zip(codes) {
            assert_eq!(dictionary.text(code).as_ref(), *text);
            assert_eq!(dictionary.code(text), Some(code));
        }
        assert_eq!(dictionary.code("another"), None);
    }

    #[test]
    fn dictionaries_that_went_different_ways_share_what_they_began_with() {
        let (base, _) = grown(&Arc::default(), &["a", "b", "c", "d", "e", "f", "g", "h"]);
        let (left, _) = grown(&base, &["x", "y"]);
        let (right, _) = grown(&base, &["y", "x"]);
        assert!(Arc::ptr_eq(&left.layers[0], &right.layers[0]));
        assert_eq!((left.code("b"), right.code("b")), (base.code("b"), base.code("b")));
        assert_eq!((left.code("x"), right.code("x")), (Some(8), Some(9)));
        assert_eq!(base.len(), 8);
        let known = Interner::new(Arc::clone(&base)).finish();
        assert!(Arc::ptr_eq(&known, &base));
    }

    #[test]
    fn texts_that_are_too_long_or_no_text_are_refused() {
        let longest: Arc<str> = "x".repeat(TEXT_BYTES_MAX).into();
        let mut interner = Interner::new(Arc::default());
        assert_eq!(interner.code(&longest), Ok(0));
        let longer: Arc<str> = format!("{longest}x").into();
        let refused = interner.code(&longer).unwrap_err();
        assert_eq!(refused.sqlstate(), "22001");
        assert!(refused.to_string().contains("65537 bytes"), "{refused}");
        assert!(interner.code(&"a\0b".into()).is_err());
        assert_eq!(interner.code(&"".into()), Ok(1));
        assert_eq!(interner.finish().len(), 2);
    }

    #[test]
    fn what_is_not_used_is_left_out() {
        let texts: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (dictionary, _) = grown(&Arc::default(), &texts);
        assert!(dictionary.is_due((9, 100)) && dictionary.is_due((100, 9)));
        assert!(!dictionary.is_due((10, 10)));
        let is_used: Vec<bool> = (0..10).map(|number| number % 3 == 0).collect();
        assert!(!dictionary.is_mostly(&is_used));
        let (swept, codes) = dictionary.keeping(&is_used);
        for old in (0..10).filter(|number| number % 3 == 0) {
            let text = swept.text(i64::from(codes[old as usize]));
            assert_eq!(text.as_ref(), old.to_string());
        }
        assert_eq!(swept.len(), 4);
        assert!(!swept.is_due((1, 1)));
        assert!(dictionary.is_mostly(&[true; 10]));
        assert!(!dictionary.looked_through().is_due((1, 1)));
        let (empty, _) = dictionary.keeping(&[false; 10]);
        assert_eq!((empty.is_empty(), empty.len()), (true, 0));
    }

    #[test]
    fn a_table_gives_each_text_one_position() {
        let mut table = TextTable::default();
        let positions: Vec<i64> =
            ["won", "lost", "won", ""].iter().map(|text| table.position(text).unwrap()).collect();
        assert_eq!(positions, [0, 1, 0, 2]);
        let texts: Vec<Arc<str>> = vec!["won".into(), "lost".into(), "".into()];
        assert_eq!(table.into_change(), Some(Change::Texts(texts)));
        assert_eq!(TextTable::default().into_change(), None);
    }
}
