//! What grows beside functions: a long constant is repeated for each row of a batch, a join, a window or
//! an unnesting repeats a long text for each row that it gives.
//!
//! Such plans work on fewer rows at a time, or ask for what they may make before they make it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::expressions::{Column, Literal};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::bounds;
use super::counted::Counted;

/// A longer constant or text is long.
pub const SHORT_BYTES_MAX: u64 = 1 << 10;
/// What long constants may make of a batch.
const CONSTANTS_BYTES_MAX: u64 = 8 << 20;
/// Rows of a batch beside constants whose length is not known yet.
const ROWS_BESIDE_CONSTANTS: usize = 64;
/// Rows that the engine's operators give at a time.
const BATCH_ROWS: usize = 8_192;

/// The plan with small batches and counted rows where they are needed. What it is made of lives as long.
pub fn bounded(
    plan: Arc<dyn ExecutionPlan>,
    pool: &Arc<dyn MemoryPool>,
    made: Arc<MemoryReservation>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let rows_max = rows_max(node.as_ref())?;
        let repeats = repeats(node.as_ref());
        if rows_max.is_none() && repeats.is_none() {
            return Ok(Transformed::no(node));
        }
        let computed = match repeats {
            Some(How::Window) => computed(node.as_ref())?,
            _ => Vec::new(),
        };
        let held = repeats.map(|how| {
            let (pool, held) = (Arc::clone(pool), Arc::default());
            Repeated { how, pool, held, computed }
        });
        let bounded = |child: &Arc<dyn ExecutionPlan>| {
            let repeated = held.clone().filter(|held| held.is_needed(&child.schema()));
            match rows_max.is_some() || repeated.is_some() {
                true => Bounded::over(child, rows_max, repeated, None),
                false => Arc::clone(child),
            }
        };
        let children = node.children().into_iter().map(bounded).collect();
        Ok(Transformed::yes(replace_children_if_necessary(node, children)?))
    })?;
    Ok(match made.size() {
        0 => plan.data,
        _ => Bounded::over(&plan.data, None, None, Some(made)),
    })
}

/// At how many rows a time a node may work, where its constants are long.
fn rows_max(node: &dyn ExecutionPlan) -> Result<Option<usize>> {
    if node.children().is_empty() {
        return Ok(None);
    }
    let (mut bytes, mut is_unknown) = (0, false);
    node.apply_expressions(&mut |expression| {
        expression.apply(|inner| {
            if let Some(literal) = inner.downcast_ref::<Literal>() {
                let length = bounds::scalar_bytes(literal.value());
                bytes += if length > SHORT_BYTES_MAX { length } else { 0 };
            } else if let Some(call) = inner.downcast_ref::<ScalarFunctionExpr>() {
                is_unknown |= Counted::is(call.fun()) && is_constant(inner)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let by_bytes = (bytes > 0).then(|| {
        let rows = (CONSTANTS_BYTES_MAX / bytes).clamp(1, BATCH_ROWS as u64);
        usize::try_from(rows).unwrap_or(1)
    });
    let by_unknown = is_unknown.then_some(ROWS_BESIDE_CONSTANTS);
    Ok(by_bytes.into_iter().chain(by_unknown).min())
}

fn is_constant(expression: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    if expression.children().is_empty() {
        return Ok(false);
    }
    Ok(!expression.exists(|inner| Ok(inner.is::<Column>()))?)
}

/// How a node repeats the rows that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Any row as often as there are rows in a batch.
    Join,
    /// Any row as often as there are rows.
    Window,
    /// Each row as often as its lists have elements.
    Unnest,
}

fn repeats(node: &dyn ExecutionPlan) -> Option<How> {
    match node.name() {
        "UnnestExec" => Some(How::Unnest),
        "WindowAggExec" | "BoundedWindowAggExec" => Some(How::Window),
        name if name.contains("Join") => Some(How::Join),
        _ => None,
    }
}

/// The expressions of a window that make texts or lists; others give what they are given.
fn computed(node: &dyn ExecutionPlan) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let mut found = Vec::new();
    node.apply_expressions(&mut |expression| {
        let is_counted = |inner: &Arc<dyn PhysicalExpr>| {
            Ok(inner.downcast_ref::<ScalarFunctionExpr>().is_some_and(|c| Counted::is(c.fun())))
        };
        if expression.exists(is_counted)? {
            found.push(Arc::clone(expression));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn has_texts(schema: &SchemaRef) -> bool {
    schema.fields().iter().any(|field| bounds::is_variable(field.data_type()))
}

/// What a node may make of the rows that were seen, held as long as one of its inputs is read.
#[derive(Debug, Clone)]
struct Repeated {
    how: How,
    pool: Arc<dyn MemoryPool>,
    held: Arc<Mutex<Weak<MemoryReservation>>>,
    /// What the node itself makes of its input before it repeats it.
    computed: Vec<Arc<dyn PhysicalExpr>>,
}

impl Repeated {
    fn is_needed(&self, schema: &SchemaRef) -> bool {
        !self.computed.is_empty() || has_texts(schema)
    }

    fn held(&self) -> Arc<MemoryReservation> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.upgrade().unwrap_or_else(|| {
            let made = Arc::new(MemoryConsumer::new("rows with long texts").register(&self.pool));
            *held = Arc::downgrade(&made);
            made
        })
    }
}

/// What one input of a node has been seen to hold.
struct Seen {
    how: How,
    held: Arc<MemoryReservation>,
    computed: Vec<Arc<dyn PhysicalExpr>>,
    rows: u64,
    longest: u64,
    asked: u64,
}

impl Seen {
    fn look_at(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let mut of_batch = batch.columns().iter().map(longest).sum::<u64>();
        for expression in &self.computed {
            let made = expression.evaluate(batch)?.into_array(batch.num_rows())?;
            of_batch = of_batch.saturating_add(longest(&made));
        }
        self.longest = self.longest.max(of_batch);
        if self.longest <= SHORT_BYTES_MAX {
            return Ok(());
        }
        let times = match self.how {
            How::Join => BATCH_ROWS as u64,
            How::Window => self.rows.max(BATCH_ROWS as u64),
            How::Unnest => batch.columns().iter().map(bounds::leaves).sum(),
        };
        let needed = self.longest.saturating_mul(times);
        if let Some(more @ 1..) = needed.checked_sub(self.asked) {
            self.held.try_grow(usize::try_from(more).unwrap_or(usize::MAX / 2))?;
            self.asked = needed;
        }
        Ok(())
    }
}

/// The longest text of a column, and all of it where it is made of anything else.
fn longest(column: &Arc<dyn Array>) -> u64 {
    let of_offsets = |offsets: &[i32]| {
        offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).max().unwrap_or(0)
    };
    let of_large = |offsets: &[i64]| {
        offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).max().unwrap_or(0)
    };
    match column.data_type() {
        DataType::Utf8 => of_offsets(column.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => of_large(column.as_string::<i64>().value_offsets()),
        // its texts are not copied with its rows
        DataType::Utf8View => 0,
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let most = of_offsets(list.value_offsets());
            let each =
                bounds::array_bytes(list.values()).div_ceil(list.values().len().max(1) as u64);
            most.saturating_mul(each.max(longest(list.values())))
        }
        other if bounds::is_variable(other) => bounds::array_bytes(column),
        _ => 0,
    }
}

/// The same rows as its input.
#[derive(Debug)]
struct Bounded {
    input: Arc<dyn ExecutionPlan>,
    rows_max: Option<usize>,
    repeated: Option<Repeated>,
    made: Option<Arc<MemoryReservation>>,
}

impl Bounded {
    fn over(
        input: &Arc<dyn ExecutionPlan>,
        rows_max: Option<usize>,
        repeated: Option<Repeated>,
        made: Option<Arc<MemoryReservation>>,
    ) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: Arc::clone(input), rows_max, repeated, made })
    }
}

impl DisplayAs for Bounded {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bounded")?;
        match self.rows_max {
            Some(rows) => write!(f, ": at most {rows} rows at a time"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.first().unwrap_or(&self.input);
        let (repeated, made) = (self.repeated.clone(), self.made.clone());
        Ok(Self::over(input, self.rows_max, repeated, made))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let made = self.made.clone();
        let rows_max = self.rows_max.unwrap_or(usize::MAX);
        let mut seen = self.repeated.as_ref().map(|repeated| Seen {
            how: repeated.how,
            held: repeated.held(),
            computed: repeated.computed.clone(),
            rows: 0,
            longest: 0,
            asked: 0,
        });
        let batches = input.map(move |batch| -> Result<_> {
            let _held = &made;
            let batch = batch?;
            if let Some(seen) = &mut seen {
                seen.look_at(&batch)?;
            }
            Ok(pieces(batch, rows_max))
        });
        let is_sliced = self.rows_max.is_some();
        let batches = batches.map_ok(move |pieces| {
            stream::iter(pieces).then(move |piece| async move {
                if is_sliced {
                    // a piece may be long work: who stops the statement has his turn between two
                    tokio::task::yield_now().await;
                }
                Ok::<_, DataFusionError>(piece)
            })
        });
        let batches = batches.try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

fn pieces(batch: RecordBatch, rows_max: usize) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let starts = (0..rows.max(1)).step_by(rows_max);
    starts.map(move |from| batch.slice(from, rows_max.min(rows - from)))
}
