//! Rollups that know formulas: a consolidated formula is evaluated over consolidated operands.

pub mod members;
pub mod others;

use std::collections::BTreeMap;

use cube::model::{Consolidation, MeasureDef};
use cube::number::{Rounding, divide_rounded, power_of_ten};
use cube::rollup::{
    Arithmetic, Axis, Covering, Distinct, Filter, Grain, Output, Request, Rollup, RollupColumn,
    Selection, rollup,
};
use cube::segment::ValueRange;
use cube::{CubeError, CubeId, MeasureId, Number, View};

use crate::check::Formula;
use crate::column::{Column, Fixed};
use crate::error::{CalcError, Result};
use crate::evaluate::Session;
use crate::evaluate::assign::assigned_column;
use crate::node::Node;
use crate::plan::Plan;

/// A rollup that may ask for formulas.
pub struct Query<'a> {
    /// The cube.
    pub cube: CubeId,
    /// What to group by.
    pub axes: Vec<Axis>,
    /// Which members are wanted.
    pub filters: Vec<Filter>,
    /// Rows wanted, beyond what filters can say.
    pub selection: Option<&'a Selection<'a>>,
    /// Which values are wanted.
    pub ranges: Vec<ValueRange>,
    /// What [`Output::SumOf`] adds up, by position.
    pub computed: Vec<Arithmetic>,
    /// What [`Output::CountDistinct`] tells apart, by position.
    pub distinct: Vec<Distinct>,
    /// What to compute.
    pub outputs: Vec<Measured>,
}

impl Query<'_> {
    /// A query for nothing of a cube, to be filled in.
    pub fn of(cube: CubeId) -> Self {
        Self {
            cube,
            axes: Vec::new(),
            filters: Vec::new(),
            ranges: Vec::new(),
            selection: None,
            computed: Vec::new(),
            distinct: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

/// What to compute of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measured {
    /// The measure by its own rules, formulas included.
    Consolidated(MeasureId),
    /// One of the cube's own outputs.
    Plain(Output),
    /// Plain average of leaves, to this many digits after the point.
    Average(MeasureId, u32),
}

/// What a query's outputs are made of.
#[derive(Default)]
struct Needs<'a> {
    /// Outputs of the cube itself.
    own: Vec<Output>,
    /// Measures of other cubes.
    others: BTreeMap<CubeId, others::Wanted<'a>>,
}

/// What was found of it.
struct Found {
    base: Rollup,
    others: others::Columns,
}

/// Runs a query. The columns stand in the order of its outputs.
pub fn run(view: &View, plan: &Plan, query: &Query<'_>) -> Result<Rollup> {
    let (request, others) = request(view, plan, query);
    let mut base = rollup(view, &request)?;
    members::add_groups(view, plan, &request, &mut base)?;
    let answers = others::ask(view, plan, &request, others)?;
    let added = others::add_groups(view, &request, &mut base, &answers);
    let found = Found { others: others::columns(view, &base, answers), base };
    let columns = query
        .outputs
        .iter()
        .map(|&output| column(view, plan, &request, &found, output))
        .collect::<Result<_>>()?;
    let is_ratio = |output: &Measured| match *output {
        Measured::Consolidated(measure) => {
            consolidated_formula(view, plan, query.cube, measure).is_some()
        }
        _ => false,
    };
    let is_ratio: Vec<bool> = query.outputs.iter().map(is_ratio).collect();
    let mut answer = Rollup { columns, ..found.base };
    others::drop_blank(&mut answer, &added, &is_ratio);
    Ok(answer)
}

/// The aggregate that answers a query as things are; none where rows are scanned.
pub fn source(view: &View, plan: &Plan, query: &Query<'_>) -> Result<Option<Covering>> {
    Ok(cube::rollup::source(view, &request(view, plan, query).0)?)
}

/// What is asked of the query's own cube, and what of others.
fn request<'a, 'p>(
    view: &View,
    plan: &'p Plan,
    query: &Query<'a>,
) -> (Request<'a>, BTreeMap<CubeId, others::Wanted<'p>>) {
    let mut needs = Needs::default();
    for output in &query.outputs {
        need(view, plan, query.cube, *output, &mut needs);
    }
    let request = Request {
        cube: query.cube,
        axes: query.axes.clone(),
        filters: query.filters.clone(),
        ranges: query.ranges.clone(),
        selection: query.selection,
        computed: query.computed.clone(),
        distinct: query.distinct.clone(),
        outputs: needs.own,
    };
    (request, needs.others)
}

/// What an output is where there is no row.
fn nothing(view: &View, cube: CubeId, output: Output) -> Option<i128> {
    let is_count = match output {
        Output::Count(_) | Output::CountRows | Output::CountDistinct(_) => true,
        Output::Consolidated(measure) => {
            let def = view.version.model.cube_def(cube).measure_def(measure);
            def.consolidation == Consolidation::Count
        }
        _ => false,
    };
    is_count.then_some(0)
}

fn consolidated_formula<'a>(
    view: &View,
    plan: &'a Plan,
    cube: CubeId,
    measure: MeasureId,
) -> Option<&'a Formula> {
    let def = view.version.model.cube_def(cube).measure_def(measure);
    let formula = plan.formula(cube, measure).map(AsRef::as_ref);
    formula.filter(|_| def.consolidation == Consolidation::Formula)
}

/// Collects what an output is made of.
fn need<'a>(view: &View, plan: &'a Plan, cube: CubeId, output: Measured, needs: &mut Needs<'a>) {
    let mut add = |output: Output| {
        if !needs.own.contains(&output) {
            needs.own.push(output);
        }
    };
    match output {
        Measured::Plain(output) => add(output),
        Measured::Average(measure, _) => {
            add(Output::Sum(measure));
            add(Output::Count(measure));
        }
        Measured::Consolidated(measure) => match consolidated_formula(view, plan, cube, measure) {
            None => add(Output::Consolidated(measure)),
            Some(formula) => {
                for &(of, operand) in &formula.reads {
                    if of == cube {
                        need(view, plan, cube, Measured::Consolidated(operand), needs);
                        continue;
                    }
                    let reader = &formula.target;
                    let wanted = needs.others.entry(of);
                    let wanted = wanted.or_insert(others::Wanted { reader, measures: Vec::new() });
                    if !wanted.measures.contains(&operand) {
                        wanted.measures.push(operand);
                    }
                }
            }
        },
    }
}

fn column(
    view: &View,
    plan: &Plan,
    request: &Request<'_>,
    found: &Found,
    output: Measured,
) -> Result<RollupColumn> {
    let base = &found.base;
    let find = |wanted: Output| {
        let idx = request.outputs.iter().position(|&output| output == wanted);
        idx.map_or_else(
            || RollupColumn { scale: 0, values: vec![None; base.group_count] },
            |idx| base.columns[idx].clone(),
        )
    };
    match output {
        Measured::Plain(output) => Ok(find(output)),
        Measured::Average(measure, scale) => {
            average(&find(Output::Sum(measure)), &find(Output::Count(measure)), scale)
        }
        Measured::Consolidated(measure) => {
            match consolidated_formula(view, plan, request.cube, measure) {
                None => {
                    let mut column = find(Output::Consolidated(measure));
                    members::put_totals(view, plan, request, &base.codes, measure, &mut column)?;
                    Ok(column)
                }
                Some(formula) => formula_column(view, plan, request, found, formula),
            }
        }
    }
}

fn average(sums: &RollupColumn, counts: &RollupColumn, scale: u32) -> Result<RollupColumn> {
    // rounded once: digits that the average does not show widen the divisor, not the sum
    let finer = scale.max(sums.scale);
    let unit = power_of_ten(finer - scale);
    let pairs = sums.values.iter().zip(&counts.values);
    let values = pairs.map(|(&sum, &count)| match (sum, count) {
        (Some(sum), Some(count)) if count > 0 => {
            let widened = Number::new(sum, sums.scale).rescaled(finer, Rounding::HalfEven)?;
            let divisor = unit.and_then(|unit| count.checked_mul(unit));
            let divisor =
                divisor.ok_or_else(|| CubeError::Overflow("an average's divisor".into()))?;
            Ok(divide_rounded(widened, divisor, Rounding::HalfEven))
        }
        _ => Ok(None),
    });
    Ok(RollupColumn { scale, values: values.collect::<cube::Result<_>>()? })
}

fn formula_column(
    view: &View,
    plan: &Plan,
    request: &Request<'_>,
    found: &Found,
    formula: &Formula,
) -> Result<RollupColumn> {
    let group_count = found.base.group_count;
    let cube = view.version.model.cube_def(request.cube);
    let def = cube.measure_def(formula.measure);
    let scale = def.value_type.scale();
    if is_too_fine(view, request, formula) {
        return Ok(RollupColumn { scale, values: vec![None; group_count] });
    }
    let mut operands = BTreeMap::new();
    for &(of, operand) in &formula.reads {
        let column = match found.others.get(&(of, operand)) {
            Some(column) => column.clone(),
            None => column(view, plan, request, found, Measured::Consolidated(operand))?,
        };
        let fixed = Fixed::of_options(&column.values, column.scale);
        operands.insert((of, operand), Column::Fixed(fixed));
    }
    let session = Session::new(&view.version, &plan.tables, &formula.target);
    let read = |node: &Node| operands.get(&node.operand()?);
    let values = over_totals(&session, formula, def, &read, group_count)?;
    Ok(RollupColumn { scale, values: values.into_iter().map(|v| v.map(i128::from)).collect() })
}

/// A formula over the totals of its operands, group by group; an error of one of them is that of the
/// query that asks for it.
fn over_totals<'a>(
    session: &Session<'_>,
    formula: &Formula,
    def: &MeasureDef,
    read: &dyn Fn(&Node) -> Option<&'a Column>,
    len: usize,
) -> Result<Vec<Option<i64>>> {
    let values = |read: &dyn Fn(&Node) -> Option<Column>, len: usize| {
        let result = session.over_columns(&formula.node, read, len);
        assigned_column(&result, def.value_type, def.rounding)
    };
    let found = values(&|node| read(node).cloned(), len);
    let Some(&first) = found.faults.places().first() else { return Ok(found.options()) };
    let again = values(&|node| read(node).map(|column| column.taken(&[first])), 1);
    let source = again.faults.first().map(|fault| fault.source.clone());
    Err(CalcError::Cell {
        target: formula.target.clone(),
        place: "a total".into(),
        source: source.unwrap_or_else(|| CubeError::Inconsistent(formula.target.clone())),
    })
}

/// Whether the request looks at a dimension below the level at which the formula begins.
fn is_too_fine(view: &View, request: &Request<'_>, formula: &Formula) -> bool {
    let model = &view.version.model;
    let cube = model.cube_def(request.cube);
    formula.grain.iter().any(|&(position, level)| {
        let dimension = cube.dimensions[position];
        let wanted = Formula::height(model, dimension, level);
        let own = cube.levels[position].map_or(0, |own| Formula::height(model, dimension, own));
        let axes =
            request.axes.iter().filter(|axis| axis.position == position).map(|axis| axis.grain);
        let filters = request.filters.iter().filter(|f| f.position == position).map(|f| f.grain);
        axes.chain(filters).any(|grain| match grain {
            Grain::Free => false,
            Grain::Leaf => wanted > own,
            Grain::Level(hierarchy, at) => {
                Formula::height_at(model, dimension, hierarchy, at) < wanted
            }
        })
    })
}
