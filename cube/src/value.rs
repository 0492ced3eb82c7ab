//! Types of measures, keys and attributes, and how their text is read and printed.
//!
//! In memory every measure value is a 64-bit integer: scaled for decimals, days since 1970-01-01
//! for dates, 0 or 1 for booleans, a code of the version's dictionary for texts.

use std::fmt;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::error::{CubeError, Result};
use crate::limits::DECIMAL_PRECISION_MAX;
use crate::number::{Number, Rounding, format_scaled, parse_plain, power_of_ten};

/// The type of a measure or an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ValueType {
    /// Exact decimal with `precision` digits, `scale` of them after the point.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// 64-bit integer.
    Integer,
    /// Day.
    Date,
    /// True or false.
    Boolean,
    /// Text.
    Text,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Integer => f.write_str("integer"),
            Self::Date => f.write_str("date"),
            Self::Boolean => f.write_str("boolean"),
            Self::Text => f.write_str("text"),
        }
    }
}

impl From<ValueType> for String {
    fn from(value_type: ValueType) -> Self {
        value_type.to_string()
    }
}

impl TryFrom<String> for ValueType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "integer" => return Ok(Self::Integer),
            "date" => return Ok(Self::Date),
            "boolean" => return Ok(Self::Boolean),
            "text" => return Ok(Self::Text),
            _ => {}
        }
        let expected = || {
            format!("unknown type {text:?}; expected decimal(p,s), integer, date, boolean or text")
        };
        let inside = text
            .strip_prefix("decimal(")
            .and_then(|rest| rest.strip_suffix(')'))
            .ok_or_else(expected)?;
        let (precision, scale) = inside.split_once(',').ok_or_else(expected)?;
        let precision: u8 = precision.trim().parse().map_err(|_| expected())?;
        let scale: u8 = scale.trim().parse().map_err(|_| expected())?;
        if precision == 0 || precision > DECIMAL_PRECISION_MAX || scale > precision {
            return Err(format!(
                "{text}: a decimal has 1 to {DECIMAL_PRECISION_MAX} digits, of which at most all are after the point"
            ));
        }
        Ok(Self::Decimal { precision, scale })
    }
}

impl ValueType {
    /// Digits after the point of the stored integer.
    pub fn scale(self) -> u32 {
        match self {
            Self::Decimal { scale, .. } => u32::from(scale),
            _ => 0,
        }
    }

    /// Whether values are numbers that add up.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Decimal { .. } | Self::Integer)
    }

    /// The largest magnitude of a stored integer.
    pub fn limit(self) -> u64 {
        match self {
            Self::Decimal { precision, .. } => power_of_ten(u32::from(precision))
                .and_then(|limit| u64::try_from(limit - 1).ok())
                .unwrap_or(u64::MAX),
            _ => u64::MAX,
        }
    }

    /// Whether a stored integer is within the type.
    pub fn check_range(self, value: i128) -> Result<i64> {
        let fits = match self {
            Self::Decimal { precision, .. } => power_of_ten(u32::from(precision))
                .is_some_and(|limit| value.unsigned_abs() < limit.unsigned_abs()),
            _ => true,
        };
        match i64::try_from(value) {
            Ok(value) if fits => Ok(value),
            _ => Err(CubeError::Overflow(format!(
                "{} does not fit {self}",
                format_scaled(value, self.scale())
            ))),
        }
    }

    /// A number as this type's stored integer, rounded once.
    pub fn assign(self, number: Number, rounding: Rounding) -> Result<i64> {
        match number.rescaled(self.scale(), rounding) {
            Ok(stored) => self.check_range(stored),
            Err(_) => {
                let number = number.normalized();
                Err(CubeError::Overflow(format!("{number} does not fit {self}")))
            }
        }
    }

    /// Reads a stored integer from text; digits that the type cannot hold are an error.
    pub fn parse(self, text: &str) -> Result<i64> {
        let invalid = |reason: &str| CubeError::InvalidValue {
            value: text.to_string(),
            expected: self.to_string(),
            reason: reason.to_string(),
        };
        if self.is_number()
            && let Some(integer) = parse_plain(text.as_bytes(), self.scale())
            && integer.unsigned_abs() <= self.limit()
        {
            return Ok(integer);
        }
        match self {
            Self::Decimal { scale, .. } => {
                let mut number = Number::parse(text).ok_or_else(|| invalid(""))?;
                if number.scale > u32::from(scale) {
                    // zeros at the end are no digits that are lost
                    number = number.normalized();
                }
                if number.scale > u32::from(scale) {
                    return Err(invalid(&format!("more than {scale} digits after the point")));
                }
                self.check_range(number.rescaled(u32::from(scale), Rounding::HalfEven)?)
            }
            Self::Integer => {
                let mut number = Number::parse(text).ok_or_else(|| invalid(""))?;
                if number.scale > 0 {
                    number = number.normalized();
                }
                if number.scale > 0 {
                    return Err(invalid("digits after the point"));
                }
                let integer = number.mantissa().and_then(|integer| i64::try_from(integer).ok());
                integer.ok_or_else(|| invalid("more than 64 bits"))
            }
            Self::Date => {
                parse_date(text).map(i64::from).ok_or_else(|| invalid("expected YYYY-MM-DD"))
            }
            Self::Boolean => match text {
                "true" | "t" | "1" => Ok(1),
                "false" | "f" | "0" => Ok(0),
                _ => Err(invalid("expected true or false")),
            },
            Self::Text => Err(invalid("text is not a number")),
        }
    }

    /// Prints a stored integer.
    pub fn format(self, value: i64) -> String {
        match self {
            Self::Decimal { scale, .. } => format_scaled(i128::from(value), u32::from(scale)),
            Self::Date => i32::try_from(value).map_or_else(|_| value.to_string(), format_date),
            Self::Boolean => if value == 0 { "false" } else { "true" }.to_string(),
            Self::Integer | Self::Text => value.to_string(),
        }
    }
}

/// The declared type of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// Any text.
    #[default]
    Text,
    /// 16-bit integer.
    Smallint,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Bigint,
    /// Day.
    Date,
}

impl KeyType {
    /// The key in its one canonical spelling.
    pub fn canonical(self, text: &str) -> Result<String> {
        let invalid = |reason: &str| CubeError::InvalidValue {
            value: text.to_string(),
            expected: format!("key of type {self}"),
            reason: reason.to_string(),
        };
        let integer = |bits: u32| -> Result<String> {
            let value: i64 = text.trim().parse().map_err(|_| invalid("expected an integer"))?;
            let unused_bits = 64 - bits;
            if !(i64::MIN >> unused_bits..=i64::MAX >> unused_bits).contains(&value) {
                return Err(invalid("out of range"));
            }
            Ok(value.to_string())
        };
        match self {
            Self::Text => {
                use unicode_normalization::UnicodeNormalization;
                if text.is_empty() {
                    return Err(invalid("a key is not empty"));
                }
                Ok(text.nfc().collect())
            }
            Self::Smallint => integer(16),
            Self::Integer => integer(32),
            Self::Bigint => integer(64),
            Self::Date => {
                parse_date(text).map(format_date).ok_or_else(|| invalid("expected YYYY-MM-DD"))
            }
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Smallint => "smallint",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Date => "date",
        })
    }
}

/// A value of an attribute, with its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scalar {
    /// Everything that is a stored integer: decimals, integers, dates, booleans.
    Stored(i64),
    /// Text.
    Text(Arc<str>),
}

impl Scalar {
    /// Reads a value of a type from text.
    pub fn parse(value_type: ValueType, text: &str) -> Result<Self> {
        match value_type {
            ValueType::Text => Ok(Self::Text(text.into())),
            other => other.parse(text).map(Self::Stored),
        }
    }

    /// Prints a value of a type.
    pub fn format(&self, value_type: ValueType) -> String {
        match self {
            Self::Stored(value) => value_type.format(*value),
            Self::Text(text) => text.to_string(),
        }
    }
}

/// One part of a records cube's row key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyPart {
    /// Integers and dates.
    Integer(i64),
    /// Text.
    Text(Arc<str>),
}

impl KeyPart {
    /// Reads a part of a declared type from text.
    pub fn parse(key_type: KeyType, text: &str) -> Result<Self> {
        let plain = parse_plain(text.as_bytes(), 0).filter(|_| !text.ends_with('.'));
        if let Some(part) = plain.and_then(|integer| Self::of_integer(key_type, integer)) {
            return Ok(part);
        }
        let canonical = key_type.canonical(text)?;
        match key_type {
            KeyType::Text => Ok(Self::Text(canonical.into())),
            KeyType::Date => Ok(Self::Integer(ValueType::Date.parse(&canonical)?)),
            _ => Ok(Self::Integer(ValueType::Integer.parse(&canonical)?)),
        }
    }

    /// The part that an integer is, where parts of the type are integers and it is within them.
    pub fn of_integer(key_type: KeyType, integer: i64) -> Option<Self> {
        let fits = match key_type {
            KeyType::Smallint => i16::try_from(integer).is_ok(),
            KeyType::Integer => i32::try_from(integer).is_ok(),
            KeyType::Bigint => true,
            KeyType::Text | KeyType::Date => false,
        };
        fits.then_some(Self::Integer(integer))
    }

    /// Prints a part of a declared type.
    pub fn format(&self, key_type: KeyType) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Integer(value) if key_type == KeyType::Date => ValueType::Date.format(*value),
            Self::Integer(value) => value.to_string(),
        }
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<i32> {
    let is_form = |(idx, byte): (usize, u8)| match idx {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 10 || !text.bytes().enumerate().all(is_form) {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    days(date)
}

/// Days since 1970-01-01 of a date.
pub fn days(date: NaiveDate) -> Option<i32> {
    date.num_days_from_ce().checked_sub(719_163)
}

/// The date of days since 1970-01-01.
pub fn date_of_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)
}

/// `YYYY-MM-DD` of days since 1970-01-01.
pub fn format_date(days: i32) -> String {
    date_of_days(days).map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string())
}
