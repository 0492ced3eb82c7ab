//! Predicates over a cube: those of one dimension become sets of members, the rest is evaluated on rows.

use std::collections::BTreeSet;

use cube::rollup::{Filter, Grain};
use cube::segment::{Segment, ValueRange};
use cube::{HierarchyId, MemberId, ValueType};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::create_physical_expr;
use roaring::MultiOps;

use super::columns::ColumnSource;
use super::growth;
use super::table::CubeTable;

/// The predicates of a scan, split by how they are evaluated.
#[derive(Debug)]
pub struct Predicates {
    /// Sets of members.
    pub filters: Vec<Filter>,
    /// Values of measures, compared with constants.
    pub ranges: Vec<ValueRange>,
    /// What is evaluated row by row.
    pub residual: Vec<Expr>,
    texts: Vec<String>,
}

/// Whether an expression can be evaluated by itself, without the engine's other plans.
pub fn can_evaluate(expression: &Expr) -> bool {
    let mut alone = true;
    let visited = expression.apply(|inner| {
        match inner {
            Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::AggregateFunction(_)
            | Expr::GroupingSet(_)
            | Expr::WindowFunction(_) => alone = false,
            // it is made for a few rows at a time, which a plan of the engine does
            Expr::ScalarFunction(call) if growth::is_long_constant(call) => alone = false,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok() && alone && !expression.is_volatile()
}

/// Evaluates an expression over the columns of a batch.
pub fn evaluate(expression: &Expr, batch: &RecordBatch) -> Result<ArrayRef> {
    let plain = unqualified(expression.clone())?;
    let schema = DFSchema::try_from(batch.schema())?;
    let physical = create_physical_expr(
        &plain,
        &schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    physical.evaluate(batch)?.into_array(batch.num_rows())
}

/// The expression with its columns named without a table.
pub fn unqualified(expression: Expr) -> Result<Expr> {
    let rename = |inner: Expr| match inner {
        Expr::Column(column) => {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    };
    Ok(expression.transform(rename)?.data)
}

/// The names of the columns that an expression reads.
pub fn column_names(expression: &Expr) -> BTreeSet<String> {
    expression.column_refs().into_iter().map(|column| column.name.clone()).collect()
}

fn wanted_rows(array: &ArrayRef) -> Result<&BooleanArray> {
    let booleans = array.as_any().downcast_ref::<BooleanArray>();
    booleans.ok_or_else(|| DataFusionError::Plan("a predicate is not boolean".into()))
}

fn positions_where_true(array: &BooleanArray) -> impl Iterator<Item = usize> + '_ {
    (0..array.len()).filter(|&row| array.is_valid(row) && array.value(row))
}

impl Predicates {
    /// Splits predicates, which are joined by AND.
    pub fn new(table: &CubeTable, predicates: &[Expr]) -> Result<Self> {
        let mut split = Self {
            filters: Vec::new(),
            ranges: Vec::new(),
            residual: Vec::new(),
            texts: Vec::new(),
        };
        for predicate in predicates {
            split.texts.push(unqualified(predicate.clone())?.to_string());
            match single_dimension(table, predicate) {
                Some(position) => split.filters.push(member_filter(table, position, predicate)?),
                None => match value_range(table, predicate) {
                    Some(range) => split.ranges.push(range),
                    None => split.residual.push(predicate.clone()),
                },
            }
        }
        Ok(split)
    }

    /// In one line, for EXPLAIN.
    pub fn description(&self) -> String {
        if self.texts.is_empty() {
            String::new()
        } else {
            format!(", where [{}]", self.texts.join(", "))
        }
    }

    /// Those of some rows of a segment for which the residual predicates are true.
    pub fn residual_rows(
        &self,
        table: &CubeTable,
        segment: &Segment,
        mut rows: Vec<u32>,
    ) -> Result<Vec<u32>> {
        for predicate in &self.residual {
            let names = column_names(predicate);
            let schema = &table.columns.schema;
            let columns =
                names.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
            let batch = table.batch(segment, &rows, &columns)?;
            let result = evaluate(predicate, &batch)?;
            rows = positions_where_true(wanted_rows(&result)?).map(|at| rows[at]).collect();
        }
        Ok(rows)
    }
}

/// The one dimension whose columns an expression reads, if it reads no other column.
pub fn single_dimension(table: &CubeTable, expression: &Expr) -> Option<usize> {
    let names = column_names(expression);
    let positions: BTreeSet<Option<usize>> =
        names.iter().map(|name| table.columns.position(name)).collect();
    match positions.into_iter().collect::<Vec<_>>().as_slice() {
        [Some(position)] => Some(*position),
        _ => None,
    }
}

/// The values of one measure that a predicate wants, where it compares the measure itself, uncast,
/// with constants of its own type.
fn value_range(table: &CubeTable, predicate: &Expr) -> Option<ValueRange> {
    let measure = |expression: &Expr| {
        let Expr::Column(column) = expression else { return None };
        let Some(ColumnSource::Measure(measure)) = table.columns.source(&column.name) else {
            return None;
        };
        let def = table.definition().measure_def(measure);
        (def.value_type.is_number() || def.value_type == ValueType::Date).then_some(measure)
    };
    let (all, up) = (i64::MIN, i64::MAX);
    match predicate {
        Expr::Between(between) if !between.negated => {
            let measure = measure(&between.expr)?;
            let scale = table.definition().measure_def(measure).value_type.scale();
            let (low, high) = (stored(&between.low, scale)?, stored(&between.high, scale)?);
            Some(ValueRange { measure, low, high })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (measure, constant, op) = match (measure(left), measure(right)) {
                (Some(measure), None) => (measure, right, *op),
                (None, Some(measure)) => (measure, left, op.swap()?),
                _ => return None,
            };
            let scale = table.definition().measure_def(measure).value_type.scale();
            let value = stored(constant, scale)?;
            let (low, high) = match op {
                Operator::Eq => (value, value),
                Operator::Lt => (all, value.checked_sub(1)?),
                Operator::LtEq => (all, value),
                Operator::Gt => (value.checked_add(1)?, up),
                Operator::GtEq => (value, up),
                _ => return None,
            };
            Some(ValueRange { measure, low, high })
        }
        _ => None,
    }
}

/// The stored integer of a constant of a measure's own type.
fn stored(constant: &Expr, measure_scale: u32) -> Option<i64> {
    match constant {
        Expr::Literal(ScalarValue::Int64(value), _) => *value,
        Expr::Literal(ScalarValue::Date32(value), _) => value.map(i64::from),
        Expr::Literal(ScalarValue::Decimal128(value, _, scale), _)
            if u32::try_from(*scale) == Ok(measure_scale) =>
        {
            value.and_then(|value| i64::try_from(value).ok())
        }
        _ => None,
    }
}

fn member_filter(table: &CubeTable, position: usize, predicate: &Expr) -> Result<Filter> {
    let batch = table.member_batch(position)?;
    let cube = table.definition();
    let (dimension, facts) = (cube.dimensions[position], cube.levels[position]);
    let dimension = table.snapshot.view.version.dimension(dimension);
    // levels have members above and below: those that hold facts are what a row can be of
    let facts_of = dimension.facts_at(facts);
    let level = told_apart_by(table, predicate);
    let members = match level {
        Some((hierarchy, lowest)) => {
            let groups = dimension.groups(facts, hierarchy, lowest);
            let named =
                groups.first.iter().enumerate().filter(|(_, first)| **first != MemberId::NONE);
            let (groups_named, first): (Vec<usize>, Vec<u32>) =
                named.map(|(group, first)| (group, first.0)).unzip();
            let names = take_record_batch(&batch, &UInt32Array::from(first))?;
            let result = evaluate(predicate, &names)?;
            let wanted = positions_where_true(wanted_rows(&result)?);
            wanted.map(|at| &groups.sets()[groups_named[at]]).union()
        }
        None => {
            let result = evaluate(predicate, &batch)?;
            let wanted = positions_where_true(wanted_rows(&result)?).map(|member| member as u32);
            wanted.filter(|&member| facts_of.contains(member)).collect()
        }
    };
    Ok(Filter { position, members, grain: named_grain(table, predicate), level })
}

/// The lowest level whose names a predicate reads, where it reads nothing but names of levels of one
/// hierarchy.
fn told_apart_by(table: &CubeTable, predicate: &Expr) -> Option<(HierarchyId, usize)> {
    let names = column_names(predicate);
    let levels = names.iter().map(|name| match column_grain(table, name) {
        Grain::Level(hierarchy, position) => Some((hierarchy, position)),
        _ => None,
    });
    let levels = levels.collect::<Option<Vec<_>>>()?;
    let &(hierarchy, _) = levels.first()?;
    let is_one = levels.iter().all(|(other, _)| *other == hierarchy);
    levels.into_iter().max().filter(|_| is_one)
}

/// The grain that naming members pins: `level = 'x'`, `level IN ('x', 'y')`, and the like by OR.
fn named_grain(table: &CubeTable, predicate: &Expr) -> Grain {
    let names = column_names(predicate);
    let (Some(name), true) = (names.first(), names.len() == 1 && names_members(predicate)) else {
        return Grain::Free;
    };
    column_grain(table, name)
}

fn names_members(predicate: &Expr) -> bool {
    let is_column = |expression: &Expr| matches!(strip_casts(expression), Expr::Column(_));
    let is_constant = |expression: &Expr| expression.column_refs().is_empty();
    match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            (is_column(left) && is_constant(right)) || (is_column(right) && is_constant(left))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            names_members(left) && names_members(right)
        }
        Expr::InList(list) => {
            !list.negated && is_column(&list.expr) && list.list.iter().all(is_constant)
        }
        _ => false,
    }
}

/// An expression without casts and aliases around it.
pub fn strip_casts(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => strip_casts(&cast.expr),
        Expr::TryCast(cast) => strip_casts(&cast.expr),
        Expr::Alias(alias) => strip_casts(&alias.expr),
        other => other,
    }
}

/// The grain of a column of a dimension.
pub fn column_grain(table: &CubeTable, name: &str) -> Grain {
    match table.columns.source(name) {
        Some(ColumnSource::Dimension(_)) => Grain::Leaf,
        Some(ColumnSource::Level(position, level)) => {
            let cube = table.definition();
            let dimension = table.snapshot.view.version.dimension(cube.dimensions[position]);
            let column = &dimension.level_columns_at(cube.levels[position])[level];
            Grain::Level(column.hierarchy, column.position)
        }
        _ => Grain::Free,
    }
}
