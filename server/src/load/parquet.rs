//! Parquet: the columns that are used, as the texts that the equal CSV would hold.
//!
//! Rows are numbered as in that CSV: the first one is row 2, behind a header. What a CSV would not
//! hold exactly is said by the [`Kind`] of a column, before any row is read.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, RecordBatch, downcast_integer_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use foldhash::fast::RandomState;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::block::{Block, Selected, Span};
use super::file::LoadFile;
use super::numbers::Numbers;
use super::table::{Header, Kind, TableError};
use crate::limits::{LOAD_BLOCK_FIELDS, LOAD_BLOCK_ROWS_MAX};
use protocol::pools::panic_text;

/// How every such file begins and ends.
const MAGIC: &[u8] = b"PAR1";
/// The row behind the header that the equal CSV has.
const FIRST_ROW: usize = 2;
/// Time zones are offsets from the moment, which is what the file holds.
const UTC: &str = "+00:00";

/// How values look that have no other form here.
const FORMAT: FormatOptions<'_> = FormatOptions::new().with_display_error(false);

/// Reads a file from the first row group to the last.
pub(super) struct ParquetReader {
    file: LoadFile,
    metadata: ArrowReaderMetadata,
    rows: Option<ParquetRecordBatchReader>,
    rows_read: usize,
}

/// Rows in columns, those that were selected.
pub(super) struct Rows {
    batch: RecordBatch,
    first_row: usize,
}

impl std::fmt::Debug for ParquetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetReader").field("file", &self.file.name).finish_non_exhaustive()
    }
}

impl ParquetReader {
    /// Whether a file is Parquet, or is meant to be.
    pub fn reads(file: &LoadFile) -> Result<bool, TableError> {
        let length = MAGIC.len().min(file.bytes() as usize);
        let start = file.read_at(0, length).map_err(TableError::new)?;
        Ok(start == MAGIC || file.name.to_lowercase().ends_with(".parquet"))
    }

    /// Reads what the file says of itself.
    pub fn open(file: LoadFile) -> Result<(Self, Header), TableError> {
        // the Arrow types that some writers note beside are about their memory, not about the values
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let load = || ArrowReaderMetadata::load(&file, options);
        // the library panics on some damaged files: an error of the file as any other is
        let loaded = catch_unwind(AssertUnwindSafe(load))
            .unwrap_or_else(|panic| Err(ParquetError::General(panic_text(panic))));
        let metadata = loaded.map_err(|error| {
            TableError::new(format!("it is no complete Parquet file: {}", said(&error)))
                .with_hint("it may be cut off; write it again, or load it as CSV")
        })?;
        let header = header(metadata.schema());
        Ok((Self { file, metadata, rows: None, rows_read: 0 }, header))
    }

    /// Begins to read some columns.
    pub fn select(&mut self, selected: &Selected) -> Result<(), TableError> {
        let roots: Vec<usize> = selected.positions().collect();
        let rows = LOAD_BLOCK_FIELDS / roots.len().max(1);
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.clone(),
            self.metadata.clone(),
        );
        let builder =
            builder.with_projection(mask).with_batch_size(rows.clamp(1, LOAD_BLOCK_ROWS_MAX));
        self.rows = Some(builder.build().map_err(|error| self.damaged(said(&error)))?);
        Ok(())
    }

    /// How many rows were read, and how many there are.
    pub fn rows_read(&self) -> (u64, u64) {
        (self.rows_read as u64, self.row_count() as u64)
    }

    fn row_count(&self) -> usize {
        usize::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// The next rows; none at the end.
    pub fn next(&mut self) -> Result<Option<Rows>, TableError> {
        match self.next_batch()? {
            Some(batch) => {
                let first_row = FIRST_ROW + self.rows_read;
                self.rows_read += batch.num_rows();
                Ok(Some(Rows { batch, first_row }))
            }
            None if self.rows_read != self.row_count() => {
                let (found, said) = (self.rows_read, self.row_count());
                Err(self.damaged(format!("{found} rows were found where it says {said}")))
            }
            None => Ok(None),
        }
    }

    /// The library panics on some damaged files. That is an error of the file as any other is, and the
    /// reader, in whatever state it is, is not used again.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let Some(mut rows) = self.rows.take() else { return Ok(None) };
        let read = catch_unwind(AssertUnwindSafe(|| (rows.next(), rows)));
        match read.map_err(|panic| self.damaged(panic_text(panic)))? {
            (None, _) => Ok(None),
            (Some(Err(error)), _) => Err(self.damaged(error.to_string())),
            (Some(Ok(batch)), rows) => {
                self.rows = Some(rows);
                Ok(Some(batch))
            }
        }
    }

    fn damaged(&self, error: String) -> TableError {
        let row = FIRST_ROW + self.rows_read;
        TableError::new(format!("it cannot be read from row {row} on: {error}"))
            .with_hint("it may be damaged or cut off; write it again")
    }
}

/// An error in its own words.
fn said(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::NYI(text) | ParquetError::EOF(text) => {
            text.clone()
        }
        other => other.to_string(),
    }
}

fn header(schema: &Schema) -> Header {
    let fields = schema.fields().iter();
    let (names, kinds) = fields.map(|f| (f.name().clone(), kind(f.data_type()))).unzip();
    Header { names, kinds }
}

/// What may be read from a column of a type.
fn kind(data_type: &DataType) -> Kind {
    let no_value = |what: &str| Kind::NoValue(what.into());
    match data_type {
        DataType::Dictionary(_, values) => kind(values),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Kind::Float(data_type.to_string().to_lowercase())
        }
        DataType::Struct(_) => no_value("structs"),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            no_value("lists")
        }
        DataType::Map(..) => no_value("maps"),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            no_value("bytes that are not said to be text")
        }
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Kind::Exact,
        other if other.is_integer() => Kind::Exact,
        other => no_value(&other.to_string()),
    }
}

impl Rows {
    /// Memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.batch.get_array_memory_size()
    }

    /// The rows as texts.
    pub fn read(self, selected: &Arc<Selected>) -> Result<Block, TableError> {
        let numbers = (self.first_row..self.first_row + self.batch.num_rows()).collect();
        let mut block = Block::of_rows(Arc::clone(selected), numbers);
        let mut text = String::new();
        let numbers: Vec<_> = self.batch.columns().iter().map(Numbers::of).collect();
        for (place, column) in self.batch.columns().iter().enumerate() {
            if numbers[place].is_some() {
                continue;
            }
            let spans = texts(column, &mut text).map_err(|error| {
                let name = self.batch.schema_ref().field(place).name().clone();
                let (first, last) = (self.first_row, self.first_row + self.batch.num_rows() - 1);
                TableError::new(format!("rows {first} to {last}, {name}: {error}"))
            })?;
            block.fill(place, spans.into_iter());
        }
        Ok(block.with_text(text).with_numbers(numbers))
    }
}

/// Appends the texts of a column; null is an empty one.
pub(super) fn texts(column: &ArrayRef, text: &mut String) -> Result<Vec<Span>, ArrowError> {
    let column = match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            &cast(column, &DataType::Timestamp(*unit, Some(UTC.into())))?
        }
        _ => column,
    };
    // most columns are of these types, which the general formatter takes several times as long for
    downcast_integer_array!(
        column => {
            let mut digits = itoa::Buffer::new();
            spans(column, text, |row, text| {
                text.push_str(digits.format(column.value(row)));
                Ok(())
            })
        },
        DataType::Utf8 => {
            let strings = column.as_string::<i32>();
            spans(column, text, |row, text| {
                text.push_str(strings.value(row));
                Ok(())
            })
        },
        DataType::Decimal128(_, scale @ 0..) => {
            let (decimals, scale) = (column.as_primitive::<Decimal128Type>(), *scale as usize);
            let mut digits = itoa::Buffer::new();
            spans(column, text, |row, text| {
                let value = decimals.value(row);
                text.push_str(if value < 0 { "-" } else { "" });
                push_scaled(digits.format(value.unsigned_abs()), scale, text);
                Ok(())
            })
        },
        DataType::Date32 => days(column.as_primitive(), text),
        _ => {
            let formatter = ArrayFormatter::try_new(column, &FORMAT)?;
            spans(column, text, |row, text| formatter.value(row).write(text))
        }
    )
}

/// Appends a text for each row that has a value.
fn spans(
    column: &dyn Array,
    text: &mut String,
    mut push: impl FnMut(usize, &mut String) -> Result<(), ArrowError>,
) -> Result<Vec<Span>, ArrowError> {
    let mut spans = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        let start = text.len();
        if column.is_valid(row) {
            push(row, text)?;
        }
        spans.push(span(start, text.len())?);
    }
    Ok(spans)
}

/// Appends each different day once.
fn days(column: &Date32Array, text: &mut String) -> Result<Vec<Span>, ArrowError> {
    let formatter = ArrayFormatter::try_new(column, &FORMAT)?;
    let mut known: HashMap<i32, Span, RandomState> = HashMap::default();
    let mut spans = Vec::with_capacity(column.len());
    for (row, day) in column.iter().enumerate() {
        let Some(day) = day else {
            spans.push(Span::default());
            continue;
        };
        if let Some(known) = known.get(&day) {
            spans.push(*known);
            continue;
        }
        let start = text.len();
        formatter.value(row).write(text)?;
        let new = span(start, text.len())?;
        known.insert(day, new);
        spans.push(new);
    }
    Ok(spans)
}

/// Appends digits of which some stand behind the point.
fn push_scaled(digits: &str, scale: usize, text: &mut String) {
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        text.push('.');
        text.extend(std::iter::repeat_n('0', scale - fraction.len()));
        text.push_str(fraction);
    }
}

fn span(start: usize, end: usize) -> Result<Span, ArrowError> {
    let (start, length) = (u32::try_from(start), u32::try_from(end - start));
    match (start, length) {
        (Ok(start), Ok(length)) => Ok(Span { start, length }),
        _ => Err(ArrowError::MemoryError("the texts are too long".into())),
    }
}
