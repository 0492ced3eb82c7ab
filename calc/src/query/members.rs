//! Formulas on a member of totals: `[account: "98"] = "Net Sales" / "Units"` with `at_or_above` is, at
//! every grain, the formula over the totals of the members it reads, not the sum of its leaves.

use std::collections::{BTreeSet, HashMap};

use cube::rollup::{Axis, Filter, Grain, Output, Request, Rollup, RollupColumn};
use cube::{CubeError, CubeId, HierarchyId, MeasureId, MemberId, Version, View};
use roaring::RoaringBitmap;

use super::{Measured, Query, is_too_fine, nothing, over_totals, run};
use crate::check::Formula;
use crate::column::{Column, Fixed};
use crate::error::{CalcError, Result};
use crate::evaluate::Session;
use crate::node::{Kind, Node};
use crate::plan::Plan;

/// What a formula of totals reads: a measure of its own cube at a member of the region's axis.
pub type Slice = (MeasureId, String);

/// The measure and member that a node reads of the region's own axis.
pub fn slice_of(node: &Node, axis: usize) -> Option<Slice> {
    match &node.kind {
        Kind::At(scope, members) => {
            let literal = members.iter().enumerate().find_map(|(at, member)| match &member.kind {
                Kind::MemberLiteral(_, text) => Some((at, text)),
                _ => None,
            });
            match (literal, &scope.node.kind) {
                (Some((at, text)), Kind::Stored(_, measure)) if at == axis => {
                    Some((*measure, text.clone()))
                }
                (None, _) if members.iter().all(|m| matches!(m.kind, Kind::Axis(_))) => {
                    slice_of(&scope.node, axis)
                }
                _ => None,
            }
        }
        Kind::Reduce(reduce) => match (&reduce.inner.node.kind, reduce.under.as_slice()) {
            (Kind::Stored(_, measure), [(at, text)]) if *at == axis => {
                Some((*measure, text.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether a node is made of slices, literals and functions of them alone.
pub fn is_of_slices(node: &Node, cube: CubeId, axis: usize) -> bool {
    match &node.kind {
        Kind::Literal(_) | Kind::Blank => true,
        Kind::Apply(_, arguments) => arguments.iter().all(|node| is_of_slices(node, cube, axis)),
        _ => slice_of(node, axis).is_some() && node.reads().iter().all(|(of, _)| *of == cube),
    }
}

/// A cube's members under a member, at the grain that it names.
pub fn member_filter(version: &Version, cube: CubeId, position: usize, member: MemberId) -> Filter {
    let dimension = version.dimension(version.model.cube_def(cube).dimensions[position]);
    for idx in 0..dimension.def.hierarchies.len() {
        let hierarchy = HierarchyId::from_idx(idx);
        let shape = dimension.shape(hierarchy);
        let depth = usize::from(shape.depth[member.idx()]);
        let Some(ancestors) = shape.ancestors.get(depth) else { continue };
        let below = |other: &MemberId| {
            ancestors[other.idx()] == member && version.holds_facts(cube, position, *other)
        };
        let members: RoaringBitmap =
            dimension.members().filter(below).map(|member| member.0).collect();
        return Filter { position, members, grain: Grain::Level(hierarchy, depth), level: None };
    }
    let members = std::iter::once(member.0).collect();
    Filter { position, members, grain: Grain::Leaf, level: None }
}

/// Puts the values of formulas of totals into the groups that are at their members.
pub(super) fn put_totals(
    view: &View,
    plan: &Plan,
    query: &Request<'_>,
    codes: &[Vec<u32>],
    measure: MeasureId,
    column: &mut RollupColumn,
) -> Result<()> {
    for formula in plan.of_measure(query.cube, measure) {
        let Some((position, members)) = region_of(view, formula) else { continue };
        let pinned = pinned(view, query, position, members);
        let groups: Vec<usize> = (0..column.values.len())
            .filter(|&group| pinned.codes.contains(&codes_at(codes, &pinned.axes, group)))
            .collect();
        if groups.is_empty() {
            continue;
        }
        if query.has_row_conditions() {
            return Err(CalcError::Cube(CubeError::Definition(format!(
                "{} is a formula of totals, which conditions on single rows would tear apart; filter by dimensions",
                formula.target
            ))));
        }
        if is_too_fine(view, query, formula) {
            groups.into_iter().for_each(|group| column.values[group] = None);
            continue;
        }
        let operands = operands(view, plan, query, formula, position)?;
        let values = totals(view, plan, query, codes, formula, &operands, &groups)?;
        let def = view.version.model.cube_def(formula.cube).measure_def(formula.measure);
        let more_digits = column.scale.saturating_sub(def.value_type.scale());
        let unit = cube::number::power_of_ten(more_digits).unwrap_or(1);
        for (group, value) in groups.into_iter().zip(values) {
            column.values[group] = value.and_then(|value| i128::from(value).checked_mul(unit));
        }
    }
    Ok(())
}

/// What pins a request to a formula's members: the axes along their dimension, and the codes along them
/// that hold nothing else of what is wanted.
struct Pinned {
    axes: Vec<usize>,
    codes: BTreeSet<Vec<u32>>,
}

fn pinned(view: &View, query: &Request<'_>, position: usize, members: &RoaringBitmap) -> Pinned {
    let axes: Vec<usize> =
        (0..query.axes.len()).filter(|&axis| query.axes[axis].position == position).collect();
    let filters: Vec<&Filter> = query.filters.iter().filter(|f| f.position == position).collect();
    let dimension = view.version.model.cube_def(query.cube).dimensions[position];
    let (mut inside, mut outside) = (BTreeSet::new(), BTreeSet::new());
    for member in view.version.dimension(dimension).members() {
        let is_wanted = view.version.holds_facts(query.cube, position, member)
            && filters.iter().all(|filter| filter.members.contains(member.0));
        if is_wanted {
            let codes = axes.iter().map(|&axis| query.axes[axis].codes[member.idx()]).collect();
            let side = if members.contains(member.0) { &mut inside } else { &mut outside };
            side.insert(codes);
        }
    }
    Pinned { axes, codes: inside.difference(&outside).cloned().collect() }
}

/// The codes of a group along some axes.
pub(super) fn codes_at(codes: &[Vec<u32>], axes: &[usize], group: usize) -> Vec<u32> {
    axes.iter().map(|&axis| codes[axis][group]).collect()
}

/// Adds the groups in which a formula of totals has a value though no leaf of it has: its operands' totals
/// may meet where no leaves of them do.
pub(super) fn add_groups(
    view: &View,
    plan: &Plan,
    query: &Request<'_>,
    base: &mut Rollup,
) -> Result<()> {
    let all: Vec<usize> = (0..query.axes.len()).collect();
    if all.is_empty() || query.has_row_conditions() {
        return Ok(());
    }
    let mut known: BTreeSet<Vec<u32>> =
        (0..base.group_count).map(|group| codes_at(&base.codes, &all, group)).collect();
    let measures = query.outputs.iter().filter_map(|output| match output {
        Output::Consolidated(measure) => Some(*measure),
        _ => None,
    });
    let mut added: Vec<Vec<u32>> = Vec::new();
    for formula in measures.flat_map(|measure| plan.of_measure(query.cube, measure)) {
        let Some((position, members)) = region_of(view, formula) else { continue };
        let dimension = formula.frame.axes[position].dimension;
        let seen = match view.allowed(dimension) {
            Some(allowed) => members & allowed,
            None => members.clone(),
        };
        if seen.is_empty() || is_too_fine(view, query, formula) {
            continue;
        }
        let pinned = pinned(view, query, position, members);
        if pinned.codes.is_empty() {
            continue;
        }
        let operands = operands(view, plan, query, formula, position)?;
        let others = other_axes(query, position);
        let keys: BTreeSet<&Vec<u32>> =
            operands.iter().flat_map(|operand| operand.values.keys()).collect();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (own, key) in pinned.codes.iter().flat_map(|own| keys.iter().map(move |key| (own, key)))
        {
            let mut group = vec![0; all.len()];
            pinned.axes.iter().zip(own).for_each(|(&axis, &code)| group[axis] = code);
            others.iter().zip(key.iter()).for_each(|(&axis, &code)| group[axis] = code);
            if !known.contains(&group) {
                groups.push(group);
            }
        }
        let codes: Vec<Vec<u32>> =
            all.iter().map(|&axis| groups.iter().map(|group| group[axis]).collect()).collect();
        let places: Vec<usize> = (0..groups.len()).collect();
        let values = totals(view, plan, query, &codes, formula, &operands, &places)?;
        for (group, value) in groups.into_iter().zip(values) {
            if value.is_some() && known.insert(group.clone()) {
                added.push(group);
            }
        }
    }
    put_groups(view, query, base, added);
    Ok(())
}

/// Puts groups without rows among the others, in the order of their codes.
pub(super) fn put_groups(
    view: &View,
    query: &Request<'_>,
    base: &mut Rollup,
    added: Vec<Vec<u32>>,
) {
    if added.is_empty() {
        return;
    }
    let count = base.group_count + added.len();
    for (axis, codes) in base.codes.iter_mut().enumerate() {
        codes.extend(added.iter().map(|group| group[axis]));
    }
    let mut order: Vec<usize> = (0..count).collect();
    let all: Vec<usize> = (0..base.codes.len()).collect();
    order.sort_by_cached_key(|&group| codes_at(&base.codes, &all, group));
    for codes in &mut base.codes {
        *codes = order.iter().map(|&group| codes[group]).collect();
    }
    for (output, column) in query.outputs.iter().zip(&mut base.columns) {
        let nothing = nothing(view, query.cube, *output);
        let value = |&group: &usize| column.values.get(group).copied().unwrap_or(nothing);
        column.values = order.iter().map(value).collect();
    }
    base.group_count = count;
}

/// The axis and the members of a formula of totals; none of another.
fn region_of<'a>(view: &'a View, formula: &Formula) -> Option<(usize, &'a RoaringBitmap)> {
    let (position, _) = formula.region.first().filter(|_| formula.is_of_totals())?;
    let region = view.version.regions.iter().find(|region| region.target == formula.target)?;
    Some((*position, &region.members.first()?.1))
}

fn other_axes(query: &Request<'_>, position: usize) -> Vec<usize> {
    (0..query.axes.len()).filter(|&axis| query.axes[axis].position != position).collect()
}

/// The totals of what a formula reads, by the codes of the axes along other dimensions.
struct Operand {
    slice: Slice,
    scale: u32,
    values: HashMap<Vec<u32>, i128>,
}

fn operands(
    view: &View,
    plan: &Plan,
    query: &Request<'_>,
    formula: &Formula,
    position: usize,
) -> Result<Vec<Operand>> {
    let mut slices = Vec::new();
    collect_slices(&formula.node, position, &mut slices);
    let others = other_axes(query, position);
    let all: Vec<usize> = (0..others.len()).collect();
    let mut operands = Vec::new();
    for (measure, text) in slices {
        let dimension = formula.frame.axes[position].dimension;
        let member = plan.tables.literal(&view.version, dimension, &text);
        let mut operand = Operand { slice: (measure, text), scale: 0, values: HashMap::new() };
        if member != MemberId::NONE {
            let axes: Vec<Axis> = others.iter().map(|&axis| query.axes[axis].clone()).collect();
            let mut filters: Vec<Filter> =
                query.filters.iter().filter(|f| f.position != position).cloned().collect();
            filters.push(member_filter(&view.version, query.cube, position, member));
            let outputs = vec![Measured::Consolidated(measure)];
            let query = Query { axes, filters, outputs, ..Query::of(query.cube) };
            let found = run(view, plan, &query)?;
            let values = (0..found.group_count).filter_map(|group| {
                Some((codes_at(&found.codes, &all, group), found.columns[0].values[group]?))
            });
            operand.values = values.collect();
            operand.scale = found.columns[0].scale;
        }
        operands.push(operand);
    }
    Ok(operands)
}

/// A formula over the totals of its operands, for some groups.
fn totals(
    view: &View,
    plan: &Plan,
    query: &Request<'_>,
    codes: &[Vec<u32>],
    formula: &Formula,
    operands: &[Operand],
    groups: &[usize],
) -> Result<Vec<Option<i64>>> {
    let def = view.version.model.cube_def(formula.cube).measure_def(formula.measure);
    let position = formula.region.first().map_or(0, |(position, _)| *position);
    let session = Session::new(&view.version, &plan.tables, &formula.target);
    let others = other_axes(query, position);
    let column = |operand: &Operand| {
        let values: Vec<Option<i128>> = groups
            .iter()
            .map(|&group| operand.values.get(&codes_at(codes, &others, group)).copied())
            .collect();
        Column::Fixed(Fixed::of_options(&values, operand.scale))
    };
    let columns: Vec<(&Slice, Column)> =
        operands.iter().map(|operand| (&operand.slice, column(operand))).collect();
    let read = |node: &Node| {
        let slice = slice_of(node, position)?;
        columns.iter().find(|(of, _)| **of == slice).map(|(_, column)| column)
    };
    over_totals(&session, formula, def, &read, groups.len())
}

/// The slices that a formula of totals reads.
pub fn collect_slices(node: &Node, axis: usize, into: &mut Vec<Slice>) {
    match slice_of(node, axis) {
        Some(slice) if !into.contains(&slice) => into.push(slice),
        Some(_) => {}
        None => node.children().into_iter().for_each(|child| collect_slices(child, axis, into)),
    }
}
