//! Members that were looked up already, by what the file says.

use std::collections::HashMap;

use cube::MemberId;
use foldhash::fast::RandomState;

/// Numbers below this have a place of their own.
const PLACES_MAX: usize = 1 << 20;
/// Digits of the largest text that is taken for a number: it is below ten million.
const DIGITS_MAX: usize = 7;
/// Bytes of texts that are compared as one number; the last one has the length.
const SHORT_BYTES: usize = size_of::<u128>();

/// What was looked up already in a dimension: a thread's own.
#[derive(Default)]
pub(super) struct Known {
    /// By number, those that are small.
    places: Vec<Option<MemberId>>,
    /// What the file holds as larger numbers, or days.
    numbers: HashMap<i64, MemberId, RandomState>,
    short: HashMap<u128, MemberId, RandomState>,
    long: HashMap<String, MemberId, RandomState>,
}

impl Known {
    /// The member of a text as it stands in the file.
    pub fn of_text<E>(
        &mut self,
        raw: &str,
        find: impl FnOnce() -> Result<MemberId, E>,
    ) -> Result<MemberId, E> {
        if let Some(number) = number(raw) {
            return self.of_number(number, find);
        }
        if let Some(key) = short(raw) {
            if let Some(&member) = self.short.get(&key) {
                return Ok(member);
            }
            let member = find()?;
            self.short.insert(key, member);
            return Ok(member);
        }
        if let Some(&member) = self.long.get(raw) {
            return Ok(member);
        }
        let member = find()?;
        self.long.insert(raw.to_string(), member);
        Ok(member)
    }

    /// The member of a number that the file holds, or of a text that is the one spelling of it.
    pub fn of_number<E>(
        &mut self,
        number: i64,
        find: impl FnOnce() -> Result<MemberId, E>,
    ) -> Result<MemberId, E> {
        let Some(place) = usize::try_from(number).ok().filter(|place| *place < PLACES_MAX) else {
            if let Some(&member) = self.numbers.get(&number) {
                return Ok(member);
            }
            let member = find()?;
            self.numbers.insert(number, member);
            return Ok(member);
        };
        if let Some(&Some(member)) = self.places.get(place) {
            return Ok(member);
        }
        let member = find()?;
        if self.places.len() <= place {
            self.places.resize((place + 1).next_power_of_two(), None);
        }
        self.places[place] = Some(member);
        Ok(member)
    }
}

/// The number of a text that is digits alone, as that number is printed.
fn number(raw: &str) -> Option<i64> {
    let digits = raw.as_bytes();
    let is_number = matches!(digits.len(), 1..=DIGITS_MAX)
        && digits.iter().all(u8::is_ascii_digit)
        && (digits[0] != b'0' || digits.len() == 1);
    let append = |number, digit: &u8| number * 10 + i64::from(digit - b'0');
    is_number.then(|| digits.iter().fold(0, append))
}

/// A short text with its length as one number.
fn short(raw: &str) -> Option<u128> {
    let mut bytes = [0; SHORT_BYTES];
    let (text, length) = bytes.split_at_mut(SHORT_BYTES - 1);
    text.get_mut(..raw.len())?.copy_from_slice(raw.as_bytes());
    length[0] = raw.len() as u8;
    Some(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use cube::MemberId;

    use super::Known;

    #[test]
    fn each_spelling_is_looked_up_once() {
        let texts = [
            "",
            "0",
            "00",
            "7",
            "07",
            "-7",
            "+7",
            "7.0",
            "1048575",
            "1048576",
            "9999999",
            "10000000",
            "2026-01-05",
            "fifteen letters",
            "sixteen letters.",
            "a\0",
            "a",
            "\0",
            "٣",
            "é",
        ];
        let mut known = Known::default();
        for (text, id) in texts.iter().zip(0..) {
            assert_eq!(
                known.of_text(text, || Ok::<_, ()>(MemberId(id))),
                Ok(MemberId(id)),
                "{text}"
            );
        }
        for (text, id) in texts.iter().zip(0..) {
            assert_eq!(known.of_text(text, || Err("asked again")), Ok(MemberId(id)), "{text}");
        }
        let mut found = |number| known.of_number(number, || Err("new"));
        let numbers = [0, 7, 1_048_575, 1_048_576, 9_999_999].map(&mut found);
        assert_eq!(numbers, [1, 3, 8, 9, 10].map(|id| Ok(MemberId(id))));
        assert_eq!([-1, 8, 20_458, i64::MAX, i64::MIN].map(found), [Err("new"); 5]);
    }

    #[test]
    fn what_is_not_found_is_looked_up_again() {
        let mut known = Known::default();
        for text in ["5", "five", "five and many more"] {
            assert_eq!(known.of_text(text, || Err(())), Err(()), "{text}");
            assert_eq!(known.of_text(text, || Ok::<_, ()>(MemberId(1))), Ok(MemberId(1)), "{text}");
        }
    }
}
