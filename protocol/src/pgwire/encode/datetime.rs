//! Dates, times and intervals: ISO text as with `DateStyle` ISO, microseconds since 2000 in binary.

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int64Type,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use postgres_types::Type;

use super::{Writer, cast, print, put, text};
use crate::error::SqlError;
use crate::pgwire::output::Format;

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's first day.
pub(in crate::pgwire) const DATE_EPOCH_DAYS: i32 = 10_957;
/// Microseconds of a day.
pub(in crate::pgwire) const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(in crate::pgwire) const TIMESTAMP_EPOCH_MICROS: i64 = DATE_EPOCH_DAYS as i64 * MICROS_PER_DAY;

fn out_of_range() -> SqlError {
    SqlError::new("22008", "date or time value out of range")
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar
/// (Howard Hinnant's `civil_from_days`).
pub(in crate::pgwire) fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_of_days`].
pub(in crate::pgwire) fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Prints a day without its era, and says whether it is before Christ.
fn put_date(body: &mut BytesMut, days: i64) -> Result<&'static [u8], SqlError> {
    let (year, month, day) = civil_of_days(days);
    let (year, era): (i64, &[u8]) = if year > 0 { (year, b"") } else { (1 - year, b" BC") };
    print(body, format_args!("{year:04}-{month:02}-{day:02}"))?;
    Ok(era)
}

/// Prints microseconds of a day, without zeros that end the fraction.
fn put_time(body: &mut BytesMut, micros: i64) -> Result<(), SqlError> {
    let seconds = micros / 1_000_000;
    print(
        body,
        format_args!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    )?;
    put_fraction(body, micros % 1_000_000)
}

fn put_fraction(body: &mut BytesMut, micros: i64) -> Result<(), SqlError> {
    if micros == 0 {
        return Ok(());
    }
    let fraction = format!("{micros:06}");
    print(body, format_args!(".{}", fraction.trim_end_matches('0')))
}

pub(super) fn date(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    let days: Box<dyn Fn(usize) -> i64 + Send + Sync> = match array.data_type() {
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>().clone();
            Box::new(move |row| i64::from(array.value(row)))
        }
        DataType::Date64 => {
            let array = array.as_primitive::<Date64Type>().clone();
            Box::new(move |row| array.value(row).div_euclid(86_400_000))
        }
        _ if format == Format::Text => return text(array),
        _ => return date(&cast(array, &DataType::Date32)?, format),
    };
    Ok(match format {
        Format::Text => Box::new(move |row, body| {
            let era = put_date(body, days(row))?;
            put(body, era)
        }),
        Format::Binary => Box::new(move |row, body| {
            let since = days(row) - i64::from(DATE_EPOCH_DAYS);
            put(body, &i32::try_from(since).map_err(|_| out_of_range())?.to_be_bytes())
        }),
    })
}

/// Reads a value as microseconds.
type Micros = Box<dyn Fn(usize) -> Result<i64, SqlError> + Send + Sync>;

/// Values of which one is `factor` microseconds.
fn coarse<T>(array: &ArrayRef, factor: i64) -> Micros
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Box::new(move |row| {
        let value: i64 = array.value(row).into();
        value.checked_mul(factor).ok_or_else(out_of_range)
    })
}

/// Values of which a thousand are a microsecond; what is below one is cut off.
fn nanos<T>(array: &ArrayRef) -> Micros
where
    T: ArrowPrimitiveType<Native = i64>,
{
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Box::new(move |row| Ok(array.value(row).div_euclid(1_000)))
}

pub(super) fn time(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    let micros = match array.data_type() {
        DataType::Time32(TimeUnit::Second) => coarse::<Time32SecondType>(array, 1_000_000),
        DataType::Time32(_) => coarse::<Time32MillisecondType>(array, 1_000),
        DataType::Time64(TimeUnit::Nanosecond) => nanos::<Time64NanosecondType>(array),
        DataType::Time64(_) => coarse::<Time64MicrosecondType>(array, 1),
        _ if format == Format::Text => return text(array),
        _ => return time(&cast(array, &DataType::Time64(TimeUnit::Microsecond))?, format),
    };
    Ok(match format {
        Format::Text => Box::new(move |row, body| put_time(body, micros(row)?)),
        Format::Binary => Box::new(move |row, body| put(body, &micros(row)?.to_be_bytes())),
    })
}

pub(super) fn timestamp(
    array: &ArrayRef,
    pg_type: &Type,
    format: Format,
) -> Result<Writer, SqlError> {
    let micros = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => coarse::<TimestampSecondType>(array, 1_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            coarse::<TimestampMillisecondType>(array, 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            coarse::<TimestampMicrosecondType>(array, 1)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => nanos::<TimestampNanosecondType>(array),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if format == Format::Text => {
            return text(array);
        }
        _ => {
            let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
            return timestamp(&cast(array, &plain)?, pg_type, format);
        }
    };
    let zone: &[u8] = if *pg_type == Type::TIMESTAMPTZ { b"+00" } else { b"" };
    Ok(match format {
        Format::Text => Box::new(move |row, body| {
            let micros = micros(row)?;
            let era = put_date(body, micros.div_euclid(MICROS_PER_DAY))?;
            body.put_u8(b' ');
            put_time(body, micros.rem_euclid(MICROS_PER_DAY))?;
            body.put_slice(zone);
            put(body, era)
        }),
        Format::Binary => Box::new(move |row, body| {
            let since =
                micros(row)?.checked_sub(TIMESTAMP_EPOCH_MICROS).ok_or_else(out_of_range)?;
            put(body, &since.to_be_bytes())
        }),
    })
}

/// An interval as PostgreSQL keeps it.
#[derive(Clone, Copy)]
struct Interval {
    months: i32,
    days: i32,
    micros: i64,
}

pub(super) fn interval(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    let read: Box<dyn Fn(usize) -> Result<Interval, SqlError> + Send + Sync> =
        match array.data_type() {
            DataType::Interval(IntervalUnit::YearMonth) => {
                let array = array.as_primitive::<IntervalYearMonthType>().clone();
                Box::new(move |row| Ok(Interval { months: array.value(row), days: 0, micros: 0 }))
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                let array = array.as_primitive::<IntervalDayTimeType>().clone();
                Box::new(move |row| {
                    let value = array.value(row);
                    let micros = i64::from(value.milliseconds) * 1_000;
                    Ok(Interval { months: 0, days: value.days, micros })
                })
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let array = array.as_primitive::<IntervalMonthDayNanoType>().clone();
                Box::new(move |row| {
                    let value = array.value(row);
                    let micros = value.nanoseconds.div_euclid(1_000);
                    Ok(Interval { months: value.months, days: value.days, micros })
                })
            }
            DataType::Duration(unit) => {
                let micros = match unit {
                    TimeUnit::Second => coarse::<DurationSecondType>(array, 1_000_000),
                    TimeUnit::Millisecond => coarse::<DurationMillisecondType>(array, 1_000),
                    TimeUnit::Microsecond => coarse::<DurationMicrosecondType>(array, 1),
                    TimeUnit::Nanosecond => nanos::<DurationNanosecondType>(array),
                };
                Box::new(move |row| days_and_time(micros(row)?))
            }
            other if other.is_integer() => {
                let array = cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
                Box::new(move |row| days_and_time(array.value(row)))
            }
            _ if format == Format::Text => return text(array),
            _ => {
                return interval(
                    &cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?,
                    format,
                );
            }
        };
    Ok(match format {
        Format::Text => Box::new(move |row, body| put_interval(body, read(row)?)),
        Format::Binary => Box::new(move |row, body| {
            let interval = read(row)?;
            body.put_i64(interval.micros);
            body.put_i32(interval.days);
            body.put_i32(interval.months);
            Ok(())
        }),
    })
}

/// A length of time in days and the rest, as the difference of two timestamps is given.
fn days_and_time(micros: i64) -> Result<Interval, SqlError> {
    let days = i32::try_from(micros / MICROS_PER_DAY).map_err(|_| out_of_range())?;
    Ok(Interval { months: 0, days, micros: micros % MICROS_PER_DAY })
}

/// Prints an interval in `IntervalStyle` postgres: `1 year 2 mons -3 days +04:05:06.7`.
fn put_interval(body: &mut BytesMut, interval: Interval) -> Result<(), SqlError> {
    let parts =
        [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    let start = body.len();
    let mut sign_before = 1;
    for (value, unit) in parts.into_iter().filter(|(value, _)| *value != 0) {
        let space = if body.len() == start { "" } else { " " };
        let plus = if sign_before < 0 && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        print(body, format_args!("{space}{plus}{value} {unit}{plural}"))?;
        sign_before = value.signum();
    }
    if interval.micros == 0 && body.len() > start {
        return Ok(());
    }
    if body.len() > start {
        body.put_u8(b' ');
    }
    if interval.micros < 0 {
        body.put_u8(b'-');
    } else if sign_before < 0 {
        body.put_u8(b'+');
    }
    let micros = interval.micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    print(
        body,
        format_args!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
    )?;
    put_fraction(body, i64::try_from(micros % 1_000_000).map_err(|_| out_of_range())?)
}
