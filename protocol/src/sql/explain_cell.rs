//! `perfos.explain_cell('cube.measure[...]')`: the derivation of a cell as rows, a node a row.
//!
//! The cell is one of the session's branch. A node stands before what it is made of; `path` orders
//! and nests them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::tenant_catalog::{CurrentScope, Scope};
use crate::error::SqlError;
use crate::explain::{ExplainOptions, Explained, TOP_MAX, explain};

/// Its name in the schema `perfos`.
pub const EXPLAIN_CELL: &str = "explain_cell";

/// The table function.
#[derive(Debug)]
pub struct ExplainCell {
    scope: CurrentScope,
}

impl ExplainCell {
    /// The function of a session.
    pub fn new(scope: CurrentScope) -> Self {
        Self { scope }
    }
}

impl TableFunctionImpl for ExplainCell {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let Some(scope) = self.scope.get() else {
            return Err(SqlError::new("XX000", "there is no session").into());
        };
        let (cell, options) = read_arguments(arguments.exprs())?;
        Ok(Arc::new(Explanation { scope, cell, options }))
    }
}

/// The cell's text, then how many contributors are shown and which page of them.
fn read_arguments(arguments: &[Expr]) -> Result<(String, ExplainOptions), SqlError> {
    let wrong = || {
        SqlError::new("42883", "explain_cell takes the name of a cell, as a literal")
            .with_hint("explain_cell('cube.measure[dimension=member, ...]' [, top [, page]])")
    };
    let text = match arguments.first() {
        Some(Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            _,
        )) => text.clone(),
        _ => return Err(wrong()),
    };
    let mut options = ExplainOptions::default();
    let number = |argument: &Expr| match argument {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => {
            usize::try_from(*number).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    };
    if let Some(argument) = arguments.get(1) {
        options.top = number(argument)?.min(TOP_MAX);
    }
    if let Some(argument) = arguments.get(2) {
        options.page = number(argument)?;
    }
    if arguments.len() > 3 { Err(wrong()) } else { Ok((text, options)) }
}

/// The rows of one explanation; derived when they are read.
struct Explanation {
    scope: Arc<Scope>,
    cell: String,
    options: ExplainOptions,
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Explanation({})", self.cell)
    }
}

#[async_trait]
impl TableProvider for Explanation {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scope = self.scope.as_ref();
        let snapshot = scope.snapshot_of(&scope.current);
        let explained = explain(scope.tenant.as_ref(), &snapshot, &self.cell, self.options).await;
        // the position is one in the cell's name, not in the statement
        let explained = explained.map_err(|error| SqlError { position: None, ..error })?;
        let batch = batch(&explained)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        table.scan(state, projection, filters, limit).await
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("depth", DataType::Int32, false),
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        text("formula"),
        text("place"),
        text("value"),
        text("note"),
        Field::new("sequence", DataType::Int64, true),
        text("author"),
        Field::new("time", time, true),
        text("origin"),
        text("file"),
        Field::new("source_row", DataType::Int64, true),
        Field::new("more", DataType::Int64, false),
    ]))
}

/// A node with its place in the tree.
struct Line<'a> {
    depth: i32,
    path: String,
    explained: &'a Explained,
}

/// All nodes, each before its children. Numbers in a path have as many digits as the widest of
/// their siblings, so that paths sort as texts.
fn lines<'a>(explained: &'a Explained, depth: i32, path: &str, lines: &mut Vec<Line<'a>>) {
    lines.push(Line { depth, path: path.to_owned(), explained });
    let width = explained.children.len().to_string().len();
    for (number, child) in (1..).zip(&explained.children) {
        self::lines(child, depth + 1, &format!("{path}.{number:0width$}"), lines);
    }
}

fn batch(explained: &Explained) -> Result<RecordBatch> {
    let mut nodes = Vec::new();
    lines(explained, 0, "1", &mut nodes);
    let text = |of: &dyn Fn(&Explained) -> Option<String>| -> ArrayRef {
        Arc::new(nodes.iter().map(|line| of(line.explained)).collect::<StringArray>())
    };
    let number = |of: &dyn Fn(&Explained) -> Option<u64>| -> ArrayRef {
        let numbers = nodes.iter().map(|line| of(line.explained));
        Arc::new(numbers.map(|n| n.and_then(|n| i64::try_from(n).ok())).collect::<Int64Array>())
    };
    let write = |explained: &Explained| explained.writes.first().cloned();
    let times = nodes.iter().map(|line| write(line.explained).map(|write| write.time_us));
    let times: TimestampMicrosecondArray = times.collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(nodes.iter().map(|line| Some(line.depth)).collect::<Int32Array>()),
        Arc::new(nodes.iter().map(|line| Some(line.path.as_str())).collect::<StringArray>()),
        text(&|explained| Some(explained.node.label.clone())),
        text(&|explained| Some(explained.node.kind.clone())),
        text(&|explained| explained.node.formula.clone()),
        text(&Explained::place_in_words),
        text(&|explained| explained.node.value.clone()),
        text(&|explained| explained.node.note.clone()),
        number(&|explained| write(explained).map(|write| write.sequence)),
        text(&|explained| write(explained).map(|write| write.author)),
        Arc::new(times.with_timezone("+00:00")),
        text(&|explained| write(explained).map(|write| write.origin)),
        text(&|explained| write(explained).and_then(|write| write.file)),
        number(&|explained| write(explained).and_then(|write| write.source_row)),
        number(&|explained| Some(explained.node.more as u64)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
