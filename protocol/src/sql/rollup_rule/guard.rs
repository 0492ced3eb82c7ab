//! What stands when an aggregation is no rollup: `measure` has no other way, and `sum` and `avg` of a
//! measure that came through joins are checked against the cube it came from.

use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Window};
use datafusion::prelude::Column;

use super::convert::{self, CubeInput, any_aggregate, axis};
use crate::sql::filter::{Predicates, strip_casts};
use crate::sql::measure::MEASURE;

/// Whether any output is `measure(x)`.
pub fn uses_measure(aggregate: &Aggregate) -> bool {
    let is_measure = |expression: &Expr| match strip_casts(expression) {
        Expr::AggregateFunction(function) => function.func.name() == MEASURE,
        _ => false,
    };
    aggregate.aggr_expr.iter().any(is_measure)
}

/// Refuses plain sums and averages of a cube's measure that would mislead.
fn refuse_one(source: &LogicalPlan, groups: &[Expr], expression: &Expr) -> Result<()> {
    let Some((function @ ("sum" | "avg"), Expr::Column(column))) = any_aggregate(expression) else {
        return Ok(());
    };
    let Some((input, column)) = origin(source, column) else { return Ok(()) };
    let Some(measure) = input.measure(&Expr::Column(column)) else { return Ok(()) };
    let mut axes = Vec::new();
    for group in groups {
        let Expr::Column(group) = strip_casts(group) else { continue };
        let Some((of, group)) = origin(source, group) else { continue };
        if of.table.cube == input.table.cube {
            axes.extend(axis(&input, &Expr::Column(group))?.map(|(axis, _)| axis));
        }
    }
    let predicates = Predicates::new(&input.table, &input.predicates)?;
    convert::refuse_misleading(&input.table, &axes, &predicates, measure, function)
}

/// All outputs of an aggregation.
pub fn refuse_misleading(aggregate: &Aggregate) -> Result<()> {
    let check = |expression| refuse_one(&aggregate.input, &aggregate.group_expr, expression);
    aggregate.aggr_expr.iter().try_for_each(check)
}

/// All functions of a window: what they partition by does not make leaves of consolidated cells.
pub fn refuse_misleading_window(window: &Window) -> Result<()> {
    window.window_expr.iter().try_for_each(|expression| refuse_one(&window.input, &[], expression))
}

/// The cube that a column comes from unchanged, and the column there.
fn origin(plan: &LogicalPlan, column: &Column) -> Option<(CubeInput, Column)> {
    if let Some(input) = CubeInput::of(plan) {
        return Some((input, column.clone()));
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let idx = projection.schema.maybe_index_of_column(column)?;
            let Expr::Column(inner) = strip_casts(&projection.expr[idx]) else { return None };
            origin(&projection.input, inner)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let idx = alias.schema.maybe_index_of_column(column)?;
            let (qualifier, field) = alias.input.schema().qualified_field(idx);
            origin(&alias.input, &Column::new(qualifier.cloned(), field.name().clone()))
        }
        LogicalPlan::Join(join) => {
            let sides = [&join.left, &join.right];
            let side = sides
                .into_iter()
                .find(|side| side.schema().maybe_index_of_column(column).is_some())?;
            origin(side, column)
        }
        LogicalPlan::Filter(filter) => origin(&filter.input, column),
        LogicalPlan::Sort(sort) => origin(&sort.input, column),
        LogicalPlan::Limit(limit) => origin(&limit.input, column),
        LogicalPlan::Distinct(datafusion::logical_expr::Distinct::All(input)) => {
            origin(input, column)
        }
        _ => None,
    }
}
