//! Numbers and days that a file holds as such and not as texts.

use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type};
use cube::value::date_of_days;

use super::block::Span;
use super::parquet::texts;

/// A column of some rows.
#[derive(Debug)]
pub(super) struct Numbers {
    column: ArrayRef,
    integers: Vec<i64>,
    nulls: Option<NullBuffer>,
    /// What the integers count.
    pub unit: Unit,
    /// The texts that the equal CSV would hold, once they were asked for.
    texts: OnceLock<(String, Vec<Span>)>,
}

/// What an integer of a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Units of the last of so many places after the point.
    Decimal(u32),
    /// Days since 1970-01-01.
    Days,
}

impl Numbers {
    /// The numbers of a column; none where it holds something else, or one that does not fit.
    pub fn of(column: &ArrayRef) -> Option<Self> {
        let (integers, unit) = match column.data_type() {
            DataType::Date32 => {
                let days = column.as_primitive::<Date32Type>();
                // a day that has no text is an error of the file
                let ends = [min(days), max(days)];
                if ends.into_iter().flatten().any(|day| date_of_days(day).is_none()) {
                    return None;
                }
                (days.values().iter().map(|&day| day.into()).collect(), Unit::Days)
            }
            DataType::Decimal128(_, scale) => {
                let mantissas = column.as_primitive::<Decimal128Type>().values().iter();
                let narrow = mantissas.map(|&mantissa| i64::try_from(mantissa).ok());
                (narrow.collect::<Option<_>>()?, Unit::Decimal(u32::try_from(*scale).ok()?))
            }
            other if other.is_integer() => {
                let wide = cast(column, &DataType::Int64).ok()?;
                if wide.null_count() != column.null_count() {
                    return None;
                }
                (wide.as_primitive::<Int64Type>().values().to_vec(), Unit::Decimal(0))
            }
            _ => return None,
        };
        let (nulls, texts) = (column.logical_nulls(), OnceLock::new());
        Some(Self { column: column.clone(), integers, nulls, unit, texts })
    }

    /// The number in a row; none where it is null.
    pub fn get(&self, row: usize) -> Option<i64> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!is_null).then(|| self.integers[row])
    }

    /// The text of a row; empty where it is null.
    pub fn text(&self, row: usize) -> &str {
        let (text, spans) = self.texts.get_or_init(|| {
            let mut text = String::new();
            let spans = texts(&self.column, &mut text);
            (text, spans.expect("the numbers of a block are short"))
        });
        let Span { start, length } = spans[row];
        &text[start as usize..][..length as usize]
    }
}
