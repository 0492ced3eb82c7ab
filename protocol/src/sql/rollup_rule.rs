//! The optimizer rule that turns an aggregation over a cube into a rollup, and that guards `sum` and
//! `avg` where they could mislead.

mod convert;
mod guard;
mod rollup_table;

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::settings::Aggregates;
use crate::error::SqlError;

/// Reads the session's `perfos.aggregates` when a statement is planned.
pub type AggregatesSetting = Arc<dyn Fn() -> Aggregates + Send + Sync>;

/// The rule.
pub struct RollupRule {
    setting: AggregatesSetting,
}

impl RollupRule {
    /// The rule of a session.
    pub fn new(setting: AggregatesSetting) -> Self {
        Self { setting }
    }
}

impl fmt::Debug for RollupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RollupRule")
    }
}

impl OptimizerRule for RollupRule {
    fn name(&self) -> &'static str {
        "cube_rollup"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let setting = (self.setting)();
        let aggregate = match &plan {
            LogicalPlan::Aggregate(aggregate) => aggregate,
            LogicalPlan::Window(window) if setting != Aggregates::Leaf => {
                guard::refuse_misleading_window(window)?;
                return Ok(Transformed::no(plan));
            }
            _ => return Ok(Transformed::no(plan)),
        };
        if is_empty(&aggregate.input) {
            return Ok(Transformed::no(plan));
        }
        match convert::convert(aggregate, setting)? {
            convert::Conversion::Rollup(rollup) => Ok(Transformed::yes(*rollup)),
            convert::Conversion::NotOfACube(reason) => {
                self.check(aggregate, setting, reason)?;
                Ok(Transformed::no(plan))
            }
        }
    }
}

/// Whether a plan is known to give no rows, as where no row can fit its conditions.
fn is_empty(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        LogicalPlan::Projection(projection) => is_empty(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_empty(&alias.input),
        _ => false,
    }
}

impl RollupRule {
    fn check(&self, aggregate: &Aggregate, setting: Aggregates, reason: &str) -> Result<()> {
        if guard::uses_measure(aggregate) {
            let error =
                SqlError::new("0A000", "measure() cannot be computed here").with_detail(reason);
            return Err(error
                .with_hint("aggregate the cube by its own columns in a subquery or CTE, then join the result")
                .into());
        }
        if setting == Aggregates::Leaf {
            return Ok(());
        }
        guard::refuse_misleading(aggregate)
    }
}

/// The refusal of a plain aggregate that would mislead.
fn misleading(function: &str, measure: &str, reason: &str) -> SqlError {
    SqlError::new("42803", format!("{function}({measure}) would mislead: {reason}")).with_hint(format!(
        "use measure({measure}) for the cube's own consolidation, or SET perfos.aggregates = 'leaf' for plain SQL over leaves"
    ))
}
