//! Numbers, booleans, bytes and UUIDs, read exactly.

use bytes::{Buf, Bytes};
use datafusion::arrow::datatypes::i256;

use super::wrong_length;
use crate::error::SqlError;
use crate::pgwire::verifier::{from_hex, to_hex};

/// PostgreSQL's words for true and false, and their beginnings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// An integer's text without spaces and plus sign.
pub(super) fn integer(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| text.to_owned())
}

/// A decimal's text, checked; NaN and the infinities in one spelling.
pub(super) fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some("NaN".to_owned()),
        "infinity" | "+infinity" | "inf" | "+inf" => return Some("inf".to_owned()),
        "-infinity" | "-inf" => return Some("-inf".to_owned()),
        _ => {}
    }
    Parts::read(text).map(|_| text.to_owned())
}

/// A decimal number: `digits` times ten to the power of `exponent`.
pub(in crate::pgwire) struct Parts {
    negative: bool,
    /// Neither a zero first nor one last; none for zero.
    digits: String,
    exponent: i64,
}

impl Parts {
    /// Reads decimal text; `None` when it is not a finite number.
    pub(in crate::pgwire) fn read(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent - i64::try_from(fraction.len()).ok()?;
        let stripped = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - stripped.len()).ok()?;
        let digits = stripped.trim_start_matches('0').to_owned();
        Some(Self { negative, digits, exponent: exponent + zeros })
    }

    /// The number times ten to the power of `scale`, if that is whole and has at most `precision`
    /// digits.
    pub(in crate::pgwire) fn unscaled(&self, precision: u8, scale: i8) -> Option<i256> {
        if self.digits.is_empty() {
            return Some(i256::ZERO);
        }
        let zeros = usize::try_from(self.exponent + i64::from(scale)).ok()?;
        if self.digits.len().saturating_add(zeros) > usize::from(precision) {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        i256::from_string(&format!("{sign}{}{}", self.digits, "0".repeat(zeros)))
    }

    /// How many digits come after the point.
    pub(super) fn scale(&self) -> i64 {
        (-self.exponent).max(0)
    }
}

/// Reads the binary form of a numeric as decimal text.
pub(super) fn numeric(mut bytes: Bytes) -> Result<String, SqlError> {
    let mut word = || bytes.try_get_u16().map_err(|_| wrong_length());
    let (count, weight, sign, scale) = (word()?, word()?.cast_signed(), word()?, word()?);
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        0xc000 => return Ok("NaN".to_owned()),
        0xd000 => return Ok("inf".to_owned()),
        0xf000 => return Ok("-inf".to_owned()),
        _ => return Err(wrong_length()),
    };
    let mut digits = String::new();
    for _ in 0..count {
        let group = word()?;
        if group > 9_999 {
            return Err(wrong_length());
        }
        digits.push_str(&format!("{group:04}"));
    }
    if bytes.has_remaining() || scale > 0x3fff {
        return Err(wrong_length());
    }
    // At most 2^17 digits before the point and as many after it, whatever the message says.
    let whole = 4 * (i32::from(weight) + 1);
    let written = match usize::try_from(whole) {
        Ok(whole) => {
            let zeros = "0".repeat(whole.saturating_sub(digits.len()));
            let (before, after) = digits.split_at(whole.min(digits.len()));
            format!("{before}{zeros}.{after}")
        }
        Err(_) => format!("0.{}{digits}", "0".repeat(whole.unsigned_abs() as usize)),
    };
    let written = written.trim_start_matches('0').trim_end_matches('0').trim_end_matches('.');
    let zero = if written.is_empty() || written.starts_with('.') { "0" } else { "" };
    Ok(format!("{sign}{zero}{written}"))
}

/// The two text forms of `bytea`: `\x` and hexadecimal, or bytes with octal escapes.
pub(super) fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return from_hex(&digits.split_ascii_whitespace().collect::<String>());
    }
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'\\' => bytes.push(b'\\'),
            first => {
                let octal = [first, rest.next()?, rest.next()?];
                let octal = std::str::from_utf8(&octal).ok()?;
                bytes.push(u8::from_str_radix(octal, 8).ok()?);
            }
        }
    }
    Some(bytes)
}

/// A UUID's text in its usual form.
pub(super) fn uuid(text: &str) -> Option<String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let digits: String = inner.chars().filter(|c| *c != '-').collect();
    from_hex(&digits)?.try_into().ok().map(|bytes: [u8; 16]| uuid_of(&bytes))
}

/// The text of a UUID's bytes.
pub(super) fn uuid_of(bytes: &[u8; 16]) -> String {
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    parts.map(to_hex).join("-")
}
