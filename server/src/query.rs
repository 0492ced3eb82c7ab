//! Running a query text in a session of this process, for the command line and HTTP.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use protocol::error::SqlError;
use protocol::sql::session::{Outcome, Session};

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
                    let batch = batch.map_err(sql_of_stream)?;
                    left_bytes = left_bytes
                        .checked_sub(batch.get_array_memory_size())
                        .ok_or_else(too_large)?;
                    batches.push(batch);
                }
                QueryResult::Rows { schema, batches }
            }
        });
    }
    Ok(results)
}

/// The session's own error where a stream carries one.
fn sql_of_stream(error: datafusion::error::DataFusionError) -> SqlError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(found) = source {
        if let Some(sql) = found.downcast_ref::<SqlError>() {
            return sql.clone();
        }
        source = found.source();
    }
    SqlError::new("XX000", error.to_string())
}

fn too_large() -> SqlError {
    SqlError::new("54000", format!("the result has more than {QUERY_RESULT_BYTES_MAX} bytes"))
        .with_hint("ask for fewer rows, or use the Postgres wire, which streams them")
}
