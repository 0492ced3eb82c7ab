//! Functions that make texts and lists, counted against the memory of the tenant's reads.
//!
//! The engine's own functions ask nobody before they make what they make. Here each is wrapped
//! ([`counted`]): how much it makes at most follows from its arguments ([`bounds`]), is asked for
//! before, and is given back with the last array that holds it. What grows without a function, a
//! long constant beside many rows or a long text in a join, is bounded by [`batches`].

mod batches;
mod bounds;
mod concatenation;
mod counted;

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::ExecutionPlan;

use crate::error::SqlError;
use concatenation::Concatenation;
use counted::Counted;

/// One text that a function makes, in bytes.
pub const TEXT_BYTES_MAX: u64 = 16 << 20;
/// What one call makes for a batch of rows, in bytes: its offsets have 32 bits.
const BATCH_BYTES_MAX: u64 = i32::MAX as u64;
/// A longer constant is computed where it is used, and is no part of the plan.
const FOLDED_BYTES_MAX: u64 = 8 << 10;
/// What is too small to be counted.
const UNCOUNTED_BYTES_MAX: u64 = 4 << 10;

/// Functions that PostgreSQL does not have and that make much of little, or take long over it, by their first names.
const LEFT_OUT: [&str; 10] = [
    "levenshtein",
    "array_repeat",
    "array_resize",
    "arrays_zip",
    "arrow_cast",
    "arrow_try_cast",
    "cast_to_type",
    "generate_series",
    "range",
    "try_cast_to_type",
];

/// Counts what functions make, in one session.
#[derive(Debug, Clone)]
pub struct Growth {
    pool: Arc<dyn MemoryPool>,
}

impl Growth {
    /// Counts in a pool.
    pub fn new(pool: Arc<dyn MemoryPool>) -> Self {
        Self { pool }
    }

    /// The functions of a session.
    pub fn functions(&self) -> Vec<Arc<ScalarUDF>> {
        let stock = SessionStateDefaults::default_scalar_functions().into_iter();
        let kept = stock.filter(|function| !LEFT_OUT.contains(&function.name()));
        kept.map(|function| self.counted(function)).collect()
    }

    fn counted(&self, function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        match bounds::makes_texts_or_lists(function.name()) && !Counted::is(&function) {
            true => Arc::new(ScalarUDF::new_from_impl(Counted::new(function, self.clone()))),
            false => function,
        }
    }

    fn call(&self, function: &Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
        let function = self.counted(Arc::clone(function));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
    }

    /// The value of a constant expression while a plan is made, however long what it is made of.
    fn evaluated(&self, expression: &Expr) -> Result<Option<ScalarValue>> {
        let (empty, context) = (DFSchema::empty(), PhysicalPlanningContext::default());
        let properties = ExecutionProps::new();
        let physical = create_physical_expr(expression, &empty, &properties, &context)?;
        let no_columns = RecordBatchOptions::new().with_row_count(Some(1));
        let schema = Arc::new(Schema::empty());
        let row = RecordBatch::try_new_with_options(schema, Vec::new(), &no_columns)?;
        let made = Arc::new(MemoryConsumer::new("constants").register(&self.pool));
        let during = Planning { phase: Phase::Evaluating, made };
        // an error is one of the statement only where the value is needed
        let value = PLANNING.sync_scope(during, || physical.evaluate(&row)?.into_array(1));
        Ok(value.and_then(|value| ScalarValue::try_from_array(&value, 0)).ok())
    }

    /// The expression with all functions counted, and `||` as a function.
    fn count(&self, expression: Expr) -> Result<Transformed<Expr>> {
        expression.transform_up(|expression| {
            Ok(match expression {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                    let function = Arc::new(ScalarUDF::new_from_impl(Concatenation::default()));
                    Transformed::yes(self.call(&function, vec![*left, *right]))
                }
                Expr::ScalarFunction(ScalarFunction { func, args })
                    if bounds::makes_texts_or_lists(func.name()) && !Counted::is(&func) =>
                {
                    Transformed::yes(self.call(&func, args))
                }
                other => Transformed::no(other),
            })
        })
    }

    /// Makes the plan that runs a query.
    pub async fn physical(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let made = Arc::new(MemoryConsumer::new("constants").register(&self.pool));
        let during = |phase| Planning { phase, made: Arc::clone(&made) };
        let plan = PLANNING.sync_scope(during(Phase::Folding), || state.optimize(plan))?;
        let planner = state.query_planner();
        let work = planner.create_physical_plan(&plan, state);
        let physical = PLANNING.scope(during(Phase::Evaluating), work).await?;
        batches::bounded(physical, &self.pool, made)
    }
}

/// Puts counted functions where the engine's planner put its own.
impl AnalyzerRule for Growth {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expression| {
                let name = names.save(&expression);
                let counted = self.count(expression)?;
                Ok(counted.update_data(|expression| name.restore(expression)))
            })
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "count_growth"
    }
}

/// Whether a call makes a text or list of constants that is too long to be in a plan.
pub fn is_long_constant(call: &ScalarFunction) -> bool {
    Counted::is(&call.func) && counted::is_constant(&Expr::ScalarFunction(call.clone()))
}

/// What a plan is made in: its constants live as long as it does.
#[derive(Debug, Clone)]
struct Planning {
    phase: Phase,
    made: Arc<MemoryReservation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Constants are computed where that is worth it.
    Folding,
    /// What a plan is made of must have a value, as rows of VALUES.
    Evaluating,
}

tokio::task_local! {
    static PLANNING: Planning;
}

fn too_long(name: &str, bytes: u64) -> DataFusionError {
    let message = format!("{name} makes a text of up to {bytes} bytes");
    SqlError::new("54000", message)
        .with_detail(format!("a text has at most {TEXT_BYTES_MAX} bytes"))
        .into()
}

fn too_much(name: &str, bytes: u64) -> DataFusionError {
    let message = format!("{name} makes up to {bytes} bytes of some rows");
    let error = SqlError::new("54000", message);
    error.with_detail(format!("it makes at most {BATCH_BYTES_MAX} bytes at a time")).into()
}

#[cfg(test)]
mod tests;
