//! Exact numbers: an integer mantissa and a decimal scale.
//!
//! `+ - *` are exact or an overflow error, never a silent rounding. Division carries 28 significant
//! digits, half-even. One rounding happens, when a number is assigned to a measure.

use std::cmp::Ordering;
use std::fmt;

use crate::error::{CubeError, Result};

/// Significant digits of a quotient.
const DIVISION_DIGITS: u32 = 28;
/// The largest power of ten in an `i128`.
const POWER_MAX: u32 = 38;

/// `mantissa * 10^-scale`.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The digits.
    pub mantissa: i128,
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

/// `10^exponent`, where it fits.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    (exponent <= POWER_MAX).then(|| 10i128.pow(exponent))
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
    pub const ZERO: Number = Number { mantissa: 0, scale: 0 };

    /// `mantissa * 10^-scale`.
    pub fn new(mantissa: i128, scale: u32) -> Self {
        Self { mantissa, scale }
    }

    fn overflow(what: &str) -> CubeError {
        CubeError::Overflow(format!("{what} has more than 38 digits"))
    }

    /// The same value with the digits after the point that `scale` asks for; exact or an error.
    fn widened(self, scale: u32) -> Result<i128> {
        power_of_ten(scale - self.scale)
            .and_then(|factor| self.mantissa.checked_mul(factor))
            .ok_or_else(|| Self::overflow("a sum"))
    }

    /// Exact sum.
    pub fn plus(self, other: Self) -> Result<Self> {
        // a zero has no digits to widen, whatever the scale of the other
        if self.mantissa == 0 {
            return Ok(other);
        }
        if other.mantissa == 0 {
            return Ok(self);
        }
        let scale = self.scale.max(other.scale);
        let mantissa = self
            .widened(scale)?
            .checked_add(other.widened(scale)?)
            .ok_or_else(|| Self::overflow("a sum"))?;
        Ok(Self { mantissa, scale })
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
        let (a, b) = (self.normalized(), other.normalized());
        let mantissa =
            a.mantissa.checked_mul(b.mantissa).ok_or_else(|| Self::overflow("a product"))?;
        Ok(Self { mantissa, scale: a.scale + b.scale })
    }

    /// Quotient with 28 significant digits, half-even; `None` where the divisor is zero.
    pub fn divided_by(self, other: Self) -> Result<Option<Self>> {
        if other.mantissa == 0 {
            return Ok(None);
        }
        if self.mantissa == 0 {
            return Ok(Some(Self::ZERO));
        }
        let (a, b) = (self.normalized(), other.normalized());
        let negative = (a.mantissa < 0) != (b.mantissa < 0);
        let (numerator, denominator) = (a.mantissa.unsigned_abs(), b.mantissa.unsigned_abs());
        let (mut digits, mut exponent, remainder) = long_division(numerator, denominator);
        let drop = digit_count(digits).saturating_sub(DIVISION_DIGITS);
        // Half-even over everything that is dropped: the digits past the 28th and the remainder.
        let unit = 10u128.pow(drop);
        let (kept, dropped) = (digits / unit, digits % unit);
        let half = match (dropped * 2).cmp(&unit) {
            _ if drop == 0 => half_of_remainder(remainder, denominator),
            Ordering::Equal if remainder > 0 => Ordering::Greater,
            other => other,
        };
        digits = kept
            + u128::from(half == Ordering::Greater || (half == Ordering::Equal && kept % 2 == 1));
        exponent -= i64::from(drop);
        // value = digits * 10^-exponent * 10^(b.scale - a.scale)
        let scale = exponent + i64::from(a.scale) - i64::from(b.scale);
        let mut mantissa = i128::try_from(digits).map_err(|_| Self::overflow("a quotient"))?;
        if negative {
            mantissa = -mantissa;
        }
        let number = if scale >= 0 {
            Self {
                mantissa,
                scale: u32::try_from(scale).map_err(|_| Self::overflow("a quotient"))?,
            }
        } else {
            let factor = u32::try_from(-scale).ok().and_then(power_of_ten);
            let mantissa = factor.and_then(|factor| mantissa.checked_mul(factor));
            Self { mantissa: mantissa.ok_or_else(|| Self::overflow("a quotient"))?, scale: 0 }
        };
        Ok(Some(number.normalized()))
    }

    /// Without zeros at the end of the digits after the point.
    pub fn normalized(mut self) -> Self {
        if self.mantissa == 0 {
            return Self::ZERO;
        }
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The mantissa at another scale, rounded where digits are dropped.
    pub fn rescaled(self, scale: u32, rounding: Rounding) -> Result<i128> {
        if scale >= self.scale {
            return self.normalized_to(scale);
        }
        match power_of_ten(self.scale - scale) {
            Some(divisor) => divide_rounded(self.mantissa, divisor, rounding)
                .ok_or_else(|| Self::overflow("a number")),
            // more than 38 digits are dropped: less than half a unit
            None => Ok(0),
        }
    }

    fn normalized_to(self, scale: u32) -> Result<i128> {
        let normal = self.normalized();
        power_of_ten(scale - normal.scale)
            .and_then(|factor| normal.mantissa.checked_mul(factor))
            .ok_or_else(|| Self::overflow("a number"))
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
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        if negative {
            mantissa = -mantissa;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale >= 0 {
            Some(Self { mantissa, scale: scale.unsigned_abs() })
        } else {
            let mantissa = mantissa.checked_mul(power_of_ten(scale.unsigned_abs())?)?;
            Some(Self { mantissa, scale: 0 })
        }
    }
}

/// Digits of the quotient, at least 30 of them where it does not end before: `(digits, digits after
/// the point, remainder)`.
fn long_division(numerator: u128, denominator: u128) -> (u128, i64, u128) {
    let mut digits = numerator / denominator;
    let mut remainder = numerator % denominator;
    let mut exponent = 0i64;
    while remainder > 0 && digit_count(digits) < DIVISION_DIGITS + 2 {
        let (digit, rest) = next_digit(remainder, denominator);
        digits = digits * 10 + digit;
        remainder = rest;
        exponent += 1;
    }
    (digits, exponent, remainder)
}

/// `10 * remainder` by `denominator`: digit and rest, within 128 bits where the product is not.
fn next_digit(remainder: u128, denominator: u128) -> (u128, u128) {
    if let Some(tenfold) = remainder.checked_mul(10) {
        return (tenfold / denominator, tenfold % denominator);
    }
    let (mut digit, mut rest) = (0, 0);
    for _ in 0..10 {
        if rest >= denominator - remainder {
            rest -= denominator - remainder;
            digit += 1;
        } else {
            rest += remainder;
        }
    }
    (digit, rest)
}

fn half_of_remainder(remainder: u128, denominator: u128) -> Ordering {
    match remainder.checked_mul(2) {
        Some(twice) => twice.cmp(&denominator),
        None => Ordering::Greater,
    }
}

fn digit_count(digits: u128) -> u32 {
    digits.checked_ilog10().map_or(0, |log| log + 1)
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.normalized(), other.normalized());
        a.mantissa == b.mantissa && a.scale == b.scale
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_scaled(self.mantissa, self.scale))
    }
}

/// Prints `mantissa * 10^-scale` with all `scale` digits after the point.
pub fn format_scaled(mantissa: i128, scale: u32) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs().to_string();
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
        assert!(a.times(a).expect("fits").times(a).is_err());
    }
}
