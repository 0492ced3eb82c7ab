//! Formulas on a member of totals: `[account: "98"] = "Net Sales" / "Units"` with `at_or_above` is, at
//! every grain, the formula over the totals of the members it reads, not the sum of its leaves.

use std::collections::HashMap;
use std::sync::Arc;

use cube::rollup::{Axis, Filter, Grain, Request, RollupColumn};
use cube::{CubeError, CubeId, HierarchyId, MeasureId, MemberId, Version, View};
use roaring::RoaringBitmap;

use super::{Measured, Query, is_too_fine, over_totals, run};
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
        return Filter { position, members, grain: Grain::Level(hierarchy, depth) };
    }
    Filter { position, members: std::iter::once(member.0).collect(), grain: Grain::Leaf }
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
    let formulas: Vec<Arc<Formula>> = plan
        .of_measure(query.cube, measure)
        .filter(|formula| formula.is_of_totals())
        .cloned()
        .collect();
    for formula in formulas {
        let Some(&(position, _)) = formula.region.first() else { continue };
        let region = view.version.regions.iter().find(|region| region.target == formula.target);
        let Some((_, members)) = region.and_then(|region| region.members.first()) else { continue };
        let groups = pinned(view, query, codes, position, members, column.values.len());
        if groups.is_empty() {
            continue;
        }
        if query.selection.is_some() {
            return Err(CalcError::Cube(CubeError::Definition(format!(
                "{} is a formula of totals, which conditions on single rows would tear apart; filter by dimensions",
                formula.target
            ))));
        }
        let values = totals(view, plan, query, codes, &formula, position, &groups)?;
        let unit = cube::number::power_of_ten(column.scale.saturating_sub(values.1)).unwrap_or(1);
        for (group, value) in groups.into_iter().zip(values.0) {
            column.values[group] = value.and_then(|value| i128::from(value).checked_mul(unit));
        }
    }
    Ok(())
}

/// The groups that hold nothing but some members of a dimension.
fn pinned(
    view: &View,
    query: &Request<'_>,
    codes: &[Vec<u32>],
    position: usize,
    members: &RoaringBitmap,
    count: usize,
) -> Vec<usize> {
    if query.filters.iter().any(|f| f.position == position && f.members.is_subset(members)) {
        return (0..count).collect();
    }
    let axes = query.axes.iter().zip(codes);
    let Some((axis, codes)) = axes.into_iter().find(|(axis, _)| axis.position == position) else {
        return Vec::new();
    };
    let wanted = |member: u32| {
        let filters = query.filters.iter().filter(|filter| filter.position == position);
        view.version.holds_facts(query.cube, position, MemberId(member))
            && filters.into_iter().all(|filter| filter.members.contains(member))
    };
    let mut inside = vec![false; axis.cardinality as usize];
    let mut outside = inside.clone();
    for (member, &code) in (0u32..).zip(axis.codes.iter()) {
        if wanted(member) {
            let side = if members.contains(member) { &mut inside } else { &mut outside };
            side[code as usize] = true;
        }
    }
    (0..count)
        .filter(|&group| inside[codes[group] as usize] && !outside[codes[group] as usize])
        .collect()
}

/// A formula over the totals of its slices, for some groups; and the scale of its values.
fn totals(
    view: &View,
    plan: &Plan,
    query: &Request<'_>,
    codes: &[Vec<u32>],
    formula: &Formula,
    position: usize,
    groups: &[usize],
) -> Result<(Vec<Option<i64>>, u32)> {
    let def = view.version.model.cube_def(formula.cube).measure_def(formula.measure);
    let scale = def.value_type.scale();
    if is_too_fine(view, query, formula) {
        return Ok((vec![None; groups.len()], scale));
    }
    let session = Session::new(&view.version, &plan.tables, &formula.target);
    let mut operands = Vec::new();
    collect_slices(&formula.node, position, &mut operands);
    let others: Vec<usize> =
        (0..query.axes.len()).filter(|&axis| query.axes[axis].position != position).collect();
    let key = |codes: &[Vec<u32>], axes: &[usize], group: usize| -> Vec<u32> {
        axes.iter().map(|&axis| codes[axis][group]).collect()
    };
    let mut columns = Vec::new();
    for (measure, text) in operands {
        let dimension = formula.frame.axes[position].dimension;
        let member = plan.tables.literal(&view.version, dimension, &text);
        let found = if member == MemberId::NONE {
            None
        } else {
            let axes: Vec<Axis> = others.iter().map(|&axis| query.axes[axis].clone()).collect();
            let mut filters: Vec<Filter> =
                query.filters.iter().filter(|f| f.position != position).cloned().collect();
            filters.push(member_filter(&view.version, query.cube, position, member));
            let outputs = vec![Measured::Consolidated(measure)];
            Some(run(
                view,
                plan,
                &Query { cube: query.cube, axes, filters, selection: None, outputs },
            )?)
        };
        let mut fixed = Fixed { values: Vec::new(), present: Vec::new(), scale: 0 };
        let all: Vec<usize> = (0..others.len()).collect();
        let known: HashMap<Vec<u32>, i128> = found
            .iter()
            .flat_map(|rollup| {
                (0..rollup.group_count).filter_map(|group| {
                    Some((key(&rollup.codes, &all, group), rollup.columns[0].values[group]?))
                })
            })
            .collect();
        fixed.scale = found.as_ref().map_or(0, |rollup| rollup.columns[0].scale);
        for &group in groups {
            let value = known.get(&key(codes, &others, group));
            fixed.present.push(value.is_some());
            fixed.values.push(value.copied().unwrap_or(0));
        }
        columns.push(((measure, text), Column::Fixed(fixed)));
    }
    let read = |node: &Node| {
        let slice = slice_of(node, position)?;
        columns.iter().find(|(of, _)| *of == slice).map(|(_, column)| column)
    };
    Ok((over_totals(&session, formula, def, &read, groups.len())?, scale))
}

/// The slices that a formula of totals reads.
pub fn collect_slices(node: &Node, axis: usize, into: &mut Vec<Slice>) {
    match slice_of(node, axis) {
        Some(slice) if !into.contains(&slice) => into.push(slice),
        Some(_) => {}
        None => node.children().into_iter().for_each(|child| collect_slices(child, axis, into)),
    }
}
