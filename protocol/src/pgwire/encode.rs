//! Arrow values as PostgreSQL writes them, in text and in binary.
//!
//! A batch is looked at once: every column becomes a writer of single values, so a row costs no
//! downcast. Values are exact: nothing is rounded but nanoseconds, which PostgreSQL does not have.

mod array;
mod datetime;
mod number;

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, NullArray, RecordBatch, StringArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt32Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use postgres_types::Type;

use super::limits::ROW_BYTES_MAX;
use super::output::{Format, Output};
use super::types::PgColumn;
use crate::error::SqlError;

pub(super) use datetime::{DATE_EPOCH_DAYS, MICROS_PER_DAY, TIMESTAMP_EPOCH_MICROS, days_of_civil};

/// Writes the value at a row, which is not NULL, without its length.
type Writer = Box<dyn Fn(usize, &mut BytesMut) -> Result<(), SqlError> + Send + Sync>;

/// The writers of one batch.
pub(super) struct BatchEncoder {
    columns: Vec<ColumnEncoder>,
    rows: usize,
}

/// The writer of one column and its NULLs.
struct ColumnEncoder {
    nulls: Option<NullBuffer>,
    write: Writer,
}

impl BatchEncoder {
    /// Looks at a batch; `format(i)` is how column `i` is written.
    pub(super) fn new(
        batch: &RecordBatch,
        columns: &[PgColumn],
        format: impl Fn(usize) -> Format,
    ) -> Result<Self, SqlError> {
        if batch.num_columns() != columns.len() {
            return Err(SqlError::new("XX000", "a statement returned other columns than planned"));
        }
        let encoders = batch
            .columns()
            .iter()
            .zip(columns)
            .enumerate()
            .map(|(position, (array, column))| ColumnEncoder::new(array, column, format(position)))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns: encoders, rows: batch.num_rows() })
    }

    /// How many rows the batch has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one row as a DataRow message.
    pub(super) fn write(&self, row: usize, output: &mut Output) -> Result<(), SqlError> {
        output.message(b'D', |body| {
            body.put_u16(u16::try_from(self.columns.len()).map_err(|_| too_many_columns())?);
            let start = body.len();
            self.columns.iter().try_for_each(|column| {
                column.write(row, body)?;
                match body.len() - start {
                    ..=ROW_BYTES_MAX => Ok(()),
                    _ => Err(too_long_a_row()),
                }
            })
        })
    }
}

fn too_long_a_row() -> SqlError {
    SqlError::new("54000", format!("a row of a result has more than {ROW_BYTES_MAX} bytes"))
        .with_hint("select fewer long texts at a time")
}

fn too_many_columns() -> SqlError {
    SqlError::new("54011", "a result has at most 65535 columns")
}

impl ColumnEncoder {
    fn new(array: &ArrayRef, column: &PgColumn, format: Format) -> Result<Self, SqlError> {
        let array = plain(array)?;
        let write = match column.shown_scale {
            Some(shown) => number::numeric(&array, format, shown)?,
            None => writer(&array, &column.pg_type, format)?,
        };
        Ok(Self { nulls: array.logical_nulls(), write })
    }

    /// Appends a value with its length before it, -1 for NULL.
    fn write(&self, row: usize, body: &mut BytesMut) -> Result<(), SqlError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            body.put_i32(-1);
            return Ok(());
        }
        let start = body.len();
        body.put_i32(0);
        (self.write)(row, body)?;
        let length = i32::try_from(body.len() - start - 4)
            .map_err(|_| SqlError::new("54000", "a value is longer than 2 GiB"))?;
        body[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// The array without its dictionary or runs.
fn plain(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => plain(&cast(array, values)?),
        DataType::RunEndEncoded(_, values) => plain(&cast(array, values.data_type())?),
        _ => Ok(ArrayRef::clone(array)),
    }
}

/// Casts exactly: a value that does not fit is an error.
fn cast(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, SqlError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, data_type, &options).map_err(|error| {
        SqlError::new("22003", "value out of range").with_detail(error.to_string())
    })
}

/// The writer of a plain array's values as values of a PostgreSQL type.
fn writer(array: &ArrayRef, pg_type: &Type, format: Format) -> Result<Writer, SqlError> {
    if matches!(array.data_type(), DataType::Null) {
        return Ok(Box::new(|_, _| Ok(())));
    }
    if is_list(array.data_type()) {
        return array::writer_of_lists(array, pg_type, format);
    }
    match *pg_type {
        Type::BOOL => {
            let array = cast(array, &DataType::Boolean)?.as_boolean().clone();
            Ok(boolean(array, format))
        }
        Type::INT2 => Ok(number::int16(
            cast(array, &DataType::Int16)?.as_primitive::<Int16Type>().clone(),
            format,
        )),
        Type::INT4 => Ok(number::int32(
            cast(array, &DataType::Int32)?.as_primitive::<Int32Type>().clone(),
            format,
        )),
        Type::INT8 => Ok(number::int64(
            cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            format,
        )),
        Type::FLOAT4 => Ok(number::float32(
            cast(array, &DataType::Float32)?.as_primitive::<Float32Type>().clone(),
            format,
        )),
        Type::FLOAT8 => Ok(number::float64(
            cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            format,
        )),
        Type::NUMERIC => number::numeric(array, format, u16::MAX),
        Type::OID
        | Type::XID
        | Type::CID
        | Type::REGCLASS
        | Type::REGTYPE
        | Type::REGPROC
        | Type::REGPROCEDURE
        | Type::REGOPER
        | Type::REGNAMESPACE
        | Type::REGROLE => object_id(array, format),
        Type::CHAR => single_byte(array, format),
        Type::BYTEA => bytea(array, format),
        Type::DATE => datetime::date(array, format),
        Type::TIME => datetime::time(array, format),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => datetime::timestamp(array, pg_type, format),
        Type::INTERVAL => datetime::interval(array, format),
        Type::UUID => uuid(array, format),
        Type::JSONB => jsonb(array, format),
        Type::INT2_VECTOR | Type::OID_VECTOR => array::vector(array, pg_type, format),
        // A list the session gives as text already looks as PostgreSQL prints it.
        _ if super::types::element_of(pg_type).is_some() && format == Format::Binary => {
            array::from_text(array, pg_type)
        }
        _ => text(array),
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::FixedSizeList(..)
    )
}

fn boolean(array: BooleanArray, format: Format) -> Writer {
    match format {
        Format::Text => Box::new(move |row, body| {
            body.put_u8(if array.value(row) { b't' } else { b'f' });
            Ok(())
        }),
        Format::Binary => Box::new(move |row, body| {
            body.put_u8(u8::from(array.value(row)));
            Ok(())
        }),
    }
}

/// Text, whose binary form is the same; anything else as Arrow prints it.
fn text(array: &ArrayRef) -> Result<Writer, SqlError> {
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>().clone();
            Ok(Box::new(move |row, body| put(body, array.value(row).as_bytes())))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>().clone();
            Ok(Box::new(move |row, body| put(body, array.value(row).as_bytes())))
        }
        DataType::Utf8View => {
            let array = array.as_string_view().clone();
            Ok(Box::new(move |row, body| put(body, array.value(row).as_bytes())))
        }
        other => {
            let natural = super::types::type_of(other);
            if natural == Type::TEXT {
                return printed(array);
            }
            writer(array, &natural, Format::Text)
        }
    }
}

/// Structures, maps and unions, which have no PostgreSQL type here, as Arrow prints them.
fn printed(array: &ArrayRef) -> Result<Writer, SqlError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)
        .map_err(|error| SqlError::new("0A000", error.to_string()))?;
    let values: StringArray =
        (0..array.len()).map(|row| Some(formatter.value(row).to_string())).collect();
    Ok(Box::new(move |row, body| put(body, values.value(row).as_bytes())))
}

#[expect(clippy::unnecessary_wraps, reason = "the last expression of writers")]
fn put(body: &mut BytesMut, bytes: &[u8]) -> Result<(), SqlError> {
    body.put_slice(bytes);
    Ok(())
}

/// Appends formatted text.
fn print(body: &mut BytesMut, arguments: std::fmt::Arguments<'_>) -> Result<(), SqlError> {
    body.write_fmt(arguments).map_err(|_| SqlError::new("XX000", "a value could not be printed"))
}

/// `oid` and the types that name an object: a number, or in text the object's name.
fn object_id(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    if !array.data_type().is_string() {
        let array = cast(array, &DataType::UInt32)?.as_primitive::<UInt32Type>().clone();
        return Ok(match format {
            Format::Text => {
                Box::new(move |row, body| print(body, format_args!("{}", array.value(row))))
            }
            Format::Binary => Box::new(move |row, body| {
                body.put_u32(array.value(row));
                Ok(())
            }),
        });
    }
    if format == Format::Text {
        return text(array);
    }
    let names = strings(array)?;
    Ok(Box::new(move |row, body| {
        let name = names.value(row);
        let oid: u32 = if name == "-" { 0 } else { name.parse().map_err(|_| no_binary(name))? };
        body.put_u32(oid);
        Ok(())
    }))
}

fn no_binary(value: &str) -> SqlError {
    SqlError::new("0A000", format!("\"{value}\" has no binary form here"))
        .with_hint("ask for this column in text format, or cast it to text")
}

/// Any text as one kind of array.
fn strings(array: &ArrayRef) -> Result<StringArray, SqlError> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// `"char"`: one byte, in text as in binary; no text is the zero byte.
fn single_byte(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    if matches!(array.data_type(), DataType::Int8) {
        let array = array.as_primitive::<Int8Type>().clone();
        return Ok(Box::new(move |row, body| put(body, &array.value(row).to_be_bytes())));
    }
    let array = strings(array)?;
    Ok(Box::new(move |row, body| {
        match (array.value(row).as_bytes().first(), format) {
            (Some(byte), _) => body.put_u8(*byte),
            (None, Format::Binary) => body.put_u8(0),
            (None, Format::Text) => {}
        }
        Ok(())
    }))
}

fn bytea(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    let array: BinaryArray = cast(array, &DataType::Binary)?.as_binary::<i32>().clone();
    Ok(match format {
        Format::Binary => Box::new(move |row, body| put(body, array.value(row))),
        Format::Text => Box::new(move |row, body| {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            body.put_slice(b"\\x");
            for byte in array.value(row) {
                body.put_u8(DIGITS[usize::from(byte >> 4)]);
                body.put_u8(DIGITS[usize::from(byte & 0xf)]);
            }
            Ok(())
        }),
    })
}

/// A UUID the session holds as text.
fn uuid(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    if format == Format::Text {
        return text(array);
    }
    let array = strings(array)?;
    Ok(Box::new(move |row, body| {
        let value = array.value(row);
        let digits: String = value.chars().filter(|c| *c != '-').collect();
        match super::verifier::from_hex(&digits) {
            Some(bytes) if bytes.len() == 16 => put(body, &bytes),
            _ => Err(no_binary(value)),
        }
    }))
}

/// `jsonb`, whose binary form is its text after a version byte.
fn jsonb(array: &ArrayRef, format: Format) -> Result<Writer, SqlError> {
    let write = text(array)?;
    Ok(match format {
        Format::Text => write,
        Format::Binary => Box::new(move |row, body| {
            body.put_u8(1);
            write(row, body)
        }),
    })
}

/// A value as PostgreSQL prints it.
pub(super) fn scalar_text(value: &datafusion::common::ScalarValue) -> Result<String, SqlError> {
    let array = value.to_array().map_err(|error| SqlError::new("XX000", error.to_string()))?;
    let mut body = BytesMut::new();
    writer(&array, &super::types::type_of(array.data_type()), Format::Text)?(0, &mut body)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An array of NULLs, for lists without elements.
fn no_values() -> ArrayRef {
    std::sync::Arc::new(NullArray::new(0))
}

#[cfg(test)]
mod tests;
