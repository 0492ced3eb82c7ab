//! Operands of ratios in other cubes. Each of these cubes is asked once, in the same groups and with the
//! same filters, and consolidates by its own rules; its answer is put beside the groups of the cube itself.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use cube::rollup::{Axis, Filter, Output, Request, Rollup, RollupColumn};
use cube::{CubeError, CubeId, MeasureId, Model, View};

use super::members::{codes_at, put_groups};
use super::{Measured, Query, nothing, run};
use crate::error::{CalcError, Result};
use crate::plan::Plan;

/// What is wanted of another cube.
pub(super) struct Wanted<'a> {
    /// A ratio that reads it.
    pub reader: &'a str,
    pub measures: Vec<MeasureId>,
}

/// What another cube answers.
pub(super) struct Answer {
    cube: CubeId,
    measures: Vec<MeasureId>,
    rollup: Rollup,
}

/// Columns of other cubes, in the groups of a rollup.
pub(super) type Columns = BTreeMap<(CubeId, MeasureId), RollupColumn>;

/// Per position of a cube's dimension, the position of the same dimension in another cube.
pub(crate) fn positions_in(model: &Model, cube: CubeId, other: CubeId) -> Result<Vec<usize>> {
    let theirs = &model.cube_def(other).dimensions;
    let own = model.cube_def(cube).dimensions.iter();
    let positions = own.map(|dimension| theirs.iter().position(|their| their == dimension));
    // the checker has seen to it
    let lacking = || CubeError::Inconsistent("a ratio reads a cube of other dimensions".into());
    Ok(positions.collect::<Option<_>>().ok_or_else(lacking)?)
}

/// The cubes whose cells the totals of a cube are made of, itself among them.
pub fn cubes_of_totals(plan: &Plan, cube: CubeId) -> BTreeSet<CubeId> {
    let mut cubes = BTreeSet::from([cube]);
    let mut waiting = vec![cube];
    while let Some(cube) = waiting.pop() {
        for formula in plan.formulas.iter().filter(|f| f.cube == cube && f.is_ratio) {
            let read = formula.reads.iter().map(|(of, _)| *of);
            waiting.extend(read.filter(|&of| cubes.insert(of)).collect::<Vec<_>>());
        }
    }
    cubes
}

/// Asks the other cubes what a request wants of them.
pub(super) fn ask(
    view: &View,
    plan: &Plan,
    request: &Request<'_>,
    wanted: BTreeMap<CubeId, Wanted<'_>>,
) -> Result<Vec<Answer>> {
    let model = &view.version.model;
    let mut answers = Vec::new();
    for (cube, Wanted { reader, measures }) in wanted {
        if request.has_row_conditions() {
            let name = &model.cube_def(cube).def.name;
            return Err(CalcError::Cube(CubeError::Definition(format!(
                "{reader} reads {name}, of which conditions on single rows say nothing; filter by dimensions, one in each condition"
            ))));
        }
        let positions = positions_in(model, request.cube, cube)?;
        let axes = request.axes.iter();
        let axes = axes.map(|axis| Axis { position: positions[axis.position], ..axis.clone() });
        let filters = request.filters.iter();
        let filters =
            filters.map(|filter| Filter { position: positions[filter.position], ..filter.clone() });
        let query = Query {
            axes: axes.collect(),
            filters: filters.collect(),
            outputs: measures.iter().map(|&measure| Measured::Consolidated(measure)).collect(),
            ..Query::of(cube)
        };
        answers.push(Answer { cube, measures, rollup: run(view, plan, &query)? });
    }
    Ok(answers)
}

/// Adds the groups in which only other cubes have values; gives their codes.
pub(super) fn add_groups(
    view: &View,
    request: &Request<'_>,
    base: &mut Rollup,
    answers: &[Answer],
) -> BTreeSet<Vec<u32>> {
    let all: Vec<usize> = (0..request.axes.len()).collect();
    let mut added = BTreeSet::new();
    for Answer { rollup, .. } in answers {
        let has_value = |group: usize| rollup.columns.iter().any(|c| c.values[group].is_some());
        let places = places(rollup, base).into_iter().enumerate();
        let new = places.filter(|(group, place)| place.is_none() && has_value(*group));
        added.extend(new.map(|(group, _)| codes_at(&rollup.codes, &all, group)));
    }
    put_groups(view, request, base, added.iter().cloned().collect());
    added
}

/// The columns of other cubes in the groups of a rollup.
pub(super) fn columns(view: &View, base: &Rollup, answers: Vec<Answer>) -> Columns {
    let mut columns = Columns::new();
    for Answer { cube, measures, rollup } in answers {
        let places = places(base, &rollup);
        for (measure, column) in measures.into_iter().zip(rollup.columns) {
            let nothing = nothing(view, cube, Output::Consolidated(measure));
            let value = |place: &Option<usize>| place.map_or(nothing, |group| column.values[group]);
            let values = places.iter().map(value).collect();
            columns.insert((cube, measure), RollupColumn { values, ..column });
        }
    }
    columns
}

/// Takes away groups that were added for ratios, some of the columns, and in which none of these has a value.
pub(super) fn drop_blank(rollup: &mut Rollup, added: &BTreeSet<Vec<u32>>, is_ratio: &[bool]) {
    if added.is_empty() {
        return;
    }
    let all: Vec<usize> = (0..rollup.codes.len()).collect();
    let has_value = |group: usize| {
        let mut columns = rollup.columns.iter().zip(is_ratio);
        columns.any(|(column, is_ratio)| *is_ratio && column.values[group].is_some())
    };
    let is_kept = |group: &usize| {
        has_value(*group) || !added.contains(&codes_at(&rollup.codes, &all, *group))
    };
    let kept: Vec<usize> = (0..rollup.group_count).filter(is_kept).collect();
    for codes in &mut rollup.codes {
        *codes = kept.iter().map(|&group| codes[group]).collect();
    }
    for column in &mut rollup.columns {
        column.values = kept.iter().map(|&group| column.values[group]).collect();
    }
    rollup.group_count = kept.len();
}

/// The place of each group of a rollup among those of another by the same axes. Both are in the order of
/// their codes.
fn places(of: &Rollup, among: &Rollup) -> Vec<Option<usize>> {
    let compare = |place: usize, group: usize| {
        let codes = among.codes.iter().zip(&of.codes);
        let mut orders = codes.map(|(theirs, own)| theirs[place].cmp(&own[group]));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut place = 0;
    let mut places = Vec::with_capacity(of.group_count);
    for group in 0..of.group_count {
        while place < among.group_count && compare(place, group).is_lt() {
            place += 1;
        }
        let is_there = place < among.group_count && compare(place, group).is_eq();
        places.push(is_there.then_some(place));
    }
    places
}
