//! Fitting a value to the type a statement was planned with, without loss.

use datafusion::arrow::datatypes::{
    DataType, Field, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256,
};
use datafusion::common::ScalarValue;
use postgres_types::Type;
use std::sync::Arc;

use super::number::Parts;
use super::{Value, invalid, read_text, start_of};
use crate::error::SqlError;
use crate::pgwire::encode::MICROS_PER_DAY;
use crate::pgwire::types::{UTC, element_of, planned_type, type_of};

/// Fits a value, which the client says is a `pg_type`, to the planned type.
pub(super) fn fit(
    value: Value,
    pg_type: &Type,
    planned: &DataType,
) -> Result<ScalarValue, SqlError> {
    match planned {
        DataType::Null => return unplanned(value, pg_type),
        DataType::Dictionary(key, values) => {
            let value = fit(value, pg_type, values)?;
            return Ok(ScalarValue::Dictionary(key.clone(), Box::new(value)));
        }
        _ => {}
    }
    let target = type_of(planned);
    match value {
        Value::Null => ScalarValue::try_from(planned)
            .map_err(|_| SqlError::new("0A000", format!("no parameters of type {planned}"))),
        // Text where another type is meant is that type's text, as an untyped literal would be.
        Value::Text(text) if target != Type::TEXT => {
            let value = match read_text(&text, &target)? {
                Value::Text(_) => return Err(mismatch(pg_type, &target)),
                value => value,
            };
            fit(value, &target, planned)
        }
        value => fit_value(value, pg_type, planned, &target),
    }
}

fn mismatch(pg_type: &Type, target: &Type) -> SqlError {
    SqlError::new(
        "42804",
        format!(
            "parameter is of type {} but the statement takes {}",
            pg_type.name(),
            target.name()
        ),
    )
}

fn out_of_range(value: &str, planned: &DataType) -> SqlError {
    let name = match planned {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("numeric({precision},{scale})"),
        other => type_of(other).name().to_owned(),
    };
    SqlError::new("22003", format!("value \"{}\" does not fit type {name}", start_of(value)))
        .with_detail("a parameter is taken exactly or not at all")
        .with_hint("round the value first, or cast the parameter in the statement")
}

/// A type the plan left open becomes the declared one, or text; a numeric gets the scale it has.
fn unplanned(value: Value, pg_type: &Type) -> Result<ScalarValue, SqlError> {
    let planned = match (&value, planned_type(pg_type)) {
        (_, Some(planned)) => planned,
        (Value::Number(text), None) => {
            let parts = Parts::read(text).ok_or_else(|| invalid(text, pg_type))?;
            let scale = i8::try_from(parts.scale())
                .ok()
                .filter(|scale| *scale <= 38)
                .ok_or_else(|| out_of_range(text, &DataType::Decimal128(38, 38)))?;
            DataType::Decimal128(38, scale)
        }
        (Value::Null, None) if *pg_type == Type::NUMERIC => DataType::Decimal128(38, 0),
        _ => DataType::Utf8,
    };
    fit(value, pg_type, &planned)
}

fn fit_value(
    value: Value,
    pg_type: &Type,
    planned: &DataType,
    target: &Type,
) -> Result<ScalarValue, SqlError> {
    match (value, planned) {
        (Value::Number(text), _) => fit_number(&text, None, pg_type, planned, target),
        (Value::Float(float, text), _) => fit_number(&text, Some(float), pg_type, planned, target),
        (Value::Bool(value), DataType::Boolean) => Ok(ScalarValue::Boolean(Some(value))),
        (Value::Bytes(bytes), DataType::Binary) => Ok(ScalarValue::Binary(Some(bytes))),
        (Value::Bytes(bytes), DataType::LargeBinary) => Ok(ScalarValue::LargeBinary(Some(bytes))),
        (Value::Bytes(bytes), DataType::BinaryView) => Ok(ScalarValue::BinaryView(Some(bytes))),
        (Value::Text(text), _) => text_scalar(text, planned, pg_type, target),
        (Value::Bool(value), _) if *target == Type::TEXT => {
            text_scalar(value.to_string(), planned, pg_type, target)
        }
        (Value::List(values), _) => fit_list(values, pg_type, planned, target),
        (value, _) => fit_time(&value, pg_type, planned, target),
    }
}

fn text_scalar(
    text: String,
    planned: &DataType,
    pg_type: &Type,
    target: &Type,
) -> Result<ScalarValue, SqlError> {
    match planned {
        DataType::Utf8 => Ok(ScalarValue::Utf8(Some(text))),
        DataType::LargeUtf8 => Ok(ScalarValue::LargeUtf8(Some(text))),
        DataType::Utf8View => Ok(ScalarValue::Utf8View(Some(text))),
        _ => Err(mismatch(pg_type, target)),
    }
}

/// Numbers of every kind to numbers of every kind, exactly; only to a float the nearest is taken.
fn fit_number(
    text: &str,
    float: Option<f64>,
    pg_type: &Type,
    planned: &DataType,
    target: &Type,
) -> Result<ScalarValue, SqlError> {
    let too_large = || out_of_range(text, planned);
    let whole = |digits: u8| -> Result<i128, SqlError> {
        let parts = Parts::read(text).ok_or_else(too_large)?;
        parts.unscaled(digits, 0).and_then(i256::to_i128).ok_or_else(too_large)
    };
    let unscaled = |precision: u8, scale: i8| -> Result<i256, SqlError> {
        let parts = Parts::read(text).ok_or_else(too_large)?;
        parts.unscaled(precision, scale).ok_or_else(too_large)
    };
    macro_rules! integer {
        ($variant:ident, $native:ty) => {{
            let value = <$native>::try_from(whole(20)?).map_err(|_| too_large())?;
            Ok(ScalarValue::$variant(Some(value)))
        }};
    }
    match planned {
        DataType::Int8 => integer!(Int8, i8),
        DataType::Int16 => integer!(Int16, i16),
        DataType::Int32 => integer!(Int32, i32),
        DataType::Int64 => integer!(Int64, i64),
        DataType::UInt8 => integer!(UInt8, u8),
        DataType::UInt16 => integer!(UInt16, u16),
        DataType::UInt32 => integer!(UInt32, u32),
        DataType::UInt64 => integer!(UInt64, u64),
        DataType::Decimal32(precision, scale) => {
            let value = unscaled(*precision, *scale)?.to_i128().and_then(|v| i32::try_from(v).ok());
            Ok(ScalarValue::Decimal32(Some(value.ok_or_else(too_large)?), *precision, *scale))
        }
        DataType::Decimal64(precision, scale) => {
            let value = unscaled(*precision, *scale)?.to_i128().and_then(|v| i64::try_from(v).ok());
            Ok(ScalarValue::Decimal64(Some(value.ok_or_else(too_large)?), *precision, *scale))
        }
        DataType::Decimal128(precision, scale) => {
            let value = unscaled(*precision, *scale)?.to_i128().ok_or_else(too_large)?;
            Ok(ScalarValue::Decimal128(Some(value), *precision, *scale))
        }
        DataType::Decimal256(precision, scale) => {
            Ok(ScalarValue::Decimal256(Some(unscaled(*precision, *scale)?), *precision, *scale))
        }
        DataType::Float32 => {
            let value: f32 = text.parse().map_err(|_| invalid(text, pg_type))?;
            let overflows = value.is_infinite() && !text.contains("inf");
            if overflows { Err(too_large()) } else { Ok(ScalarValue::Float32(Some(value))) }
        }
        DataType::Float64 => {
            let parsed = match float {
                Some(float) => float,
                None => text.parse().map_err(|_| invalid(text, pg_type))?,
            };
            let overflows = parsed.is_infinite() && !text.contains("inf");
            if overflows { Err(too_large()) } else { Ok(ScalarValue::Float64(Some(parsed))) }
        }
        _ if *target == Type::TEXT => text_scalar(text.to_owned(), planned, pg_type, target),
        _ => Err(mismatch(pg_type, target)),
    }
}

/// Dates, times and intervals.
fn fit_time(
    value: &Value,
    pg_type: &Type,
    planned: &DataType,
    target: &Type,
) -> Result<ScalarValue, SqlError> {
    let out = || SqlError::new("22008", format!("value does not fit type {}", target.name()));
    match (value, planned) {
        (Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_), DataType::Date32) => {
            Ok(ScalarValue::Date32(Some(whole_days(value).ok_or_else(out)?)))
        }
        (Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_), DataType::Date64) => {
            let days = whole_days(value).ok_or_else(out)?;
            Ok(ScalarValue::Date64(Some(i64::from(days) * 86_400_000)))
        }
        (
            Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_),
            DataType::Timestamp(unit, zone),
        ) => {
            let value = in_unit(micros_of(value), *unit).ok_or_else(out)?;
            let zone = zone.clone();
            Ok(match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(Some(value), zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(value), zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(value), zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(value), zone),
            })
        }
        (Value::Time(micros), DataType::Time32(unit)) => {
            let value = in_unit(*micros, *unit).and_then(|v| i32::try_from(v).ok());
            let value = Some(value.ok_or_else(out)?);
            Ok(match unit {
                TimeUnit::Second => ScalarValue::Time32Second(value),
                _ => ScalarValue::Time32Millisecond(value),
            })
        }
        (Value::Time(micros), DataType::Time64(unit)) => {
            let value = Some(in_unit(*micros, *unit).ok_or_else(out)?);
            Ok(match unit {
                TimeUnit::Nanosecond => ScalarValue::Time64Nanosecond(value),
                _ => ScalarValue::Time64Microsecond(value),
            })
        }
        (
            Value::Interval { months, days, micros },
            DataType::Interval(IntervalUnit::MonthDayNano),
        ) => {
            let nanos = micros.checked_mul(1_000).ok_or_else(out)?;
            let value = IntervalMonthDayNano::new(*months, *days, nanos);
            Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
        }
        (value, _) if *target == Type::TEXT => {
            let text = time_as_text(value).ok_or_else(|| mismatch(pg_type, target))?;
            text_scalar(text, planned, pg_type, target)
        }
        _ => Err(mismatch(pg_type, target)),
    }
}

fn micros_of(value: &Value) -> i64 {
    match value {
        Value::Date(days) => i64::from(*days) * MICROS_PER_DAY,
        Value::Timestamp(micros) | Value::TimestampTz(micros) => *micros,
        _ => 0,
    }
}

/// The day of a date, or of a timestamp at midnight.
fn whole_days(value: &Value) -> Option<i32> {
    let micros = micros_of(value);
    let midnight = micros.rem_euclid(MICROS_PER_DAY) == 0;
    midnight.then(|| i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok())?
}

/// Microseconds in another unit, if that is exact.
fn in_unit(micros: i64, unit: TimeUnit) -> Option<i64> {
    let exact = |factor: i64| (micros % factor == 0).then_some(micros / factor);
    match unit {
        TimeUnit::Second => exact(1_000_000),
        TimeUnit::Millisecond => exact(1_000),
        TimeUnit::Microsecond => Some(micros),
        TimeUnit::Nanosecond => micros.checked_mul(1_000),
    }
}

/// A date or timestamp where the statement takes text.
fn time_as_text(value: &Value) -> Option<String> {
    let scalar = match value {
        Value::Date(days) => ScalarValue::Date32(Some(*days)),
        Value::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Value::TimestampTz(micros) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some(UTC.into()))
        }
        _ => return None,
    };
    crate::pgwire::encode::scalar_text(&scalar).ok()
}

/// A list, element by element.
fn fit_list(
    values: Vec<Value>,
    pg_type: &Type,
    planned: &DataType,
    target: &Type,
) -> Result<ScalarValue, SqlError> {
    let element_type = element_of(pg_type).unwrap_or(Type::TEXT);
    let (DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _)) =
        planned
    else {
        return Err(mismatch(pg_type, target));
    };
    let elements = values
        .into_iter()
        .map(|value| fit(value, &element_type, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let array = ScalarValue::new_list(&elements, field.data_type(), true);
    let list = ScalarValue::List(array);
    let plain = DataType::List(Arc::new(Field::new_list_field(field.data_type().clone(), true)));
    if *planned == plain {
        return Ok(list);
    }
    list.cast_to(planned).map_err(|error| {
        SqlError::new("42804", "array parameter does not fit").with_detail(error.to_string())
    })
}
