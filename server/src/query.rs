//! Running a query text in a session of this process, for the command line and HTTP.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use futures::StreamExt;
use protocol::error::SqlError;
use protocol::sql::session::{DISPLAY_SCALE_METADATA, Outcome, Session};
use protocol::sql::sqlstate::from_engine;

use crate::limits::QUERY_RESULT_BYTES_MAX;

/// What one statement gave.
#[derive(Debug, Clone)]
pub enum QueryResult {
    /// Rows.
    Rows {
        /// The columns.
        schema: SchemaRef,
        /// The rows.
        batches: Vec<RecordBatch>,
    },
    /// No rows: the command tag (`UPDATE 3`).
    Done {
        /// The tag.
        tag: String,
    },
}

/// Runs all statements of a text, in order; the first error ends it.
pub async fn run(session: &mut dyn Session, text: &str) -> Result<Vec<QueryResult>, SqlError> {
    let mut results = Vec::new();
    let mut left_bytes = QUERY_RESULT_BYTES_MAX;
    for statement in session.parse(text)? {
        let prepared = session.prepare(statement, &[]).await?;
        if !prepared.parameters.is_empty() {
            return Err(SqlError::new("08P01", "the statement has parameters without values"));
        }
        results.push(match session.execute(&prepared, Vec::new()).await? {
            Outcome::Done { tag } => QueryResult::Done { tag },
            Outcome::Rows { mut stream, .. } => {
                let (schema, mut batches) = (stream.schema(), Vec::new());
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(|error| from_engine(&error, text))?;
                    left_bytes = left_bytes
                        .checked_sub(batch.get_array_memory_size())
                        .ok_or_else(too_large)?;
                    batches.push(batch);
                }
                without_spare_zeros(&schema, batches)
                    .map_err(|error| SqlError::new("XX000", error.to_string()))?
            }
        });
    }
    Ok(results)
}

/// The rows with totals at the scale that their values need, where their type has room for weights.
fn without_spare_zeros(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<QueryResult, ArrowError> {
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    let mut columns: Vec<Vec<ArrayRef>> = batches.iter().map(|b| b.columns().to_vec()).collect();
    for (idx, field) in fields.iter_mut().enumerate() {
        let shown = field.metadata().get(DISPLAY_SCALE_METADATA).and_then(|s| s.parse().ok());
        let (Some(shown), &DataType::Decimal128(_, scale)) = (shown, field.data_type()) else {
            continue;
        };
        let arrays = columns.iter().map(|columns| columns[idx].as_primitive::<Decimal128Type>());
        let needed = arrays.flat_map(|array| array.iter().flatten());
        let needed = needed.map(|value| scale_of(value, scale)).max().unwrap_or(0).max(shown);
        let narrow = DataType::Decimal128(38, needed.min(scale));
        for columns in &mut columns {
            columns[idx] = cast(&columns[idx], &narrow)?;
        }
        *field = Arc::new(field.as_ref().clone().with_data_type(narrow));
    }
    let schema = Arc::new(Schema::new(fields));
    let rebuilt = batches.iter().zip(columns).map(|(batch, columns)| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
    });
    Ok(QueryResult::Rows { batches: rebuilt.collect::<Result<_, _>>()?, schema })
}

/// Digits after the point of a value without zeros at the end.
fn scale_of(mut value: i128, mut scale: i8) -> i8 {
    while scale > 0 && value % 10 == 0 {
        value /= 10;
        scale -= 1;
    }
    scale
}

fn too_large() -> SqlError {
    SqlError::new("54000", format!("the result has more than {QUERY_RESULT_BYTES_MAX} bytes"))
        .with_hint("ask for fewer rows, or use the Postgres wire, which streams them")
}
