//! Decimals of unlimited length by schoolbook arithmetic: slow, simple, and independent of the
//! engine's numbers, so that both can be compared to the last digit.

#![allow(dead_code)] // each test binary uses its part

use std::cmp::Ordering;
use std::fmt;

/// Digits a limb holds.
const LIMB_DIGITS: usize = 9;
/// Limbs are below it.
const LIMB_BASE: u64 = 1_000_000_000;
/// Significant digits of a quotient, by the model's contract.
const QUOTIENT_DIGITS: usize = 28;

/// A natural number: limbs to base 10^9, the least significant first, no zeros at the end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Natural(Vec<u32>);

impl Natural {
    fn from_u128(mut value: u128) -> Self {
        let mut limbs = Vec::new();
        while value > 0 {
            limbs.push((value % u128::from(LIMB_BASE)) as u32);
            value /= u128::from(LIMB_BASE);
        }
        Self(limbs)
    }

    fn power_of_ten(exponent: usize) -> Self {
        let mut limbs = vec![0; exponent / LIMB_DIGITS];
        limbs.push(10u32.pow((exponent % LIMB_DIGITS) as u32));
        Self(limbs)
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn add(&self, other: &Self) -> Self {
        let mut limbs = Vec::new();
        let mut carry = 0;
        for idx in 0..self.0.len().max(other.0.len()) {
            let limb = |natural: &Self| u64::from(natural.0.get(idx).copied().unwrap_or(0));
            let sum = limb(self) + limb(other) + carry;
            limbs.push((sum % LIMB_BASE) as u32);
            carry = sum / LIMB_BASE;
        }
        limbs.push(carry as u32);
        Self(limbs).trimmed()
    }

    /// `self - other`, where `other` is not larger.
    fn subtract(&self, other: &Self) -> Self {
        let mut limbs = Vec::new();
        let mut borrow = 0;
        for (idx, &limb) in self.0.iter().enumerate() {
            let taken = i64::from(other.0.get(idx).copied().unwrap_or(0)) + borrow;
            let difference = i64::from(limb) - taken;
            borrow = i64::from(difference < 0);
            limbs.push((difference + borrow * LIMB_BASE as i64) as u32);
        }
        assert_eq!(borrow, 0, "the difference of naturals is not negative");
        Self(limbs).trimmed()
    }

    fn multiply(&self, other: &Self) -> Self {
        let mut limbs = vec![0u32; self.0.len() + other.0.len()];
        for (i, &a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, &b) in other.0.iter().enumerate() {
                let product = u64::from(a) * u64::from(b) + u64::from(limbs[i + j]) + carry;
                limbs[i + j] = (product % LIMB_BASE) as u32;
                carry = product / LIMB_BASE;
            }
            limbs[i + other.0.len()] = carry as u32;
        }
        Self(limbs).trimmed()
    }

    /// Decimal digits, the most significant first; none of zero.
    fn digits(&self) -> String {
        let all: String = self.0.iter().rev().map(|limb| format!("{limb:09}")).collect();
        all.trim_start_matches('0').to_string()
    }

    /// Quotient and remainder, digit by digit.
    fn divide(&self, divisor: &Self) -> (Self, Self) {
        let ten = Self::power_of_ten(1);
        let (mut quotient, mut remainder) = (String::new(), Self::default());
        for digit in self.digits().bytes() {
            let next = Self::from_u128(u128::from(digit - b'0'));
            remainder = remainder.multiply(&ten).add(&next);
            let mut times = 0;
            while remainder.compare(divisor).is_ge() {
                remainder = remainder.subtract(divisor);
                times += 1;
            }
            quotient.push(char::from(b'0' + times));
        }
        (Self::from_digits(&quotient), remainder)
    }

    fn from_digits(digits: &str) -> Self {
        let limb =
            |chunk: &[u8]| chunk.iter().fold(0, |limb, digit| limb * 10 + u32::from(digit - b'0'));
        Self(digits.as_bytes().rchunks(LIMB_DIGITS).map(limb).collect()).trimmed()
    }
}

/// How digits that are dropped count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Half a unit goes to the even digit.
    Even,
    /// Half a unit goes away from zero.
    Up,
}

/// A decimal of any length.
#[derive(Clone)]
pub struct Exact {
    negative: bool,
    magnitude: Natural,
    scale: usize,
}

impl Exact {
    /// `mantissa * 10^-scale`.
    pub fn new(mantissa: i128, scale: u32) -> Self {
        let magnitude = Natural::from_u128(mantissa.unsigned_abs());
        Self { negative: mantissa < 0, magnitude, scale: scale as usize }
    }

    /// Reads what [`Exact`] prints.
    pub fn read(text: &str) -> Self {
        let unsigned = text.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let magnitude = Natural::from_digits(&format!("{whole}{fraction}"));
        Self { negative: text.starts_with('-'), magnitude, scale: fraction.len() }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.magnitude.is_zero()
    }

    /// Significant digits as it is written, zeros at the end included.
    pub fn digit_count(&self) -> usize {
        self.magnitude.digits().len()
    }

    /// Digits after the point, without zeros at the end.
    pub fn fraction_digits(&self) -> usize {
        let digits = self.magnitude.digits();
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        if self.is_zero() { 0 } else { self.scale.saturating_sub(zeros) }
    }

    /// Whether it needs more than an `i128` when written with `scale` digits after the point.
    pub fn is_wide_at(&self, scale: usize) -> bool {
        let widened = self.widened(scale.max(self.scale));
        widened.compare(&Natural::from_u128(i128::MAX.unsigned_abs())).is_gt()
    }

    /// Whether it needs more than 256 bits, the sign among them, when written with `scale` digits
    /// after the point.
    pub fn is_beyond_256_bits_at(&self, scale: usize) -> bool {
        let half = Natural::from_u128(1 << 127);
        let limit = half.multiply(&half).multiply(&Natural::from_u128(2));
        self.widened(scale.max(self.scale)).compare(&limit).is_ge()
    }

    /// Without zeros at the end of the digits after the point.
    pub fn normalized(&self) -> Self {
        let scale = self.fraction_digits();
        let divisor = Natural::power_of_ten(self.scale - scale);
        Self { negative: self.negative, magnitude: self.magnitude.divide(&divisor).0, scale }
    }

    /// Digits after the point as it is written.
    pub fn scale(&self) -> usize {
        self.scale
    }

    fn widened(&self, scale: usize) -> Natural {
        self.magnitude.multiply(&Natural::power_of_ten(scale - self.scale))
    }

    /// The number with the other sign.
    pub fn negate(&self) -> Self {
        Self { negative: !self.negative, ..self.clone() }
    }

    /// Exact sum.
    pub fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.widened(scale), other.widened(scale));
        if self.negative == other.negative {
            return Self { negative: self.negative, magnitude: a.add(&b), scale };
        }
        let (larger, smaller, negative) = match a.compare(&b) {
            Ordering::Less => (b, a, other.negative),
            _ => (a, b, self.negative),
        };
        Self { negative, magnitude: larger.subtract(&smaller), scale }
    }

    /// Exact difference.
    pub fn subtract(&self, other: &Self) -> Self {
        self.add(&other.negate())
    }

    /// Exact product.
    pub fn multiply(&self, other: &Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            magnitude: self.magnitude.multiply(&other.magnitude),
            scale: self.scale + other.scale,
        }
    }

    /// Quotient of 28 significant digits, half-even; none where the divisor is zero.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        if self.is_zero() {
            return Some(Self::new(0, 0));
        }
        let length = |number: &Self| number.magnitude.digits().len() as i64;
        let mut shift = QUOTIENT_DIGITS as i64 - (length(self) - length(other));
        let shifted = |shift: i64| {
            let power = Natural::power_of_ten(shift.unsigned_abs() as usize);
            let numerator =
                if shift > 0 { self.magnitude.multiply(&power) } else { self.magnitude.clone() };
            let divisor =
                if shift < 0 { other.magnitude.multiply(&power) } else { other.magnitude.clone() };
            let (quotient, remainder) = numerator.divide(&divisor);
            (quotient, remainder, divisor)
        };
        if shifted(shift).0.digits().len() > QUOTIENT_DIGITS {
            shift -= 1;
        }
        let (quotient, remainder, divisor) = shifted(shift);
        let magnitude = rounded(quotient, &remainder, &divisor, Ties::Even);
        let scale = shift + self.scale as i64 - other.scale as i64;
        let magnitude = match usize::try_from(-scale) {
            Ok(zeros) => magnitude.multiply(&Natural::power_of_ten(zeros)),
            Err(_) => magnitude,
        };
        let negative = self.negative != other.negative;
        Some(Self { negative, magnitude, scale: usize::try_from(scale).unwrap_or(0) })
    }

    /// The number with `scale` digits after the point.
    pub fn rounded(&self, scale: u32, ties: Ties) -> Self {
        let scale = scale as usize;
        if scale >= self.scale {
            return Self { negative: self.negative, magnitude: self.widened(scale), scale };
        }
        let divisor = Natural::power_of_ten(self.scale - scale);
        let (quotient, remainder) = self.magnitude.divide(&divisor);
        let magnitude = rounded(quotient, &remainder, &divisor, ties);
        Self { negative: self.negative, magnitude, scale }
    }

    /// The digits as an integer, where they fit.
    pub fn mantissa(&self) -> Option<i128> {
        let digits = self.magnitude.digits();
        let sign = if self.negative { "-" } else { "" };
        if digits.is_empty() { Some(0) } else { format!("{sign}{digits}").parse().ok() }
    }

    /// The smaller or larger by value.
    pub fn compare(&self, other: &Self) -> Ordering {
        let difference = self.subtract(other);
        match (difference.is_zero(), difference.negative) {
            (true, _) => Ordering::Equal,
            (false, true) => Ordering::Less,
            (false, false) => Ordering::Greater,
        }
    }
}

fn rounded(quotient: Natural, remainder: &Natural, divisor: &Natural, ties: Ties) -> Natural {
    let is_odd = quotient.0.first().is_some_and(|limb| limb % 2 == 1);
    let up = match remainder.add(remainder).compare(divisor) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => ties == Ties::Up || is_odd,
    };
    if up { quotient.add(&Natural::from_u128(1)) } else { quotient }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other).is_eq()
    }
}

impl Eq for Exact {}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative && !self.is_zero() { "-" } else { "" };
        let digits = format!("{:0>width$}", self.magnitude.digits(), width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
