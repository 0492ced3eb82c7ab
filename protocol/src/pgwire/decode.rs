//! Parameters as clients write them, in text and in binary, turned into exactly the value the
//! statement was planned with.
//!
//! A value is first read as the type the client says it is, then fitted to the planned type without
//! loss: what is no such value is 22P02, what does not fit is 22003.

mod fit;
mod number;
mod time;

use bytes::{Buf, Bytes};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use postgres_types::Type;

pub(super) use number::Parts;

use super::output::Format;
use super::types::{element_of, parameter_type};
use crate::error::SqlError;

/// A parameter's value as the client wrote it, before it is fitted to the planned type.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    /// Decimal text, with or without an exponent; or NaN and the infinities.
    Number(String),
    /// A binary float with its shortest digits.
    Float(f64, String),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since 1970.
    Date(i32),
    /// Microseconds of a day.
    Time(i64),
    /// Microseconds since 1970, in no zone.
    Timestamp(i64),
    /// Microseconds since 1970 in UTC.
    TimestampTz(i64),
    Interval {
        months: i32,
        days: i32,
        micros: i64,
    },
    List(Vec<Value>),
}

/// Turns one parameter into the value the statement takes.
///
/// `declared` is the type the client gave; without one it was told, or will assume, what `planned`
/// means.
pub(super) fn parameter(
    bytes: Option<&Bytes>,
    declared: Option<&Type>,
    format: Format,
    planned: &DataType,
) -> Result<ScalarValue, SqlError> {
    let pg_type = declared.cloned().unwrap_or_else(|| parameter_type(planned));
    let Some(bytes) = bytes else {
        return fit::fit(Value::Null, &pg_type, planned);
    };
    let value = match format {
        Format::Text => read_text(utf8(bytes)?, &pg_type)?,
        Format::Binary => read_binary(bytes.clone(), &pg_type)?,
    };
    fit::fit(value, &pg_type, planned)
}

fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
    if text.contains('\0') {
        return Err(SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(text)
}

/// The error of a text that is no value of its type.
fn invalid(text: &str, pg_type: &Type) -> SqlError {
    let name = match *pg_type {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        _ => pg_type.name(),
    };
    let sqlstate = match *pg_type {
        Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL => "22007",
        _ => "22P02",
    };
    SqlError::new(sqlstate, format!("invalid input syntax for type {name}: \"{}\"", start_of(text)))
}

/// Enough of a value to recognise it in a message.
fn start_of(text: &str) -> String {
    const SHOWN_CHARS: usize = 100;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads the text form of a type.
fn read_text(text: &str, pg_type: &Type) -> Result<Value, SqlError> {
    if let Some(element) = element_of(pg_type) {
        let malformed =
            || SqlError::new("22P02", format!("malformed array literal: \"{}\"", start_of(text)));
        return split_array(text)
            .ok_or_else(malformed)?
            .into_iter()
            .map(|item| item.map_or(Ok(Value::Null), |item| read_text(&item, &element)))
            .collect::<Result<_, _>>()
            .map(Value::List);
    }
    let bad = || invalid(text, pg_type);
    match *pg_type {
        Type::BOOL => number::boolean(text).map(Value::Bool).ok_or_else(bad),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::XID | Type::CID => {
            number::integer(text).map(Value::Number).ok_or_else(bad)
        }
        Type::NUMERIC => number::decimal(text).map(Value::Number).ok_or_else(bad),
        Type::FLOAT4 | Type::FLOAT8 => {
            let text = number::decimal(text).ok_or_else(bad)?;
            let value: f64 = text.parse().map_err(|_| bad())?;
            Ok(Value::Float(value, text))
        }
        Type::BYTEA => number::bytea(text).map(Value::Bytes).ok_or_else(bad),
        Type::DATE => time::date(text).map(Value::Date).ok_or_else(bad),
        Type::TIME => time::time(text).map(Value::Time).ok_or_else(bad),
        Type::TIMESTAMP => time::timestamp(text).map(Value::Timestamp).ok_or_else(bad),
        Type::TIMESTAMPTZ => time::timestamp_tz(text).map(Value::TimestampTz).ok_or_else(bad),
        Type::INTERVAL => time::interval(text)
            .map(|(months, days, micros)| Value::Interval { months, days, micros })
            .ok_or_else(bad),
        Type::UUID => number::uuid(text).map(Value::Text).ok_or_else(bad),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

/// Reads the binary form of a type, to its last byte.
fn read_binary(mut bytes: Bytes, pg_type: &Type) -> Result<Value, SqlError> {
    if element_of(pg_type).is_some() {
        let value = read_array(&mut bytes)?;
        return if bytes.has_remaining() { Err(wrong_length()) } else { Ok(value) };
    }
    let micros_of = |micros: i64| {
        // The two ends of the range are PostgreSQL's infinities.
        micros
            .checked_add(super::encode::TIMESTAMP_EPOCH_MICROS)
            .filter(|_| micros != i64::MIN && micros != i64::MAX)
            .ok_or_else(|| SqlError::new("22008", "timestamp out of range"))
    };
    let value = match *pg_type {
        Type::BOOL => Value::Bool(fixed::<1>(&bytes)? != [0]),
        Type::INT2 => Value::Number(i16::from_be_bytes(fixed(&bytes)?).to_string()),
        Type::INT4 => Value::Number(i32::from_be_bytes(fixed(&bytes)?).to_string()),
        Type::INT8 => Value::Number(i64::from_be_bytes(fixed(&bytes)?).to_string()),
        Type::OID | Type::XID | Type::CID => {
            Value::Number(u32::from_be_bytes(fixed(&bytes)?).to_string())
        }
        Type::FLOAT4 => {
            let value = f32::from_be_bytes(fixed(&bytes)?);
            Value::Float(f64::from(value), value.to_string())
        }
        Type::FLOAT8 => {
            let value = f64::from_be_bytes(fixed(&bytes)?);
            Value::Float(value, value.to_string())
        }
        Type::NUMERIC => Value::Number(number::numeric(bytes)?),
        Type::BYTEA => Value::Bytes(bytes.to_vec()),
        Type::DATE => {
            let days = i32::from_be_bytes(fixed(&bytes)?);
            let days = days
                .checked_add(super::encode::DATE_EPOCH_DAYS)
                .filter(|_| days != i32::MIN && days != i32::MAX)
                .ok_or_else(|| SqlError::new("22008", "date out of range"))?;
            Value::Date(days)
        }
        Type::TIME => {
            let micros = i64::from_be_bytes(fixed(&bytes)?);
            if !(0..=super::encode::MICROS_PER_DAY).contains(&micros) {
                return Err(SqlError::new("22008", "time out of range"));
            }
            Value::Time(micros)
        }
        Type::TIMESTAMP => Value::Timestamp(micros_of(i64::from_be_bytes(fixed(&bytes)?))?),
        Type::TIMESTAMPTZ => Value::TimestampTz(micros_of(i64::from_be_bytes(fixed(&bytes)?))?),
        Type::INTERVAL => {
            let mut reader = Bytes::copy_from_slice(&fixed::<16>(&bytes)?);
            let micros = reader.get_i64();
            let days = reader.get_i32();
            Value::Interval { months: reader.get_i32(), days, micros }
        }
        Type::UUID => Value::Text(number::uuid_of(&fixed(&bytes)?)),
        Type::JSONB => match bytes.split_first() {
            Some((1, text)) => Value::Text(utf8(text)?.to_owned()),
            _ => return Err(wrong_length()),
        },
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::UNKNOWN
        | Type::JSON
        | Type::XML => Value::Text(utf8(&bytes)?.to_owned()),
        _ => {
            return Err(SqlError::new(
                "0A000",
                format!("a parameter of type {} has no binary form here", pg_type.name()),
            )
            .with_hint("send it in text format"));
        }
    };
    Ok(value)
}

fn wrong_length() -> SqlError {
    SqlError::new("22P03", "incorrect binary data format in bind parameter")
}

fn fixed<const LENGTH: usize>(bytes: &[u8]) -> Result<[u8; LENGTH], SqlError> {
    bytes.try_into().map_err(|_| wrong_length())
}

/// Reads a binary array of one dimension, or an empty one.
fn read_array(bytes: &mut Bytes) -> Result<Value, SqlError> {
    let mut int = || bytes.try_get_i32().map_err(|_| wrong_length());
    let (dimensions, _has_nulls, element) = (int()?, int()?, int()?.cast_unsigned());
    let length = match dimensions {
        0 => return Ok(Value::List(Vec::new())),
        1 => {
            let length = int()?;
            int()?; // its first subscript, which says nothing about the values
            length
        }
        _ => {
            return Err(SqlError::new(
                "0A000",
                "array parameters of more than one dimension are not supported",
            ));
        }
    };
    let element = Type::from_oid(element).ok_or_else(wrong_length)?;
    let mut values = Vec::new();
    for _ in 0..length {
        let size = bytes.try_get_i32().map_err(|_| wrong_length())?;
        if size == -1 {
            values.push(Value::Null);
            continue;
        }
        let size = usize::try_from(size).map_err(|_| wrong_length())?;
        if size > bytes.len() || element_of(&element).is_some() {
            return Err(wrong_length());
        }
        values.push(read_binary(bytes.split_to(size), &element)?);
    }
    Ok(Value::List(values))
}

/// Splits the text of an array of one dimension; `None` for anything else. An element is `None`
/// for NULL.
pub(super) fn split_array(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut chars = inner.chars().peekable();
    skip_spaces(&mut chars);
    if chars.peek().is_none() {
        return Some(elements);
    }
    loop {
        skip_spaces(&mut chars);
        elements.push(if chars.next_if_eq(&'"').is_some() {
            let mut element = String::new();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => element.push(chars.next()?),
                    other => element.push(other),
                }
            }
            skip_spaces(&mut chars);
            Some(element)
        } else {
            bare_element(&mut chars)?
        });
        match chars.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

fn skip_spaces(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

/// An element without quotes, up to the comma; NULL is one when nothing in it is escaped.
fn bare_element(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Option<String>> {
    let mut element = String::new();
    let mut escaped = false;
    while let Some(next) = chars.next_if(|next| *next != ',') {
        match next {
            '\\' => {
                escaped = true;
                element.push(chars.next()?);
            }
            '{' | '}' | '"' => return None,
            other => element.push(other),
        }
    }
    let element = element.trim_end();
    if element.is_empty() {
        return None;
    }
    let null = !escaped && element.eq_ignore_ascii_case("null");
    Some((!null).then(|| element.to_owned()))
}

#[cfg(test)]
mod tests;
