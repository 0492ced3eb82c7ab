//! Exact totals of decimal texts, by schoolbook addition of their digits.
//!
//! A source total certifies a load, so it shares no code with the conversion it certifies: digits
//! are added place by place as they stand in the text, and rounding works on the digits too.

use cube::number::Rounding;

/// Places after the point; what has more is no number here.
const FRACTION_PLACES: usize = 80;
/// Places before the point.
const WHOLE_PLACES: usize = 80;
const PLACES: usize = FRACTION_PLACES + WHOLE_PLACES;

/// A sum of decimals: per place the sum of the digits there, the units at [`FRACTION_PLACES`].
#[derive(Debug, Clone)]
pub(super) struct DigitSum {
    places: Vec<i64>,
}

/// The digits of a decimal text.
#[derive(Debug, Clone)]
struct Digits {
    negative: bool,
    /// Digits without a point, the most significant first.
    digits: Vec<u8>,
    /// How many of them are after the point; negative: zeros that follow.
    scale: i32,
}

impl DigitSum {
    /// Nothing added yet.
    pub fn new() -> Self {
        Self { places: vec![0; PLACES] }
    }

    /// Adds a decimal text, rounded to some digits after the point where that is asked for.
    /// None where the text is no decimal, or too long for one.
    #[must_use]
    pub fn add(&mut self, text: &str, round: Option<(u32, Rounding)>) -> Option<()> {
        let most_places = round.map_or(FRACTION_PLACES, |(scale, _)| scale as usize);
        if self.add_plain(text.as_bytes(), most_places).is_some() {
            return Some(());
        }
        let mut digits = Digits::read(text)?;
        if let Some((scale, rounding)) = round {
            digits.round(i32::try_from(scale).ok()?, rounding);
        }
        let sign = if digits.negative { -1 } else { 1 };
        // the place of the last digit
        let last = i32::try_from(FRACTION_PLACES).ok()? - digits.scale;
        let mut place = usize::try_from(last).ok()?;
        let mut index = digits.digits.len();
        while index > 0 {
            index -= 1;
            let digit = digits.digits[index];
            if digit != 0 {
                *self.places.get_mut(place)? += sign * i64::from(digit);
            }
            place += 1;
        }
        Some(())
    }

    /// Adds a text that is only digits, with a sign and a point at most and up to so many digits behind
    /// the point, as most are; none where it is something else, and nothing was added then.
    fn add_plain(&mut self, text: &[u8], most_places: usize) -> Option<()> {
        let (sign, digits) = match text {
            [b'-', digits @ ..] => (-1, digits),
            digits => (1, digits),
        };
        let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
        let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
        let is_plain = !whole.is_empty()
            && whole.len() <= WHOLE_PLACES
            && fraction.len() <= most_places.min(FRACTION_PLACES)
            && whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if !is_plain {
            return None;
        }
        let (below, above) = self.places.split_at_mut(FRACTION_PLACES);
        let add = |(place, digit): (&mut i64, &u8)| *place += sign * i64::from(digit - b'0');
        below.iter_mut().rev().zip(fraction).for_each(add);
        above.iter_mut().zip(whole.iter().rev()).for_each(add);
        Some(())
    }

    /// Adds a sum of integers that a file holds as such, in units of the last of so many places after the point.
    #[must_use]
    pub fn add_scaled(&mut self, sum: i128, scale: u32) -> Option<()> {
        self.add(&format!("{sum}e-{scale}"), None)
    }

    /// Adds another sum.
    pub fn append(&mut self, other: &Self) {
        self.places.iter_mut().zip(&other.places).for_each(|(sum, digits)| *sum += digits);
    }

    /// The sum, without zeros at the end of the digits after the point.
    pub fn total(&self) -> String {
        let (negative, places) = match self.carried(1) {
            Some(places) => (false, places),
            None => (true, self.carried(-1).unwrap_or_default()),
        };
        let digit = |place: usize| char::from(b'0' + places.get(place).copied().unwrap_or(0));
        let first = (FRACTION_PLACES..places.len()).rev().find(|&place| digit(place) != '0');
        let whole: String =
            (FRACTION_PLACES..=first.unwrap_or(FRACTION_PLACES)).rev().map(digit).collect();
        let fraction: String = (0..FRACTION_PLACES).rev().map(digit).collect();
        let fraction = fraction.trim_end_matches('0');
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    /// Digits 0 to 9 of the sum times `sign`, after all carries; none where that is negative.
    fn carried(&self, sign: i64) -> Option<Vec<u8>> {
        let mut carry = 0;
        let mut digits = Vec::with_capacity(PLACES + 20);
        for place in 0..PLACES + 20 {
            let sum = self.places.get(place).copied().unwrap_or(0) * sign + carry;
            digits.push(u8::try_from(sum.rem_euclid(10)).ok()?);
            carry = sum.div_euclid(10);
        }
        (carry == 0).then_some(digits)
    }
}

impl Digits {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let bytes = unsigned.as_bytes();
        let mut digits = Vec::with_capacity(bytes.len());
        let mut scale: Option<i32> = None;
        let mut exponent = 0;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                digit @ b'0'..=b'9' => {
                    digits.push(digit - b'0');
                    scale = scale.map(|scale| scale + 1);
                }
                b'.' if scale.is_none() => scale = Some(0),
                b'e' | b'E' => {
                    exponent = unsigned[at + 1..].parse::<i32>().ok()?;
                    break;
                }
                _ => return None,
            }
            at += 1;
        }
        if digits.is_empty() {
            return None;
        }
        let scale = scale.unwrap_or(0).checked_sub(exponent)?;
        Some(Self { negative: text.starts_with('-'), digits, scale })
    }

    /// Rounds to `scale` digits after the point.
    fn round(&mut self, scale: i32, rounding: Rounding) {
        let Ok(dropped) = usize::try_from(self.scale.saturating_sub(scale)) else { return };
        if dropped == 0 {
            return;
        }
        let missing = (dropped + 1).saturating_sub(self.digits.len());
        if missing > PLACES {
            self.digits = vec![0];
            self.scale = 0;
            return;
        }
        self.digits.splice(0..0, vec![0; missing]);
        let rest = self.digits.split_off(self.digits.len() - dropped);
        self.scale = scale;
        let tail = rest[1..].iter().any(|&digit| digit != 0);
        let is_odd = self.digits.last().is_some_and(|digit| digit % 2 == 1);
        let up = match (rest[0], tail) {
            (0..=4, _) => false,
            (5, false) => rounding == Rounding::HalfUp || is_odd,
            _ => true,
        };
        if up {
            self.increment();
        }
    }

    /// Adds one unit of the last digit.
    fn increment(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
    }
}

#[cfg(test)]
mod tests {
    use cube::number::Rounding;

    use super::DigitSum;

    fn check(texts: &[&str], round: Option<(u32, Rounding)>, expected: &str) {
        let mut sum = DigitSum::new();
        for text in texts {
            sum.add(text, round).expect(text);
        }
        assert_eq!(sum.total(), expected, "{texts:?}");
    }

    #[test]
    fn decimals_of_any_spelling_add_up_exactly() {
        check(&[], None, "0");
        check(&["1.10", ".9", "+3", "-0"], None, "5");
        check(&["0.1", "0.2", "-0.4"], None, "-0.1");
        check(&["99999999999999999999", "1"], None, "100000000000000000000");
        check(&["1e3", "1.5E-3", "2e+1"], None, "1020.0015");
        check(&["-5", "-15.5"], None, "-20.5");
        check(&["10", "-10"], None, "0");
        let mut sum = DigitSum::new();
        for (integers, scale) in [(-1_250, 2), (i128::from(i64::MAX) * 3, 0), (0, 18), (5, 3)] {
            sum.add_scaled(integers, scale).expect("it is short");
        }
        assert_eq!(sum.total(), "27670116110564327408.505");
    }

    #[test]
    fn rounding_works_on_the_digits() {
        let even = |digits| Some((digits, Rounding::HalfEven));
        let up = |digits| Some((digits, Rounding::HalfUp));
        check(&["0.5", "1.5", "2.5"], even(0), "4");
        check(&["0.5", "1.5", "2.5"], up(0), "6");
        check(&["-2.5", "-2.51"], even(0), "-5");
        check(&["9.995"], up(2), "10");
        check(&["0.0004"], even(2), "0");
        check(&["0.999800039992002123"], even(15), "0.999800039992002");
        check(&["1e-100"], even(2), "0");
        check(&["12"], even(2), "12");
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", ".", "-", "1.2.3", "1,5", "abc", "1e", "--1", "0x1", "1e-90", "1e90"] {
            assert_eq!(DigitSum::new().add(text, None), None, "{text}");
        }
    }
}
