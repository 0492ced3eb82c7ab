//! What a session gives back: streams that stop when interrupted, with PostgreSQL's column names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cube::view::Interrupt;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::{
    RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter,
};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast::{Ident, SelectItem, SetExpr, Statement};
use futures::{StreamExt, stream};
use tokio::sync::Notify;

use super::ready::cube_exec;
use super::{SessionOptions, branch};
use crate::error::SqlError;
use crate::pools;
use crate::sql::catalog::{Catalog, SessionValues, SettingScope};
use crate::sql::execution::CubeExec;
use crate::sql::settings::{Settings, path_of};
use crate::sql::tenant_catalog::CurrentScope;

/// Stops the statement that a session runs, from another task.
#[derive(Clone, Default)]
pub(super) struct Interruption {
    flag: Interrupt,
    notify: Arc<Notify>,
    timed_out: Arc<AtomicBool>,
}

/// Lives as long as a statement; its time-out ends with it.
pub(super) struct StatementEnd {
    interruption: Interruption,
    timer: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for StatementEnd {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl Interruption {
    /// The flag that the cube looks at.
    pub fn flag(&self) -> Interrupt {
        self.flag.clone()
    }

    /// Stops what runs.
    pub fn handle(&self) -> Arc<dyn Fn() + Send + Sync> {
        let this = self.clone();
        Arc::new(move || this.raise())
    }

    fn raise(&self) {
        self.flag.raise();
        self.notify.notify_waiters();
    }

    /// A new statement begins; an interruption of the last one is forgotten.
    pub fn begin(&self, timeout_ms: Option<u64>) -> StatementEnd {
        self.flag.reset();
        self.timed_out.store(false, Ordering::Relaxed);
        let timer = timeout_ms.map(|ms| {
            let this = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                this.timed_out.store(true, Ordering::Relaxed);
                this.raise();
            })
        });
        StatementEnd { interruption: self.clone(), timer }
    }

    /// The result of some work, or 57014 as soon as the statement is stopped.
    pub async fn race<T>(&self, work: impl Future<Output = T>) -> Result<T, SqlError> {
        let stopped = self.notify.notified();
        tokio::pin!(stopped);
        stopped.as_mut().enable();
        if self.flag.check().is_err() {
            return Err(self.error());
        }
        tokio::select! {
            result = work => Ok(result),
            () = stopped => Err(self.error()),
        }
    }

    fn error(&self) -> SqlError {
        let reason = if self.timed_out.load(Ordering::Relaxed) {
            "statement timeout"
        } else {
            "user request"
        };
        SqlError::new("57014", format!("canceling statement due to {reason}"))
    }
}

/// Batches that are made before somebody takes them.
const BATCHES_AHEAD: usize = 2;

/// Begins to run a plan. What is not quick runs on other threads: an operator may work on for a while before it looks
/// up (a join that takes in its first side, say), and who stops the statement, or has another one, does not wait for it.
pub(super) fn begun(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let Some(operators) = pools::operators().filter(|_| !is_quick(&plan)) else {
        return execute_stream(plan, context);
    };
    let mut task = RecordBatchReceiverStreamBuilder::new(plan.schema(), BATCHES_AHEAD);
    let output = task.tx();
    let run = async move {
        let mut stream = execute_stream(plan, context)?;
        while let Some(batch) = stream.next().await {
            let goes_on = batch.is_ok();
            if output.send(batch).await.is_err() || !goes_on {
                break;
            }
        }
        Ok(())
    };
    task.spawn_on(run, operators);
    Ok(task.build())
}

/// Whether all that a plan reads of cubes is read quickly, and then it is little.
fn is_quick(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => cube_exec(plan).is_some_and(CubeExec::is_quick),
        [child] => is_quick(child),
        _ => false,
    }
}

/// A stream that stops when the statement is stopped, and has the columns that were announced.
pub(super) fn guarded(
    stream: SendableRecordBatchStream,
    columns: SchemaRef,
    end: StatementEnd,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&columns);
    let batches = stream::unfold(Some((stream, end)), move |state| {
        let columns = Arc::clone(&columns);
        async move {
            let (mut stream, end) = state?;
            let next = end.interruption.race(stream.next()).await;
            match next {
                Err(error) => Some((Err(DataFusionError::from(error)), None)),
                Ok(None) => None,
                Ok(Some(Err(error))) if end.interruption.flag.check().is_err() => {
                    drop(error);
                    Some((Err(DataFusionError::from(end.interruption.error())), None))
                }
                Ok(Some(batch)) => {
                    let failed = batch.is_err();
                    let batch = batch.and_then(|batch| with_schema(&batch, &columns));
                    Some((batch, (!failed).then_some((stream, end))))
                }
            }
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let actual = batch.schema();
    let fields = schema.fields().iter().zip(actual.fields());
    // what was announced by the plan holds for names; types are those that came
    let fields: Vec<Field> = fields
        .map(|(announced, actual)| {
            announced
                .as_ref()
                .clone()
                .with_data_type(actual.data_type().clone())
                .with_nullable(true)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}

/// A plan's columns under PostgreSQL's names.
pub(super) fn renamed(schema: &Schema, names: Option<&[String]>) -> SchemaRef {
    let rename = |(idx, field): (usize, &Arc<Field>)| {
        let name = names
            .filter(|names| names.len() == schema.fields().len())
            .map(|names| names[idx].clone());
        field.as_ref().clone().with_name(name.unwrap_or_else(|| field.name().clone()))
    };
    Arc::new(Schema::new(schema.fields().iter().enumerate().map(rename).collect::<Vec<_>>()))
}

/// Gives columns of a query that PostgreSQL would call by one name names of their own; the client
/// sees PostgreSQL's names all the same.
pub(super) fn name_apart(statement: &mut Statement, names: Option<&[String]>) {
    let (Statement::Query(query), Some(names)) = (statement, names) else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if select.projection.len() != names.len() {
        return;
    }
    for (idx, item) in select.projection.iter_mut().enumerate() {
        if !names[..idx].contains(&names[idx]) {
            continue;
        }
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let alias = Ident::with_quote('"', format!("{} {}", names[idx], idx + 1));
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
}

/// The column of EXPLAIN.
pub(super) fn explain_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)]))
}

/// Rows of one text column.
pub(super) fn rows_of_text(
    schema: SchemaRef,
    rows: Vec<String>,
) -> Result<SendableRecordBatchStream, SqlError> {
    let column = Arc::new(StringArray::from(rows));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])
        .map_err(|error| SqlError::new("XX000", error.to_string()))?;
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]))))
}

/// What the catalog's functions ask of the session.
pub(super) struct Values {
    pub scope: CurrentScope,
    pub settings: Arc<Mutex<Settings>>,
    pub options: SessionOptions,
}

impl SessionValues for Values {
    fn catalog(&self) -> Arc<Catalog> {
        // a scope is entered when the session opens, before any statement
        self.scope.get().expect("a session has a scope").catalog()
    }

    fn search_path(&self) -> Vec<String> {
        self.scope.get().map_or_else(Vec::new, |scope| vec![scope.current.schema().to_owned()])
    }

    fn backend_pid(&self) -> i32 {
        self.options.backend_pid
    }

    fn set_setting(&self, name: &str, value: &str, _scope: SettingScope) -> Result<String> {
        if let Some(scope) = self.scope.get()
            && name.eq_ignore_ascii_case("search_path")
        {
            branch::current(&path_of(value), &scope.point.branches)?;
        }
        let mut settings = self.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        settings.set(name, value).map_err(DataFusionError::from)?;
        settings.get(name).map_err(DataFusionError::from)
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).ok()
    }

    fn started_at_us(&self) -> i64 {
        self.options.server_started_us
    }
}
