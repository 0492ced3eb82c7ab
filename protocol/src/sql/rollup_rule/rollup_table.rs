//! A rollup as a table: one column a grouping, one an output.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use calc::{Measured, Query, run, source};
use cube::CubeError;
use cube::dictionary::Dictionary;
use cube::number::{Number, Rounding};
use cube::rollup::{Arithmetic, Axis, Covering, Distinct, RollupColumn, Selection};
use cube::segment::{RowSet, SegmentView};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::SqlError;
use crate::sql::aggregates::keys_of;
use crate::sql::execution::{CubeExec, Producer, Source};
use crate::sql::filter::Predicates;
use crate::sql::table::{CubeTable, external};
use crate::tenant::Snapshot;

/// Cells of an aggregate that take less time to add up than to hand the work on.
const QUICK_CELLS: u64 = 16_384;

/// One output and the type of its column.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    pub output: Measured,
    pub data_type: DataType,
}

/// A rollup that is run when the table is scanned.
#[derive(Clone)]
pub struct RollupTable {
    pub description: String,
    pub table: Arc<CubeTable>,
    pub schema: SchemaRef,
    pub axes: Vec<Axis>,
    /// Per axis, the value of each code.
    pub values: Vec<ArrayRef>,
    pub predicates: Arc<Predicates>,
    pub outputs: Vec<OutputColumn>,
    /// What sums of computed values add up.
    pub computed: Vec<Arithmetic>,
    /// What is counted once each.
    pub distinct: Vec<Distinct>,
}

impl fmt::Debug for RollupTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl RollupTable {
    /// What is asked of the cube for some outputs, by position.
    fn query<'a>(&self, wanted: &[usize], selection: Option<&'a Selection<'a>>) -> Query<'a> {
        Query {
            cube: self.table.cube,
            axes: self.axes.clone(),
            filters: self.predicates.filters.clone(),
            ranges: self.predicates.ranges.clone(),
            computed: self.computed.clone(),
            distinct: self.distinct.clone(),
            selection,
            outputs: wanted.iter().map(|&output| self.outputs[output].output).collect(),
        }
    }

    /// The outputs among some columns, by position.
    fn outputs_of(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().filter_map(|column| column.checked_sub(self.axes.len())).collect()
    }

    /// The aggregate that would answer now; none where rows are scanned.
    fn covering(&self, columns: &[usize]) -> Option<Covering> {
        if !self.predicates.residual.is_empty() {
            return None;
        }
        let Snapshot { view, plan, .. } = &self.table.snapshot;
        source(view, plan, &self.query(&self.outputs_of(columns), None)).ok()?
    }

    /// Runs the rollup for the columns that are wanted; says whether it was quick.
    fn compute(&self, columns: &[usize]) -> Result<(RecordBatch, bool)> {
        let axis_count = self.axes.len();
        let wanted = self.outputs_of(columns);
        // an error of a predicate cannot pass through the cube: it is kept here meanwhile
        let failure: Mutex<Option<DataFusionError>> = Mutex::new(None);
        let select = |view: &SegmentView, rows: RowSet| {
            let rows = rows.iter().map(|row| row as u32).collect();
            let kept = self.predicates.residual_rows(&self.table, &view.segment, rows);
            kept.map(RowSet::of_list).map_err(|error| {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                CubeError::Interrupted
            })
        };
        let is_whole = self.predicates.residual.is_empty();
        let query = self.query(&wanted, (!is_whole).then_some(&select as &Selection<'_>));
        let snapshot = &self.table.snapshot;
        let result = run(&snapshot.view, &snapshot.plan, &query);
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let result = result.map_err(external)?;
        let array = |&column: &usize| match column.checked_sub(axis_count) {
            None => {
                let codes = UInt32Array::from(result.codes[column].clone());
                Ok(take(&self.values[column], &codes, None)?)
            }
            Some(output) => {
                let at = wanted.iter().position(|&w| w == output).unwrap_or_default();
                let texts = &snapshot.view.version.texts;
                output_array(&result.columns[at], &self.outputs[output].data_type, texts)
            }
        };
        let arrays = columns.iter().map(array).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(self.schema.project(columns)?);
        let options = RecordBatchOptions::new().with_row_count(Some(result.group_count));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        Ok((batch, is_quick(result.cells)))
    }
}

/// Whether an answer from so many cells of an aggregate, if from one, takes no time to speak of.
fn is_quick(cells: Option<u64>) -> bool {
    cells.is_some_and(|cells| cells <= QUICK_CELLS)
}

/// A rollup's values in the type that the aggregation has.
fn output_array(
    column: &RollupColumn,
    data_type: &DataType,
    texts: &Dictionary,
) -> Result<ArrayRef> {
    match data_type {
        DataType::Decimal128(precision, scale) => {
            let scale = u32::try_from(*scale).unwrap_or(0);
            let rescale = |value: i128| {
                let number = Number::new(value, column.scale);
                let rescaled = number.rescaled(scale, Rounding::HalfEven)?;
                if Number::new(rescaled, scale).normalized() != number.normalized() {
                    return Err(CubeError::Overflow(format!(
                        "the total {number} has more digits after the point than the {scale} of sum(); measure() keeps them"
                    )));
                }
                Ok(rescaled)
            };
            let values = column.values.iter().map(|value| value.map(rescale).transpose());
            let array = values.collect::<Result<Decimal128Array, CubeError>>().map_err(external)?;
            let array = array.with_data_type(data_type.clone());
            array.validate_decimal_precision(*precision).map_err(|error| {
                external(SqlError::new("22003", format!("a total does not fit its type: {error}")))
            })?;
            Ok(Arc::new(array))
        }
        DataType::Int64 => {
            let narrow = |value: i128| {
                i64::try_from(value)
                    .map_err(|_| CubeError::Overflow(format!("{value} does not fit bigint")))
            };
            let values = column.values.iter().map(|value| value.map(narrow).transpose());
            Ok(Arc::new(values.collect::<Result<Int64Array, CubeError>>().map_err(external)?))
        }
        DataType::Date32 => {
            let day = |value: i128| {
                i32::try_from(value).map_err(|_| CubeError::Overflow(format!("{value} is no day")))
            };
            let values = column.values.iter().map(|value| value.map(day).transpose());
            Ok(Arc::new(values.collect::<Result<Date32Array, CubeError>>().map_err(external)?))
        }
        DataType::Boolean => {
            let values = column.values.iter().map(|value| value.map(|value| value != 0));
            Ok(Arc::new(values.collect::<BooleanArray>()))
        }
        DataType::Utf8 => {
            let text = |code: i128| i64::try_from(code).map_or("", |code| texts.text(code));
            let values = column.values.iter().map(|value| value.map(text));
            Ok(Arc::new(values.collect::<StringArray>()))
        }
        other => Err(DataFusionError::Internal(format!("a rollup has no column of type {other}"))),
    }
}

#[async_trait]
impl TableProvider for RollupTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns =
            projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let source =
            RollupSource { rollup: Arc::new(self.clone()), columns, quick: Arc::default() };
        Ok(Arc::new(CubeExec::new(Arc::new(source), schema, 1)))
    }
}

/// Some columns of a rollup.
struct RollupSource {
    rollup: Arc<RollupTable>,
    columns: Vec<usize>,
    /// Whether the last answer was quick, on whichever state.
    quick: Arc<Mutex<Option<bool>>>,
}

fn lock(quick: &Mutex<Option<bool>>) -> MutexGuard<'_, Option<bool>> {
    quick.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for RollupSource {
    fn description(&self) -> String {
        let version = &self.snapshot().view.version;
        let from = self.rollup.covering(&self.columns).map_or_else(String::new, |covering| {
            let keys = keys_of(version, self.rollup.table.cube, &covering.aggregate);
            format!(", from aggregate [{keys}]")
        });
        format!("{}{from}", self.rollup.description)
    }

    fn snapshot(&self) -> &Snapshot {
        &self.rollup.table.snapshot
    }

    fn on(&self, snapshot: Snapshot) -> Arc<dyn Source> {
        let table = Arc::new(self.rollup.table.on(snapshot));
        let rollup = Arc::new(RollupTable { table, ..RollupTable::clone(&self.rollup) });
        Arc::new(Self { rollup, columns: self.columns.clone(), quick: Arc::clone(&self.quick) })
    }

    fn is_quick(&self) -> bool {
        let ask = || is_quick(self.rollup.covering(&self.columns).map(|covering| covering.cells));
        *lock(&self.quick).get_or_insert_with(ask)
    }

    fn producers(&self, _partition: usize) -> Result<Vec<Producer>> {
        let (rollup, columns) = (Arc::clone(&self.rollup), self.columns.clone());
        let quick = Arc::clone(&self.quick);
        Ok(vec![Box::new(move || {
            let (batch, was_quick) = rollup.compute(&columns)?;
            *lock(&quick) = Some(was_quick);
            Ok(batch)
        })])
    }
}
