//! Numbers: integers, PostgreSQL's shortest floats, and exact numerics in both formats.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};

use super::{Writer, cast, print, put};
use crate::error::SqlError;
use crate::pgwire::decode::Parts;
use crate::pgwire::output::Format;

macro_rules! integer {
    ($name:ident, $array:ty) => {
        pub(super) fn $name(array: $array, format: Format) -> Writer {
            match format {
                Format::Text => {
                    Box::new(move |row, body| print(body, format_args!("{}", array.value(row))))
                }
                Format::Binary => {
                    Box::new(move |row, body| put(body, &array.value(row).to_be_bytes()))
                }
            }
        }
    };
}

integer!(int16, Int16Array);
integer!(int32, Int32Array);
integer!(int64, Int64Array);

/// The fewest digits, in scientific form, that read back as the same float, chosen as PostgreSQL
/// chooses them: a number halfway between two floats does not count as reading back, and of two
/// choices equally near the even one is taken. The standard library differs in both.
macro_rules! shortest {
    ($value:expr, $float:ty) => {{
        let value: $float = $value;
        let text = format!("{value:e}");
        let digits = text
            .split('e')
            .next()
            .map_or(0, |mantissa| mantissa.bytes().filter(u8::is_ascii_digit).count());
        let gaps = [value - value.next_down(), value.next_up() - value].map(f64::from);
        if !value.is_finite() || digits == 0 {
            text
        } else if is_halfway(f64::from(value), &text, gaps) {
            // One more digit, and others as long as they are zeros; 17 are enough for any float.
            let more = (digits..17).map(|after| format!("{value:.after$e}"));
            let mut more = more.filter(|text| !is_halfway(f64::from(value), text, gaps));
            more.next().unwrap_or(text)
        } else {
            let nearest = format!("{value:.*e}", digits - 1);
            if nearest.parse() == Ok(value) { nearest } else { text }
        }
    }};
}

/// Whether a decimal lies halfway between a float and a neighbour, at the given distances below and
/// above. Only whole numbers can, with so few digits.
fn is_halfway(value: f64, decimal: &str, [below, above]: [f64; 2]) -> bool {
    const EXACT_BELOW: f64 = 1e38;
    if value.abs() >= EXACT_BELOW || value.fract() != 0.0 {
        return false;
    }
    let Some(decimal) = Parts::read(decimal).and_then(|parts| parts.unscaled(39, 0)) else {
        return false;
    };
    let Some(decimal) = decimal.to_i128() else {
        return false;
    };
    // Whole and below 2^127, so nothing is lost here.
    let [value, below, above] = [value, below, above].map(|float| float as i128);
    let twice = 2 * (decimal - value);
    twice != 0 && (twice == above || twice == -below)
}

pub(super) fn float32(array: Float32Array, format: Format) -> Writer {
    match format {
        Format::Text => Box::new(move |row, body| {
            let value = array.value(row);
            put_float(body, f64::from(value), &shortest!(value, f32), 6)
        }),
        Format::Binary => Box::new(move |row, body| put(body, &array.value(row).to_be_bytes())),
    }
}

pub(super) fn float64(array: Float64Array, format: Format) -> Writer {
    match format {
        Format::Text => Box::new(move |row, body| {
            let value = array.value(row);
            put_float(body, value, &shortest!(value, f64), 15)
        }),
        Format::Binary => Box::new(move |row, body| put(body, &array.value(row).to_be_bytes())),
    }
}

/// A float as PostgreSQL prints it: the fewest digits that read back as the same value (`shortest`
/// holds them in scientific form), without exponent from 1e-4 up to ten to the power `fixed_below`.
fn put_float(
    body: &mut BytesMut,
    value: f64,
    shortest: &str,
    fixed_below: i32,
) -> Result<(), SqlError> {
    if value.is_nan() {
        return put(body, b"NaN");
    }
    if value.is_infinite() {
        return put(body, if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if let Some(unsigned) = mantissa.strip_prefix('-') {
        body.put_u8(b'-');
        return put_unsigned_float(body, unsigned, exponent, fixed_below);
    }
    put_unsigned_float(body, mantissa, exponent, fixed_below)
}

fn put_unsigned_float(
    body: &mut BytesMut,
    mantissa: &str,
    exponent: i32,
    fixed_below: i32,
) -> Result<(), SqlError> {
    if exponent < -4 || exponent >= fixed_below {
        let sign = if exponent < 0 { '-' } else { '+' };
        return print(body, format_args!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()));
    }
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let whole = exponent + 1;
            body.put_slice(&digits[..whole.min(digits.len())]);
            body.put_bytes(b'0', whole.saturating_sub(digits.len()));
            if digits.len() > whole {
                body.put_u8(b'.');
                body.put_slice(&digits[whole..]);
            }
        }
        Err(_) => {
            body.put_slice(b"0.");
            body.put_bytes(b'0', exponent.unsigned_abs() as usize - 1);
            body.put_slice(&digits);
        }
    }
    Ok(())
}

/// `numeric`: decimals with their scale, integers, and floats by their shortest digits.
/// `shown` is the number of digits after the point up to which zeros at the end are kept.
pub(super) fn numeric(array: &ArrayRef, format: Format, shown: u16) -> Result<Writer, SqlError> {
    match array.data_type() {
        DataType::Decimal128(_, scale) => {
            let (scale, array) = (*scale, array.as_primitive::<Decimal128Type>().clone());
            Ok(decimal(scale, format, shown, move |row| array.value(row).to_string()))
        }
        DataType::Decimal256(_, scale) => {
            let (scale, array) = (*scale, array.as_primitive::<Decimal256Type>().clone());
            Ok(decimal(scale, format, shown, move |row| array.value(row).to_string()))
        }
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
            numeric(&cast(array, &DataType::Decimal128(38, *scale))?, format, shown)
        }
        other if other.is_integer() => {
            numeric(&cast(array, &DataType::Decimal128(20, 0))?, format, shown)
        }
        other if other.is_floating() => {
            let array: Float64Array = cast(array, &DataType::Float64)?.as_primitive().clone();
            Ok(Box::new(move |row, body| put_float_as_numeric(body, array.value(row), format)))
        }
        _ => {
            let array = super::strings(array)?;
            Ok(Box::new(move |row, body| put_text_as_numeric(body, array.value(row), format)))
        }
    }
}

/// The writer of unscaled integers of one scale.
fn decimal(
    scale: i8,
    format: Format,
    shown: u16,
    unscaled: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Writer {
    Box::new(move |row, body| {
        let unscaled = unscaled(row);
        let (sign, digits) = match unscaled.strip_prefix('-') {
            Some(digits) => (Sign::Negative, digits),
            None => (Sign::Positive, unscaled.as_str()),
        };
        let mut digits = digits.as_bytes().to_vec();
        if digits == b"0" {
            digits.clear();
        } else {
            // A negative scale counts zeros before the point.
            digits.resize(digits.len() + usize::from(scale.min(0).unsigned_abs()), b'0');
        }
        let mut scale = u16::from(scale.max(0).unsigned_abs());
        while scale > shown && digits.last().is_none_or(|&digit| digit == b'0') {
            digits.pop();
            scale -= 1;
        }
        put_numeric(body, sign, &digits, scale, format)
    })
}

/// The sign of a numeric.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Positive,
    Negative,
}

/// Appends a numeric of which `digits` (no zero first, none for zero) are the unscaled integer and
/// `scale` of them come after the point.
fn put_numeric(
    body: &mut BytesMut,
    sign: Sign,
    digits: &[u8],
    scale: u16,
    format: Format,
) -> Result<(), SqlError> {
    let negative = sign == Sign::Negative && !digits.is_empty();
    match format {
        Format::Text => {
            if negative {
                body.put_u8(b'-');
            }
            let scale = usize::from(scale);
            let whole = digits.len().saturating_sub(scale);
            if whole == 0 {
                body.put_u8(b'0');
            }
            body.put_slice(&digits[..whole]);
            if scale > 0 {
                body.put_u8(b'.');
                body.put_bytes(b'0', scale.saturating_sub(digits.len()));
                body.put_slice(&digits[whole..]);
            }
            Ok(())
        }
        Format::Binary => put_numeric_binary(body, negative, digits, scale),
    }
}

/// The form of `numeric_send`: digits in base 10000, the power of the first, sign and scale.
fn put_numeric_binary(
    body: &mut BytesMut,
    negative: bool,
    digits: &[u8],
    scale: u16,
) -> Result<(), SqlError> {
    const SIGN_NEGATIVE: u16 = 0x4000;
    let out_of_range = || SqlError::new("22003", "numeric value out of range");
    let whole = i64::try_from(digits.len()).map_err(|_| out_of_range())? - i64::from(scale);
    // The group that holds the last digit before the point is number 0.
    let weight = (whole + 3).div_euclid(4) - 1;
    let before = usize::try_from(4 * (weight + 1) - whole).map_err(|_| out_of_range())?;
    let mut padded = vec![b'0'; if digits.is_empty() { 0 } else { before }];
    padded.extend_from_slice(digits);
    padded.resize(padded.len().next_multiple_of(4), b'0');
    let mut groups: Vec<u16> = padded
        .chunks_exact(4)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
        .collect();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = if groups.is_empty() { 0 } else { weight };
    body.put_u16(u16::try_from(groups.len()).map_err(|_| out_of_range())?);
    body.put_i16(i16::try_from(weight).map_err(|_| out_of_range())?);
    body.put_u16(if negative { SIGN_NEGATIVE } else { 0 });
    body.put_u16(scale);
    for group in groups {
        body.put_u16(group);
    }
    Ok(())
}

/// A float where a numeric was announced, by its shortest digits.
fn put_float_as_numeric(body: &mut BytesMut, value: f64, format: Format) -> Result<(), SqlError> {
    if value.is_finite() {
        // `{}` prints a float's shortest digits without exponent.
        return put_text_as_numeric(body, &value.to_string(), format);
    }
    let (text, sign_and_scale): (&[u8], u32) = if value.is_nan() {
        (b"NaN", 0xc000_0000)
    } else if value > 0.0 {
        (b"Infinity", 0xd000_0020)
    } else {
        (b"-Infinity", 0xf000_0020)
    };
    match format {
        Format::Text => put(body, text),
        Format::Binary => {
            body.put_u32(0);
            body.put_u32(sign_and_scale);
            Ok(())
        }
    }
}

/// Decimal text without exponent, such as `-12.50`.
fn put_text_as_numeric(body: &mut BytesMut, text: &str, format: Format) -> Result<(), SqlError> {
    let invalid =
        || SqlError::new("22P02", format!("invalid input syntax for type numeric: \"{text}\""));
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (Sign::Negative, rest),
        None => (Sign::Positive, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid());
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let scale = u16::try_from(fraction.len()).map_err(|_| invalid())?;
    put_numeric(body, sign, &digits[zeros..], scale, format)
}
