//! From an aggregation to a rollup, where its input is a cube and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use calc::Measured;
use cube::model::Consolidation;
use cube::rollup::{Arithmetic, Axis, Distinct, Grain, Operator, Output, Request, misleading_sum};
use cube::{CubeId, HierarchyId, MeasureId, View};
use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder,
    Operator as LogicalOperator,
};
use datafusion::prelude::Column;

use super::misleading;
use super::rollup_table::{OutputColumn, RollupTable};
use crate::sql::columns::ColumnSource;
use crate::sql::filter::{
    Predicates, can_evaluate, column_grain, evaluate, single_dimension, strip_casts, unqualified,
};
use crate::sql::measure::MEASURE;
use crate::sql::members::Grouping;
use crate::sql::settings::Aggregates;
use crate::sql::table::CubeTable;

/// What became of an aggregation.
pub enum Conversion {
    /// A rollup with the same columns.
    Rollup(Box<LogicalPlan>),
    /// It is not one, and why.
    NotOfACube(&'static str),
}

/// An input that is a cube: the table, its predicates, and what the input's columns are of it.
pub struct CubeInput {
    pub table: Arc<CubeTable>,
    pub predicates: Vec<Expr>,
    columns: HashMap<String, Expr>,
}

impl CubeInput {
    /// Looks through projections and aliases down to a cube's scan.
    pub fn of(plan: &LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source).ok()?;
                let table =
                    (provider.as_ref() as &dyn std::any::Any).downcast_ref::<CubeTable>()?.clone();
                let fields = table.columns.schema.fields().iter();
                let columns = fields.map(|field| {
                    (
                        field.name().clone(),
                        Expr::Column(Column::new_unqualified(field.name().clone())),
                    )
                });
                Some(Self {
                    columns: columns.collect(),
                    predicates: scan.filters.clone(),
                    table: Arc::new(table),
                })
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Projection(projection) => {
                let mut input = Self::of(&projection.input)?;
                let mut columns = HashMap::new();
                for (expression, field) in projection.expr.iter().zip(projection.schema.fields()) {
                    columns.insert(field.name().clone(), input.resolve(expression)?);
                }
                input.columns = columns;
                Some(input)
            }
            _ => None,
        }
    }

    /// An expression over the input as one over the cube's own columns.
    pub fn resolve(&self, expression: &Expr) -> Option<Expr> {
        let mut known = true;
        let replaced = expression.clone().transform(|inner| match inner {
            Expr::Column(column) => Ok(match self.columns.get(&column.name) {
                Some(replacement) => {
                    Transformed::new(replacement.clone(), true, TreeNodeRecursion::Jump)
                }
                None => {
                    known = false;
                    Transformed::no(Expr::Column(column))
                }
            }),
            other => Ok(Transformed::no(other)),
        });
        let replaced = replaced.ok()?.data;
        known.then(|| replaced.unalias())
    }

    /// The measure that an expression is, by itself.
    pub fn measure(&self, expression: &Expr) -> Option<MeasureId> {
        let resolved = self.resolve(expression)?;
        let Expr::Column(column) = strip_casts(&resolved) else { return None };
        match self.table.columns.source(&column.name)? {
            ColumnSource::Measure(measure) => Some(measure),
            _ => None,
        }
    }
}

/// Converts an aggregation.
pub fn convert(aggregate: &Aggregate, setting: Aggregates) -> Result<Conversion> {
    let Some(input) = CubeInput::of(&aggregate.input) else {
        return Ok(Conversion::NotOfACube(
            "it reads more than one cube: a join, a set operation or a filter on another query",
        ));
    };
    // what is not a rollup is found out before anything is evaluated on members
    let mut asked = Vec::new();
    for expression in &aggregate.aggr_expr {
        let Some(output) = Asked::of(&input, expression) else {
            return Ok(Conversion::NotOfACube(
                "it has another aggregate than measure, sum, avg, min, max or count of a measure, count(DISTINCT) of a column of one dimension, or sum of what + - * make of measures",
            ));
        };
        asked.push(output);
    }
    let mut axes = Vec::new();
    let mut values = Vec::new();
    for expression in &aggregate.group_expr {
        let Some((axis, distinct)) = axis(&input, expression)? else {
            return Ok(Conversion::NotOfACube(
                "it groups by more than columns of one dimension each",
            ));
        };
        axes.push(axis);
        values.push(distinct);
    }
    let predicates = Predicates::new(&input.table, &input.predicates)?;
    let mut outputs = Outputs::default();
    for asked in asked {
        let measured = asked.output(&input, &axes, &predicates, setting, &mut outputs)?;
        outputs.measured.push(measured);
    }
    rollup_plan(aggregate, &input, axes, values, predicates, outputs)
        .map(|plan| Conversion::Rollup(Box::new(plan)))
}

/// What a rollup computes.
#[derive(Default)]
struct Outputs {
    measured: Vec<Measured>,
    computed: Vec<Arithmetic>,
    distinct: Vec<Distinct>,
}

/// The grouping by an expression over one dimension, and the value of each of its codes.
pub fn axis(input: &CubeInput, expression: &Expr) -> Result<Option<(Axis, ArrayRef)>> {
    let Some(resolved) = input.resolve(expression) else { return Ok(None) };
    if !can_evaluate(&resolved) {
        return Ok(None);
    }
    let Some(position) = single_dimension(&input.table, &resolved) else { return Ok(None) };
    let table = &input.table;
    let cube = table.definition();
    let (dimension, level) = (cube.dimensions[position], cube.levels[position]);
    let grouping = unqualified(resolved)?;
    let made = || grouping_by(table, position, &grouping);
    let version = &table.snapshot.view.version;
    let found = table.members.grouping(version, dimension, level, &grouping, made)?;
    let Grouping { codes, values, grain } = found;
    let cardinality = values.len() as u32;
    Ok(Some((Axis { position, codes, cardinality, grain }, values)))
}

/// Groups the members of a dimension by the values of an expression over it, numbered as they come.
fn grouping_by(table: &CubeTable, position: usize, grouping: &Expr) -> Result<Grouping> {
    let array = evaluate(grouping, &table.member_batch(position)?)?;
    let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
    let rows = converter.convert_columns(&[Arc::clone(&array)])?;
    let mut code_of = HashMap::new();
    let mut first_rows = Vec::new();
    let mut codes = Vec::with_capacity(array.len());
    for row in 0..rows.num_rows() {
        let code = *code_of.entry(rows.row(row)).or_insert_with(|| {
            first_rows.push(row as u32);
            first_rows.len() as u32 - 1
        });
        codes.push(code);
    }
    let values = take(&array, &UInt32Array::from(first_rows), None)?;
    let grain = match strip_casts(grouping) {
        Expr::Column(column) => column_grain(table, &column.name),
        _ => grain_of_codes(table, position, &codes),
    };
    Ok(Grouping { codes: Arc::new(codes), values, grain })
}

/// The coarsest level of the default hierarchy, or of another, whose members each have one code.
fn grain_of_codes(table: &CubeTable, position: usize, codes: &[u32]) -> Grain {
    let version = &table.snapshot.view.version;
    let dimension = version.dimension(table.definition().dimensions[position]);
    let holds_facts = |&member: &cube::MemberId| version.holds_facts(table.cube, position, member);
    let leaves: Vec<cube::MemberId> = dimension.members().filter(holds_facts).collect();
    if leaves.windows(2).all(|pair| codes[pair[0].idx()] == codes[pair[1].idx()]) {
        return Grain::Free;
    }
    for idx in 0..dimension.def.hierarchies.len() {
        let hierarchy = HierarchyId::from_idx(idx);
        for (level, ancestors) in dimension.shape(hierarchy).ancestors.iter().enumerate() {
            let mut code_of = HashMap::new();
            let same = |leaf: &cube::MemberId| {
                let code = codes[leaf.idx()];
                ancestors[leaf.idx()] != cube::MemberId::NONE
                    && *code_of.entry(ancestors[leaf.idx()]).or_insert(code) == code
            };
            if leaves.iter().all(same) {
                return Grain::Level(hierarchy, level);
            }
        }
    }
    Grain::Leaf
}

/// The function and only argument of an aggregate, whatever DISTINCT, FILTER or casts surround it.
pub fn any_aggregate(expression: &Expr) -> Option<(&str, &Expr)> {
    let (function, arguments) = match strip_casts(expression) {
        Expr::AggregateFunction(aggregate) => (aggregate.func.name(), &aggregate.params.args),
        Expr::WindowFunction(window) => (window.fun.name(), &window.params.args),
        _ => return None,
    };
    match arguments.as_slice() {
        [argument] => Some((function, strip_casts(argument))),
        _ => None,
    }
}

/// The function and only argument of a plain aggregate.
pub fn plain_aggregate(expression: &Expr) -> Option<(&str, &Expr)> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = strip_casts(expression)
    else {
        return None;
    };
    let plain = !params.distinct && params.filter.is_none() && params.order_by.is_empty();
    match params.args.as_slice() {
        [argument] if plain => Some((func.name(), argument)),
        _ => None,
    }
}

/// An aggregate that a rollup may compute.
enum Asked {
    CountRows,
    /// Different values of an expression over one dimension.
    CountDistinct(Expr),
    SumOf(Arithmetic),
    /// A function of a measure.
    Of(Function, MeasureId),
}

enum Function {
    Measure,
    Count,
    Min,
    Max,
    Sum,
    Avg,
}

impl Asked {
    fn of(input: &CubeInput, expression: &Expr) -> Option<Self> {
        if let Some(counted) = counted_once(expression) {
            let resolved = input.resolve(counted)?;
            let is_axis =
                can_evaluate(&resolved) && single_dimension(&input.table, &resolved).is_some();
            return is_axis.then(|| Self::CountDistinct(counted.clone()));
        }
        let (function, argument) = plain_aggregate(expression)?;
        if function == "count" && matches!(argument, Expr::Literal(value, _) if !value.is_null()) {
            return Some(Self::CountRows);
        }
        let Some(measure) = input.measure(argument) else {
            let arithmetic = (function == "sum").then(|| arithmetic(input, argument))??;
            return (!arithmetic.measures().is_empty()).then_some(Self::SumOf(arithmetic));
        };
        let def = input.table.definition().measure_def(measure);
        let is_cast = matches!(argument, Expr::Cast(_) | Expr::TryCast(_));
        // smallest, largest or none: of the measure's own type
        let is_one_of = function == MEASURE && def.consolidation != Consolidation::Count;
        if is_cast || (!def.value_type.is_number() && function != "count" && !is_one_of) {
            // an average of integers is of floats: plain SQL
            return None;
        }
        let function = match function {
            MEASURE => Function::Measure,
            "count" => Function::Count,
            "min" => Function::Min,
            "max" => Function::Max,
            "sum" => Function::Sum,
            "avg" => Function::Avg,
            _ => return None,
        };
        Some(Self::Of(function, measure))
    }

    fn output(
        self,
        input: &CubeInput,
        axes: &[Axis],
        predicates: &Predicates,
        setting: Aggregates,
        made: &mut Outputs,
    ) -> Result<Measured> {
        let (function, measure) = match self {
            Self::CountRows => return Ok(Measured::Plain(Output::CountRows)),
            Self::CountDistinct(counted) => {
                let (values, names) = axis(input, &counted)?.ok_or_else(|| {
                    DataFusionError::Internal("what is counted is of no dimension".into())
                })?;
                let blank = (0..names.len()).find(|&at| names.is_null(at)).map(|at| at as u32);
                made.distinct.push(Distinct { values, blank });
                return Ok(Measured::Plain(Output::CountDistinct(made.distinct.len() - 1)));
            }
            Self::SumOf(arithmetic) => {
                let known = made.computed.iter().position(|other| *other == arithmetic);
                let position = known.unwrap_or_else(|| {
                    made.computed.push(arithmetic);
                    made.computed.len() - 1
                });
                return Ok(Measured::Plain(Output::SumOf(position)));
            }
            Self::Of(function, measure) => (function, measure),
        };
        let def = input.table.definition().measure_def(measure);
        let sum_or_average = |function: &str| match function {
            "sum" => Measured::Plain(Output::Sum(measure)),
            // the engine's own type of an average has four more digits after the point
            _ => Measured::Average(measure, def.value_type.scale() + 4),
        };
        let plain_sql = |function: &str| {
            if setting == Aggregates::Strict {
                refuse_misleading(&input.table, axes, predicates, measure, function)?;
            }
            Ok(sum_or_average(function))
        };
        match (function, setting) {
            (Function::Measure, _) => Ok(Measured::Consolidated(measure)),
            (Function::Count, _) => Ok(Measured::Plain(Output::Count(measure))),
            (Function::Min, _) => Ok(Measured::Plain(Output::Min(measure))),
            (Function::Max, _) => Ok(Measured::Plain(Output::Max(measure))),
            (Function::Sum, Aggregates::Cube) => Ok(Measured::Consolidated(measure)),
            (Function::Avg, Aggregates::Cube) if def.consolidation == Consolidation::Average => {
                Ok(Measured::Consolidated(measure))
            }
            (Function::Avg, Aggregates::Cube) => {
                Err(misleading("avg", &def.name, "its own rule is not an average").into())
            }
            (Function::Sum, _) => plain_sql("sum"),
            (Function::Avg, _) => plain_sql("avg"),
        }
    }
}

/// What a plain `count(DISTINCT x)` counts.
fn counted_once(expression: &Expr) -> Option<&Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = strip_casts(expression)
    else {
        return None;
    };
    let is_plain = func.name() == "count" && params.distinct && params.filter.is_none();
    match params.args.as_slice() {
        [counted] if is_plain && params.order_by.is_empty() => Some(counted),
        _ => None,
    }
}

/// Exact arithmetic over measures that an expression is, if it is nothing else.
fn arithmetic(input: &CubeInput, expression: &Expr) -> Option<Arithmetic> {
    let resolved = input.resolve(expression)?;
    arithmetic_of(&input.table, &resolved)
}

fn arithmetic_of(table: &CubeTable, expression: &Expr) -> Option<Arithmetic> {
    match expression {
        Expr::Alias(alias) => arithmetic_of(table, &alias.expr),
        Expr::Column(column) => match table.columns.source(&column.name)? {
            ColumnSource::Measure(measure) => {
                let value_type = table.definition().measure_def(measure).value_type;
                value_type.is_number().then_some(Arithmetic::Measure(measure))
            }
            _ => None,
        },
        Expr::Literal(ScalarValue::Int64(value), _) => Some(Arithmetic::Constant((*value)?, 0)),
        Expr::Literal(ScalarValue::Decimal128(value, _, scale), _) => {
            let value = i64::try_from((*value)?).ok()?;
            Some(Arithmetic::Constant(value, u32::try_from(*scale).ok()?))
        }
        Expr::Cast(cast) => {
            // a type that holds every value of the inner one exactly
            let DataType::Decimal128(precision, scale) = cast.field.data_type() else {
                return None;
            };
            let schema = DFSchema::try_from(Arc::clone(&table.columns.schema)).ok()?;
            let inner = cast.expr.get_type(&schema).ok()?;
            let (digits, inner_scale) = match inner {
                DataType::Int64 => (19, 0),
                DataType::Decimal128(inner, scale) => (i16::from(inner) - i16::from(scale), scale),
                _ => return None,
            };
            let holds_all =
                *scale >= inner_scale && i16::from(*precision) - i16::from(*scale) >= digits;
            arithmetic_of(table, &cast.expr).filter(|_| holds_all)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let operator = match op {
                LogicalOperator::Plus => Operator::Plus,
                LogicalOperator::Minus => Operator::Minus,
                LogicalOperator::Multiply => Operator::Times,
                _ => return None,
            };
            let (left, right) = (arithmetic_of(table, left)?, arithmetic_of(table, right)?);
            Some(Arithmetic::Binary(operator, Box::new(left), Box::new(right)))
        }
        _ => None,
    }
}

/// An error where plain sums of the leaves differ from the measure's own consolidation.
pub fn refuse_misleading(
    table: &CubeTable,
    axes: &[Axis],
    predicates: &Predicates,
    measure: MeasureId,
    function: &str,
) -> Result<()> {
    let request = request(table.cube, axes.to_vec(), predicates);
    let view: &View = &table.snapshot.view;
    let def = table.definition().measure_def(measure);
    let consolidates_so = function == "avg" && def.consolidation == Consolidation::Average;
    match misleading_sum(view, &request, measure) {
        Some(reason) if !consolidates_so => Err(misleading(function, &def.name, &reason).into()),
        _ => Ok(()),
    }
}

fn request(cube: CubeId, axes: Vec<Axis>, predicates: &Predicates) -> Request<'static> {
    Request { axes, filters: predicates.filters.clone(), ..Request::of(cube) }
}

/// A scan of the rollup under a projection that gives the aggregation's own columns.
fn rollup_plan(
    aggregate: &Aggregate,
    input: &CubeInput,
    axes: Vec<Axis>,
    values: Vec<ArrayRef>,
    predicates: Predicates,
    outputs: Outputs,
) -> Result<LogicalPlan> {
    let fields = aggregate.schema.iter().enumerate().map(|(idx, (_, field))| {
        let plain = Field::new(format!("c{idx}"), field.data_type().clone(), field.is_nullable());
        plain.with_metadata(field.metadata().clone())
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let group_texts: Vec<String> = aggregate.group_expr.iter().map(ToString::to_string).collect();
    let output_texts: Vec<String> = aggregate.aggr_expr.iter().map(ToString::to_string).collect();
    let output_fields = schema.fields().iter().skip(axes.len());
    let measured = outputs
        .measured
        .into_iter()
        .zip(output_fields)
        .map(|(output, field)| OutputColumn { output, data_type: field.data_type().clone() });
    let description = format!(
        "CubeRollup: {}, by [{}], outputs [{}]{}",
        input.table.name(),
        group_texts.join(", "),
        output_texts.join(", "),
        predicates.description()
    );
    let table = RollupTable {
        description,
        outputs: measured.collect(),
        computed: outputs.computed,
        distinct: outputs.distinct,
        table: Arc::clone(&input.table),
        schema: Arc::clone(&schema),
        axes,
        values,
        predicates: Arc::new(predicates),
    };
    let source = provider_as_source(Arc::new(table));
    // scans are compared by their names, so two rollups must not share one
    static ROLLUPS: AtomicU64 = AtomicU64::new(0);
    let name = format!("rollup_{}", ROLLUPS.fetch_add(1, Ordering::Relaxed));
    let columns = aggregate.schema.iter().enumerate().map(|(idx, (qualifier, field))| {
        Expr::Column(Column::new(Some(name.as_str()), format!("c{idx}")))
            .alias_qualified(qualifier.cloned(), field.name().clone())
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::scan(name, source, None)?.project(columns)?.build()
}
