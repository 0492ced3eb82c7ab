//! Exact numbers: an integer mantissa and a decimal scale.
//!
//! `+ - *` are exact or an overflow error, never a silent rounding: in 128 bits where they suffice, in
//! 256 where not. Division carries 28 significant digits, half-even. One rounding happens, when a
//! number is assigned to a measure.

use std::cmp::Ordering;
use std::fmt;

use ethnum::{I256, U256};

use crate::error::{CubeError, Result};

/// Significant digits of a quotient.
const DIVISION_DIGITS: u32 = 28;
/// The powers of ten that an `i128` holds.
static POWERS: [i128; 39] = powers();
/// The largest power of ten in a `U256`.
const WIDE_POWER_MAX: u32 = 77;

/// `mantissa * 10^-scale`.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The digits.
    mantissa: I256,
    /// Digits after the point.
    pub scale: u32,
}

/// How a number that has too many digits becomes one that fits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest, ties to the even digit (banker's rounding).
    #[default]
    HalfEven,
    /// To the nearest, ties away from zero (usual for payments).
    HalfUp,
}

const fn powers() -> [i128; 39] {
    let mut powers = [1; 39];
    // a constant function has no iterators
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
}

/// `10^exponent`, where it fits.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// `10^exponent`, where 256 bits hold it.
fn wide_power_of_ten(exponent: u32) -> Option<U256> {
    (exponent <= WIDE_POWER_MAX).then(|| wide_power(exponent))
}

/// `10^exponent` of an exponent of at most [`WIDE_POWER_MAX`].
fn wide_power(exponent: u32) -> U256 {
    match power_of_ten(exponent) {
        Some(power) => U256::new(power.unsigned_abs()),
        None => U256::new(10).pow(exponent),
    }
}

/// `numerator / denominator` rounded to an integer; `None` where the denominator is zero.
pub fn divide_rounded(numerator: i128, denominator: i128, rounding: Rounding) -> Option<i128> {
    if denominator == 0 {
        return None;
    }
    let quotient = numerator.checked_div(denominator)?;
    let remainder = (numerator % denominator).unsigned_abs();
    let twice = remainder.checked_mul(2)?;
    let away = match twice.cmp(&denominator.unsigned_abs()) {
        Ordering::Less => 0,
        Ordering::Greater => 1,
        Ordering::Equal => match rounding {
            Rounding::HalfUp => 1,
            Rounding::HalfEven => quotient & 1,
        },
    };
    if away == 0 {
        Some(quotient)
    } else if (numerator < 0) == (denominator < 0) {
        quotient.checked_add(1)
    } else {
        quotient.checked_sub(1)
    }
}

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { mantissa: I256::ZERO, scale: 0 };

    /// `mantissa * 10^-scale`.
    pub fn new(mantissa: i128, scale: u32) -> Self {
        Self { mantissa: I256::new(mantissa), scale }
    }

    /// The digits, where they fit.
    pub fn mantissa(self) -> Option<i128> {
        narrow(self.mantissa)
    }

    fn overflow(what: &str) -> CubeError {
        CubeError::Overflow(format!("{what} has more than 256 bits"))
    }

    /// The mantissa with as many digits after the point, no fewer than there are.
    fn widened(self, scale: u32) -> Option<I256> {
        let zeros = scale - self.scale;
        if zeros == 0 {
            return Some(self.mantissa);
        }
        match power_of_ten(zeros) {
            Some(power) => product(self.mantissa, I256::new(power)),
            None => product(self.mantissa, I256::try_from(wide_power_of_ten(zeros)?).ok()?),
        }
    }

    /// Exact sum.
    pub fn plus(self, other: Self) -> Result<Self> {
        // a zero has no digits to widen, whatever the scale of the other
        if self.mantissa == I256::ZERO {
            return Ok(other);
        }
        if other.mantissa == I256::ZERO {
            return Ok(self);
        }
        self.aligned_sum(other)
            .or_else(|| self.normalized().aligned_sum(other.normalized()))
            .ok_or_else(|| Self::overflow("a sum"))
    }

    fn aligned_sum(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.widened(scale)?.checked_add(other.widened(scale)?)?;
        Some(Self { mantissa, scale })
    }

    /// Exact difference.
    pub fn minus(self, other: Self) -> Result<Self> {
        self.plus(other.negate()?)
    }

    /// The number with the other sign.
    pub fn negate(self) -> Result<Self> {
        let mantissa = self.mantissa.checked_neg().ok_or_else(|| Self::overflow("a number"))?;
        Ok(Self { mantissa, ..self })
    }

    /// Exact product.
    pub fn times(self, other: Self) -> Result<Self> {
        self.product(other)
            .or_else(|| self.normalized().product(other.normalized()))
            .ok_or_else(|| Self::overflow("a product"))
    }

    fn product(self, other: Self) -> Option<Self> {
        let mantissa = product(self.mantissa, other.mantissa)?;
        Some(Self { mantissa, scale: self.scale.checked_add(other.scale)? })
    }

    /// Quotient with 28 significant digits, half-even; `None` where the divisor is zero.
    pub fn divided_by(self, other: Self) -> Result<Option<Self>> {
        if other.mantissa == I256::ZERO {
            return Ok(None);
        }
        if self.mantissa == I256::ZERO {
            return Ok(Some(Self::ZERO));
        }
        let (a, b) = (self.mantissa, other.mantissa);
        let (digits, exponent) = match short(a).zip(short(b)) {
            Some((a, b)) => short_division(a, b),
            None => long_division(a.unsigned_abs(), b.unsigned_abs()).rounded(),
        };
        // value = digits * 10^-exponent * 10^(other.scale - self.scale)
        let scale = exponent + i64::from(self.scale) - i64::from(other.scale);
        signed(digits, a.is_negative() != b.is_negative())
            .and_then(|mantissa| Self::at_scale(mantissa, scale))
            .map(|number| Some(number.normalized()))
            .ok_or_else(|| Self::overflow("a quotient"))
    }

    /// `mantissa * 10^-scale`, where the scale may be negative.
    fn at_scale(mantissa: I256, scale: i64) -> Option<Self> {
        match u32::try_from(scale) {
            Ok(scale) => Some(Self { mantissa, scale }),
            Err(_) => {
                let zeros = u32::try_from(scale.checked_neg()?).ok()?;
                let mantissa = Self { mantissa, scale: 0 }.widened(zeros)?;
                Some(Self { mantissa, scale: 0 })
            }
        }
    }

    /// Without zeros at the end of the digits after the point.
    pub fn normalized(mut self) -> Self {
        if self.mantissa == I256::ZERO {
            return Self::ZERO;
        }
        let has_zero = self.scale > 0 && without_zeros(self.mantissa, 1).is_some();
        // halves: together they take up to 127 zeros
        for zeros in [64, 32, 16, 8, 4, 2, 1] {
            if has_zero
                && zeros <= self.scale
                && let Some(mantissa) = without_zeros(self.mantissa, zeros)
            {
                self = Self { mantissa, scale: self.scale - zeros };
            }
        }
        self
    }

    /// The mantissa at another scale, rounded where digits are dropped; an error where 128 bits do not
    /// hold it.
    pub fn rescaled(self, scale: u32, rounding: Rounding) -> Result<i128> {
        let mantissa =
            if scale >= self.scale { self.widened(scale) } else { self.narrowed(scale, rounding) };
        mantissa
            .and_then(narrow)
            .ok_or_else(|| CubeError::Overflow("a number has more than 38 digits".into()))
    }

    /// The mantissa with fewer digits after the point, rounded.
    fn narrowed(self, scale: u32, rounding: Rounding) -> Option<I256> {
        let drop = self.scale - scale;
        if let (Some(mantissa), Some(divisor)) = (self.mantissa(), power_of_ten(drop)) {
            return divide_rounded(mantissa, divisor, rounding).map(I256::new);
        }
        match wide_power_of_ten(drop) {
            Some(divisor) => {
                let magnitude = self.mantissa.unsigned_abs();
                let rounded = nearest(magnitude, divisor, false, rounding);
                signed(rounded, self.mantissa.is_negative())
            }
            // all digits are dropped and one more: less than half a unit
            None => Some(I256::ZERO),
        }
    }

    /// Reads a decimal such as `-12.50`, `.75` or `1e-5`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.as_bytes().first()? {
            b'-' => (true, &digits[1..]),
            b'+' => (false, &digits[1..]),
            _ => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let mut digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        let mut mantissa = if whole.len() + fraction.len() <= NARROW_DIGITS {
            i128::from(digits.fold(0, |number: u64, digit| number * 10 + u64::from(digit)))
        } else {
            digits.try_fold(0i128, |number, digit| {
                number.checked_mul(10)?.checked_add(i128::from(digit))
            })?
        };
        if negative {
            mantissa = -mantissa;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale >= 0 {
            Some(Self::new(mantissa, scale.unsigned_abs()))
        } else {
            let mantissa = mantissa.checked_mul(power_of_ten(scale.unsigned_abs())?)?;
            Some(Self::new(mantissa, 0))
        }
    }
}

/// So many digits fit into 64 bits.
const NARROW_DIGITS: usize = 19;
/// So many fit into 63.
const SIGNED_DIGITS: usize = 18;

/// The integer of a text in units of the last of so many places after the point, where it is as most are: digits, a sign
/// before them and a point within them at most, and no more of them than are surely held. [`Number::parse`] reads all
/// others.
pub fn parse_plain(text: &[u8], scale: u32) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > SIGNED_DIGITS + 1 {
        return None;
    }
    let (mut integer, mut fraction, mut has_point) = (0u64, 0, false);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                integer = integer * 10 + u64::from(byte - b'0');
                fraction += u32::from(has_point);
            }
            b'.' if !has_point => has_point = true,
            _ => return None,
        }
    }
    let (count, missing) = (digits.len() - usize::from(has_point), scale.checked_sub(fraction)?);
    if count == 0 || count + missing as usize > SIGNED_DIGITS {
        return None;
    }
    let integer = integer.cast_signed() * 10i64.pow(missing);
    Some(if is_negative { -integer } else { integer })
}

/// The integer in 128 bits, where they hold it.
fn narrow(value: I256) -> Option<i128> {
    let low = *value.low();
    (*value.high() == low >> 127).then_some(low)
}

/// Exact product: in 128 bits where they hold both and it, in 256 where not.
fn product(a: I256, b: I256) -> Option<I256> {
    match narrow(a).zip(narrow(b)).and_then(|(a, b)| a.checked_mul(b)) {
        Some(product) => Some(I256::new(product)),
        None => {
            let magnitude = a.unsigned_abs().checked_mul(b.unsigned_abs())?;
            signed(magnitude, a.is_negative() != b.is_negative())
        }
    }
}

/// The integer without so many zeros at its end, where it has them.
fn without_zeros(value: I256, zeros: u32) -> Option<I256> {
    match (narrow(value), power_of_ten(zeros)) {
        (Some(value), Some(power)) => (value % power == 0).then(|| I256::new(value / power)),
        _ => {
            let power = I256::try_from(wide_power_of_ten(zeros)?).ok()?;
            (value % power == 0).then(|| value / power)
        }
    }
}

fn signed(magnitude: U256, negative: bool) -> Option<I256> {
    let value = I256::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

/// A quotient by long division: `digits * 10^-exponent`, and a part of the last digit's unit where a
/// remainder is left.
struct Quotient {
    digits: U256,
    exponent: i64,
    has_rest: bool,
}

impl Quotient {
    /// The significant digits that are carried, half-even over everything that is dropped: the digits
    /// past them and the remainder. And how many of them are after the point.
    fn rounded(&self) -> (U256, i64) {
        let drop = digit_count(self.digits).saturating_sub(DIVISION_DIGITS);
        let unit = wide_power(drop);
        let kept = nearest(self.digits, unit, self.has_rest, Rounding::HalfEven);
        (kept, self.exponent - i64::from(drop))
    }
}

/// `numerator / denominator` with more significant digits than are carried, or without remainder.
fn long_division(numerator: U256, denominator: U256) -> Quotient {
    let (mut digits, mut remainder) = divided(numerator, denominator);
    let mut exponent = 0;
    while remainder > U256::ZERO && digit_count(digits) <= DIVISION_DIGITS {
        let (count, more, rest) = next_digits(remainder, denominator);
        digits = digits * wide_power(count) + more;
        remainder = rest;
        exponent += i64::from(count);
    }
    Quotient { digits, exponent, has_rest: remainder > U256::ZERO }
}

/// Digits that follow in a long division: how many, which, and what remains of `remainder`, which is
/// below the denominator.
fn next_digits(remainder: U256, denominator: U256) -> (u32, U256, U256) {
    // as many zeros as fit behind the remainder, and one digit more than is carried at most
    let count = (WIDE_POWER_MAX - digit_count(remainder)).min(DIVISION_DIGITS + 1);
    if count > 0 {
        let (digits, rest) = divided(remainder * wide_power(count), denominator);
        return (count, digits, rest);
    }
    // ten times the remainder may not fit, twice does: magnitudes are at most 2^255
    let (mut digit, mut rest) = (U256::ZERO, U256::ZERO);
    for _ in 0..10 {
        rest += remainder;
        if rest >= denominator {
            rest -= denominator;
            digit += 1;
        }
    }
    (1, digit, rest)
}

/// The magnitude of an integer, where 64 bits hold it.
fn short(value: I256) -> Option<u64> {
    narrow(value).and_then(|value| u64::try_from(value.unsigned_abs()).ok())
}

/// What [`long_division`] gives of integers of 64 bits, rounded: all of it fits 128.
fn short_division(numerator: u64, denominator: u64) -> (U256, i64) {
    const DIGITS_MAX: u32 = 38;
    let power = |exponent: u32| POWERS[exponent as usize].unsigned_abs();
    let count = |digits: u128| digits.checked_ilog10().map_or(0, |log| log + 1);
    let mut digits = u128::from(numerator / denominator);
    let mut rest = numerator % denominator;
    let mut exponent = 0;
    while rest > 0 && count(digits) <= DIVISION_DIGITS {
        // behind a remainder of 64 bits there is room for 19 zeros
        let zeros = (DIGITS_MAX - count(digits)).min(19);
        let widened = u128::from(rest) * power(zeros);
        digits = digits * power(zeros) + widened / u128::from(denominator);
        rest = (widened % u128::from(denominator)) as u64;
        exponent += i64::from(zeros);
    }
    let drop = count(digits).saturating_sub(DIVISION_DIGITS);
    let unit = power(drop);
    let (kept, dropped) = (digits / unit, digits % unit);
    let up = match dropped.cmp(&(unit - dropped)) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => rest > 0 || kept % 2 == 1,
    };
    (U256::new(kept + u128::from(up)), exponent - i64::from(drop))
}

fn divided(numerator: U256, denominator: U256) -> (U256, U256) {
    let quotient = numerator / denominator;
    (quotient, numerator - quotient * denominator)
}

/// `numerator / denominator` rounded to an integer; `has_rest` says that the numerator is a bit more.
fn nearest(numerator: U256, denominator: U256, has_rest: bool, rounding: Rounding) -> U256 {
    let (quotient, remainder) = divided(numerator, denominator);
    let up = match remainder.cmp(&(denominator - remainder)) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => has_rest || rounding == Rounding::HalfUp || quotient % 2 == 1,
    };
    if up { quotient + 1 } else { quotient }
}

fn digit_count(value: U256) -> u32 {
    const STEP: u32 = 38;
    match u128::try_from(value) {
        Ok(value) => value.checked_ilog10().map_or(0, |log| log + 1),
        Err(_) => STEP + digit_count(value / wide_power(STEP)),
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.normalized(), other.normalized());
        a.mantissa == b.mantissa && a.scale == b.scale
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        if signs.is_ne() {
            return signs;
        }
        match self.minus(*other) {
            Ok(difference) => difference.mantissa.cmp(&I256::ZERO),
            // too far apart for one scale: the one with more digits before the point is larger
            Err(_) => {
                let whole = |number: &Self| {
                    let digits = number.mantissa.unsigned_abs().to_string().len() as i64;
                    digits - i64::from(number.scale)
                };
                let by_size = whole(self).cmp(&whole(other));
                if self.mantissa < 0 { by_size.reverse() } else { by_size }
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        f.write_str(&with_point(self.mantissa.is_negative(), &digits, self.scale))
    }
}

/// Prints `mantissa * 10^-scale` with all `scale` digits after the point.
pub fn format_scaled(mantissa: i128, scale: u32) -> String {
    with_point(mantissa < 0, &mantissa.unsigned_abs().to_string(), scale)
}

fn with_point(negative: bool, digits: &str, scale: u32) -> String {
    let sign = if negative { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    fn check_division(a: &str, b: &str, expected: &str) {
        let quotient = number(a).divided_by(number(b)).expect("fits").expect("not by zero");
        assert_eq!(quotient.to_string(), expected, "{a} / {b}");
    }

    #[test]
    fn plain_numbers_are_read_as_others_are() {
        let texts = [
            "0",
            "-0",
            "7",
            "-12.50",
            ".75",
            "5.",
            ".",
            "-",
            "",
            "+1",
            " 1",
            "1e2",
            "1.2.3",
            "--1",
            "123456789012345678",
            "1234567890123456789",
            "9999999999999999999",
            "12345678901234567.8",
            "1234567890123456.78",
            "0.123456789012345678",
            "000000000000000000000001",
            "1,5",
            "-.5",
        ];
        for (text, scale) in texts.iter().flat_map(|text| [0, 2, 9].map(|scale| (text, scale))) {
            let Some(plain) = parse_plain(text.as_bytes(), scale) else { continue };
            let exact = number(text);
            assert!(exact.scale <= scale, "{text}");
            assert_eq!(exact.rescaled(scale, Rounding::HalfEven), Ok(plain.into()), "{text}");
        }
        let plain =
            ["12.5", "-12", "123456789012345.678"].map(|text| parse_plain(text.as_bytes(), 3));
        assert_eq!(plain, [Some(12_500), Some(-12_000), Some(123_456_789_012_345_678)]);
    }

    #[test]
    fn division_carries_28_significant_digits_half_even() {
        check_division("1", "3", "0.3333333333333333333333333333");
        check_division("2", "3", "0.6666666666666666666666666667");
        check_division("10", "4", "2.5");
        check_division("-1", "8", "-0.125");
        check_division("1000000", "0.001", "1000000000");
        check_division("0.002", "2000", "0.000001");
        check_division("200000", "7", "28571.42857142857142857142857");
        assert_eq!(number("1").divided_by(Number::ZERO).expect("fits"), None);
    }

    #[test]
    fn short_and_long_divisions_agree() {
        let mut state = 7u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // numbers of any number of bits, and powers of ten times few
            let bits = (state >> 57) as u32 % 64;
            let value = (state.rotate_left(23) >> bits).max(1);
            if state >> 50 & 3 == 0 { 10u64.pow(bits % 19) * (value % 9 + 1) } else { value }
        };
        let edges = [1, 2, 3, 7, 10_u64.pow(19), u64::MAX, u64::MAX - 1, 1 << 63];
        let drawn: Vec<(u64, u64)> = (0..20_000).map(|_| (draw(), draw())).collect();
        let all = edges.iter().flat_map(|&a| edges.map(|b| (a, b))).chain(drawn);
        for (a, b) in all {
            let value = |(digits, exponent): (U256, i64)| {
                let digits = I256::try_from(digits).expect("28 digits");
                Number::at_scale(digits, exponent).expect("it fits").normalized()
            };
            let long = long_division(U256::from(a), U256::from(b)).rounded();
            assert_eq!(value(short_division(a, b)), value(long), "{a} / {b}");
        }
    }

    #[test]
    fn rounding_is_half_even_or_half_up() {
        let check = |text: &str, even: i128, up: i128| {
            assert_eq!(number(text).rescaled(0, Rounding::HalfEven), Ok(even), "{text}");
            assert_eq!(number(text).rescaled(0, Rounding::HalfUp), Ok(up), "{text}");
        };
        check("0.5", 0, 1);
        check("1.5", 2, 2);
        check("2.5", 2, 3);
        check("-2.5", -2, -3);
        check("-2.51", -3, -3);
        check("2.4999", 2, 2);
    }

    #[test]
    fn parsing_and_printing_round_trip() {
        for text in ["0", "1", "-1.50", "0.0001", "123456789012345678.9999", "-0.5"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number(".75").to_string(), "0.75");
        assert_eq!(number("1e-5").to_string(), "0.00001");
        for text in ["", ".", "-", "1.2.3", "abc", "1e", "--1", "1 2"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_and_products_are_exact_or_refused() {
        let a = number("123456789012345678");
        let b = number("0.000000000000000001");
        assert_eq!(a.plus(b).expect("fits").to_string(), "123456789012345678.000000000000000001");
        assert_eq!(a.times(a).expect("fits").to_string(), "15241578753238836527968299765279684");
        let cube = a.times(a).expect("fits").times(a).expect("fits");
        assert_eq!(cube.to_string(), "1881676372353657731338003115679818096684294558605752");
        assert!(cube.rescaled(0, Rounding::HalfEven).is_err());
        assert!(cube.times(a).expect("fits").times(a).is_err());
    }
}
