//! Results as text: a table for people, CSV, JSON. Decimals keep every digit.

use std::fmt::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches_with_options;
use clap::ValueEnum;

use crate::query::QueryResult;

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// RFC 4180, lines ended by a line feed; NULL is nothing, an empty text is `""`.
    Csv,
    /// An array of objects.
    Json,
}

/// A result as text that ends with a line feed.
pub fn render(result: &QueryResult, format: Format) -> Result<String, ArrowError> {
    match (result, format) {
        (QueryResult::Done { tag }, Format::Json) => {
            Ok(format!("{}\n", serde_json::json!({ "tag": tag })))
        }
        (QueryResult::Done { tag }, _) => Ok(format!("{tag}\n")),
        (QueryResult::Rows { schema, batches }, Format::Table) => table(schema, batches),
        (QueryResult::Rows { schema, batches }, Format::Csv) => csv(schema, batches),
        (QueryResult::Rows { schema, batches }, Format::Json) => json(schema, batches),
    }
}

fn options() -> FormatOptions<'static> {
    FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
}

/// One value as text, as CSV shows it; none of NULL.
pub fn text_of(array: &dyn Array, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(None);
    }
    let options = options();
    ArrayFormatter::try_new(array, &options)?.value(row).try_to_string().map(Some)
}

fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let empty = [RecordBatch::new_empty(schema.clone())];
    let shown = if batches.is_empty() { &empty } else { batches };
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let table = pretty_format_batches_with_options(shown, &options())?;
    let noun = if rows == 1 { "row" } else { "rows" };
    Ok(format!("{table}\n({rows} {noun})\n"))
}

fn csv(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let names: Vec<String> = schema.fields().iter().map(|field| csv_field(field.name())).collect();
    let mut text = names.join(",");
    text.push('\n');
    for_each_row(batches, |columns, row| {
        for (idx, column) in columns.iter().enumerate() {
            if idx > 0 {
                text.push(',');
            }
            if column.array.is_valid(row) {
                text.push_str(&csv_field(&column.formatter.value(row).try_to_string()?));
            }
        }
        text.push('\n');
        Ok(())
    })?;
    Ok(text)
}

fn csv_field(value: &str) -> String {
    if value.is_empty() || value.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

fn json(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let names: Vec<String> = schema.fields().iter().map(|field| json_text(field.name())).collect();
    let mut text = String::from("[");
    let mut separator = "\n";
    for_each_row(batches, |columns, row| {
        text.push_str(separator);
        text.push('{');
        for (idx, (name, column)) in names.iter().zip(columns).enumerate() {
            let comma = if idx > 0 { "," } else { "" };
            write!(text, "{comma}{name}:{}", json_value(column, row)?).expect("text grows");
        }
        text.push('}');
        separator = ",\n";
        Ok(())
    })?;
    text.push_str(if separator == "\n" { "]\n" } else { "\n]\n" });
    Ok(text)
}

/// A value in JSON. Numbers are written digit by digit, so that none is lost on the way through a
/// float.
fn json_value(column: &Column<'_>, row: usize) -> Result<String, ArrowError> {
    if !column.array.is_valid(row) || column.array.data_type() == &DataType::Null {
        return Ok("null".to_owned());
    }
    let value = column.formatter.value(row).try_to_string()?;
    Ok(match column.array.data_type() {
        DataType::Boolean => value,
        kind if kind.is_integer() || kind.is_decimal() => value,
        // JSON has no NaN and no infinity.
        kind if kind.is_floating() && value.parse().is_ok_and(f64::is_finite) => value,
        _ => json_text(&value),
    })
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A column of a batch with what prints it.
struct Column<'a> {
    array: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
}

fn for_each_row(
    batches: &[RecordBatch],
    mut visit: impl FnMut(&[Column<'_>], usize) -> Result<(), ArrowError>,
) -> Result<(), ArrowError> {
    let options = options();
    for batch in batches {
        let column = |array| -> Result<Column<'_>, ArrowError> {
            let formatter = ArrayFormatter::try_new(array, &options)?;
            Ok(Column { array, formatter })
        };
        let columns = batch
            .columns()
            .iter()
            .map(|array| column(array.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        (0..batch.num_rows()).try_for_each(|row| visit(&columns, row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Date32Array, Decimal128Array, Float64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    fn example() -> QueryResult {
        let amounts = Decimal128Array::from(vec![Some(123_456_789_012_345_678), None]);
        let columns: Vec<(&str, Arc<dyn Array>)> = vec![
            ("name", Arc::new(StringArray::from(vec![Some("a \"b\", c"), Some("")]))),
            ("amount", Arc::new(amounts.with_precision_and_scale(18, 2).unwrap())),
            ("day", Arc::new(Date32Array::from(vec![Some(0), None]))),
            ("open", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("rate", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
        ];
        let fields =
            columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
        QueryResult::Rows { schema, batches: vec![batch] }
    }

    fn check(format: Format, expected: &str) {
        assert_eq!(render(&example(), format).unwrap(), expected);
    }

    #[test]
    fn every_format_keeps_digits_and_blanks() {
        check(
            Format::Csv,
            "name,amount,day,open,rate\n\
             \"a \"\"b\"\", c\",1234567890123456.78,1970-01-01,true,0.5\n\
             \"\",,,,NaN\n",
        );
        check(
            Format::Json,
            "[\n{\"name\":\"a \\\"b\\\", c\",\"amount\":1234567890123456.78,\
             \"day\":\"1970-01-01\",\"open\":true,\"rate\":0.5},\n\
             {\"name\":\"\",\"amount\":null,\"day\":null,\"open\":null,\"rate\":\"NaN\"}\n]\n",
        );
        let table = render(&example(), Format::Table).unwrap();
        assert!(table.contains("| 1234567890123456.78 |") && table.ends_with("(2 rows)\n"));
    }

    #[test]
    fn no_rows_and_tags() {
        let QueryResult::Rows { schema, .. } = example() else { unreachable!() };
        let none = QueryResult::Rows { schema, batches: Vec::new() };
        assert_eq!(render(&none, Format::Json).unwrap(), "[]\n");
        assert_eq!(render(&none, Format::Csv).unwrap(), "name,amount,day,open,rate\n");
        let done = QueryResult::Done { tag: "UPDATE 3".into() };
        assert_eq!(render(&done, Format::Table).unwrap(), "UPDATE 3\n");
    }
}
