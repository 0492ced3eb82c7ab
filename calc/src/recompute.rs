//! Recomputation: from changed rows, members and formulas to exactly the cells that depend on them.
//!
//! A write is merged with what is there; formulas of the same row are computed in place; then each
//! aggregation that reads the cube is computed again at the coordinates that the changed rows map
//! to, and so on in the order of the plan. What ran is recorded and returned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::change::{MembersWrite, RowsAction, RowsWrite};
use cube::model::{CubeKind, ModelChange};
use cube::rollup::{Axis, Filter, Grain, Output, Request, rollup};
use cube::segment::{Location, Rows};
use cube::version::RowsUpdate;
use cube::{CubeError, CubeId, MeasureId, MemberId, Number, Scalar, Version, View};
use rayon::prelude::*;

use crate::check::{Aggregate, Formula};
use crate::error::{CalcError, Result};
use crate::eval::{Operands, evaluate};
use crate::plan::Plan;

/// Which formulas ran, and for how many cells each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recomputed(pub BTreeMap<String, u64>);

/// A version on its way to the next.
pub struct Recompute {
    version: Version,
    plan: Arc<Plan>,
    ran: Recomputed,
    /// Per formula (by its place in the plan), coordinates at which an aggregation changed.
    pending: BTreeMap<usize, BTreeSet<Vec<MemberId>>>,
}

impl Recompute {
    /// Starts from a version that is up to date.
    pub fn new(version: Version, plan: Arc<Plan>) -> Self {
        Self { version, plan, ran: Recomputed::default(), pending: BTreeMap::new() }
    }

    /// The new revision and what ran.
    pub fn finish(self) -> (crate::Revision, Recomputed) {
        (crate::Revision { version: Arc::new(self.version), plan: self.plan }, self.ran)
    }

    /// Writes input rows and computes what depends on them.
    pub fn write_rows(&mut self, write: &RowsWrite) -> Result<()> {
        let removes = write.action == RowsAction::Remove;
        if removes && self.is_cells(write.cube) {
            return self.write_rows(&self.blanking(write));
        }
        let computed = |measure: &&MeasureId| self.plan.formula(write.cube, **measure).is_some();
        if let Some(&measure) = write.measures.iter().find(computed) {
            let name = &self.version.model.cube_def(write.cube).measure_def(measure).name;
            let message = format!("measure {name:?} is computed by a formula and takes no input");
            return Err(CubeError::Definition(message).into());
        }
        let update = self.version.prepare(write)?;
        let touched = if removes {
            self.all_measures(write.cube)
        } else {
            write.measures.iter().copied().collect()
        };
        self.install(update, touched)?;
        self.drain()
    }

    /// Writes members; formulas that read an attribute run again for the members whose value changed.
    pub fn write_members(&mut self, write: &MembersWrite) -> Result<()> {
        let before = Arc::clone(&self.version.dimensions[write.dimension.idx()]);
        self.version = self.version.with_members(write)?;
        let mut changed: BTreeMap<cube::AttributeId, BTreeSet<MemberId>> = BTreeMap::new();
        for member in &write.members {
            let Some(id) = before.find(&member.key) else { continue };
            for (attribute, value) in &member.attributes {
                if before.attribute(*attribute, id) != value.as_ref() {
                    changed.entry(*attribute).or_default().insert(id);
                }
            }
        }
        let plan = Arc::clone(&self.plan);
        for (attribute, members) in changed {
            let model = Arc::clone(&self.version.model);
            for formula in plan.reading_attribute(&model, write.dimension, attribute) {
                let position = model.cube_def(formula.cube).position(write.dimension);
                self.compute_where(formula, &|coordinate| {
                    position.is_some_and(|position| members.contains(&coordinate[position]))
                })?;
            }
        }
        self.drain()
    }

    /// Changes definitions; values follow by [`Self::fill_formula`].
    pub fn change_model(&mut self, change: &ModelChange) -> Result<()> {
        self.version = self.version.with_model(change)?;
        self.plan = Arc::new(Plan::compile(&self.version.model)?);
        Ok(())
    }

    /// Computes a formula everywhere.
    pub fn fill_formula(&mut self, target: &str) -> Result<()> {
        let (cube, measure) = self.version.model.target(target)?;
        let plan = Arc::clone(&self.plan);
        if let Some(formula) = plan.formula(cube, measure) {
            self.compute_where(formula, &|_| true)?;
        }
        self.drain()
    }

    /// Computes a formula at the coordinates that a condition chooses: at cells that are there, and
    /// where what it sums of other cubes may make one.
    fn compute_where(
        &mut self,
        formula: &Formula,
        wanted: &dyn Fn(&[MemberId]) -> bool,
    ) -> Result<()> {
        if formula.aggregates.is_empty() {
            let mut update =
                self.rows_where(formula.cube, |rows, row| wanted(&rows.coordinate(row)));
            if update.rows.is_empty() {
                return Ok(());
            }
            self.compute(formula, &mut update)?;
            return self.install(update, BTreeSet::from([formula.measure]));
        }
        let own = self.all_rows(formula.cube);
        let mut due: BTreeSet<Vec<MemberId>> =
            (0..own.len()).map(|row| own.coordinate(row)).collect();
        for aggregate in &formula.aggregates {
            let rows = self.all_rows(aggregate.cube);
            due.extend((0..rows.len()).map(|row| Self::target_coordinate(aggregate, &rows, row)));
        }
        due.retain(|coordinate| wanted(coordinate));
        if let Some(place) = self.plan.place(formula.cube, formula.measure) {
            self.pending.entry(place).or_default().extend(due);
        }
        Ok(())
    }

    fn all_rows(&self, cube: CubeId) -> Rows {
        self.version.rows(cube).all(self.version.empty_rows(cube))
    }

    /// Blanks a formula's values before it becomes an input again.
    pub fn blank_formula(&mut self, target: &str) -> Result<()> {
        let (cube, measure) = self.version.model.target(target)?;
        let mut update =
            self.rows_where(cube, |rows, row| rows.values[measure.idx()][row].is_some());
        update.rows.values[measure.idx()].fill(None);
        self.install(update, BTreeSet::from([measure]))?;
        self.drain()
    }

    fn is_cells(&self, cube: CubeId) -> bool {
        let cube = self.version.model.cubes.get(cube.idx());
        cube.is_some_and(|cube| cube.def.kind == CubeKind::Cells)
    }

    /// Removing cells makes their inputs blank: what formulas read of other cubes is still there.
    fn blanking(&self, write: &RowsWrite) -> RowsWrite {
        let cube = self.version.model.cube_def(write.cube);
        let mut measures: Vec<MeasureId> = self.all_measures(write.cube).into_iter().collect();
        measures.retain(|&measure| self.plan.formula(write.cube, measure).is_none());
        let row_count = write.row_count(0, cube.dimensions.len());
        let values = vec![None; row_count * measures.len()];
        RowsWrite { action: RowsAction::Set, measures, values, ..write.clone() }
    }

    fn all_measures(&self, cube: CubeId) -> BTreeSet<MeasureId> {
        (0..self.version.model.cube_def(cube).def.measures.len()).map(MeasureId::from_idx).collect()
    }

    /// An update that rewrites the rows of a cube that a condition chooses.
    fn rows_where(&self, cube: CubeId, wanted: impl Fn(&Rows, usize) -> bool) -> RowsUpdate {
        let current = self.version.rows(cube);
        let all = self.all_rows(cube);
        let chosen: Vec<usize> = (0..all.len()).filter(|&row| wanted(&all, row)).collect();
        let rows = all.taken(&chosen).sorted();
        let before = (0..rows.len()).map(|row| current.find(&rows, row)).collect();
        RowsUpdate { cube, rows, before, removed: Vec::new() }
    }

    /// Computes the formulas of the same rows, puts the rows in, and notes which aggregations of
    /// other cubes are due. `touched` are the measures that may have changed.
    fn install(&mut self, mut update: RowsUpdate, mut touched: BTreeSet<MeasureId>) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let old = self.replaced_rows(&update);
        let moved = Self::moves_rows(&old, &update);
        // all formulas of rows that come to be, or that are of other members now
        let is_records = !update.rows.keys.is_empty();
        let all_due = moved || (is_records && update.before.iter().any(Option::is_none));
        for formula in plan.of_cube(update.cube) {
            if all_due || formula.operands.iter().any(|operand| touched.contains(operand)) {
                self.compute(formula, &mut update)?;
                touched.insert(formula.measure);
            }
        }
        for (place, formula) in plan.formulas.iter().enumerate() {
            let of_cube = formula.aggregates.iter().filter(|read| read.cube == update.cube);
            for aggregate in of_cube.filter(|read| moved || touched.contains(&read.measure)) {
                let pending = self.pending.entry(place).or_default();
                pending.extend(Self::changed_coordinates(aggregate, &old, &update));
            }
        }
        self.version = self.version.with_update(&update);
        Ok(())
    }

    /// The rows that an update removes, then those that it replaces, as they are.
    fn replaced_rows(&self, update: &RowsUpdate) -> Rows {
        let mut old = self.version.empty_rows(update.cube);
        let locations = update.removed.iter().chain(update.before.iter().flatten());
        locations.for_each(|&location| self.version.rows(update.cube).copy_row(location, &mut old));
        old
    }

    /// Whether rows change their coordinates, which those of a records cube may.
    fn moves_rows(old: &Rows, update: &RowsUpdate) -> bool {
        let replaced = (0..update.rows.len()).filter(|&row| update.before[row].is_some());
        replaced.zip(update.removed.len()..).any(|(row, old_row)| {
            let mut pairs = old.coordinates.iter().zip(&update.rows.coordinates);
            pairs.any(|(before, after)| before[old_row] != after[row])
        })
    }

    fn target_coordinate(aggregate: &Aggregate, rows: &Rows, row: usize) -> Vec<MemberId> {
        aggregate.positions.iter().map(|&position| rows.coordinates[position][row]).collect()
    }

    /// The target coordinates of the rows whose summed value or place changed.
    fn changed_coordinates(
        aggregate: &Aggregate,
        old: &Rows,
        update: &RowsUpdate,
    ) -> BTreeSet<Vec<MemberId>> {
        let measure = aggregate.measure.idx();
        let new = &update.rows;
        let mut coordinates = BTreeSet::new();
        let removed = update.removed.len();
        (0..removed).for_each(|row| {
            coordinates.insert(Self::target_coordinate(aggregate, old, row));
        });
        let mut old_row = removed;
        for (row, before) in update.before.iter().enumerate() {
            let after = Self::target_coordinate(aggregate, new, row);
            if before.is_some() {
                let place = Self::target_coordinate(aggregate, old, old_row);
                let same =
                    place == after && old.values[measure][old_row] == new.values[measure][row];
                old_row += 1;
                if same {
                    continue;
                }
                coordinates.insert(place);
            }
            coordinates.insert(after);
        }
        coordinates
    }

    /// Runs what is pending, in the order of the plan.
    fn drain(&mut self) -> Result<()> {
        while let Some((place, coordinates)) = self.pending.pop_first() {
            let formula = Arc::clone(&self.plan.formulas[place]);
            let mut update = self.rows_at(formula.cube, &coordinates);
            self.compute(&formula, &mut update)?;
            let changed = self.only_changed(update, formula.measure);
            if !changed.rows.is_empty() {
                self.install(changed, BTreeSet::from([formula.measure]))?;
            }
        }
        Ok(())
    }

    /// Cells at some coordinates, those that exist and those that may come to be.
    fn rows_at(&self, cube: CubeId, coordinates: &BTreeSet<Vec<MemberId>>) -> RowsUpdate {
        let mut rows = self.version.empty_rows(cube);
        let mut before = Vec::new();
        let mut probe = self.version.empty_rows(cube);
        for (idx, coordinate) in coordinates.iter().enumerate() {
            for (column, &member) in probe.coordinates.iter_mut().zip(coordinate) {
                column.push(member);
            }
            probe.values.iter_mut().for_each(|column| column.push(None));
            let location = self.version.rows(cube).find(&probe, idx);
            match location {
                Some(location) => self.version.rows(cube).copy_row(location, &mut rows),
                None => rows.push_from(&probe, idx),
            }
            before.push(location);
        }
        RowsUpdate { cube, rows, before, removed: Vec::new() }
    }

    fn only_changed(&self, update: RowsUpdate, measure: MeasureId) -> RowsUpdate {
        let current = self.version.rows(update.cube);
        let old =
            |location: &Option<Location>| location.and_then(|at| current.value(at, measure.idx()));
        let changed: Vec<usize> = (0..update.rows.len())
            .filter(|&row| old(&update.before[row]) != update.rows.values[measure.idx()][row])
            .collect();
        RowsUpdate {
            rows: update.rows.taken(&changed),
            before: changed.iter().map(|&row| update.before[row]).collect(),
            ..update
        }
    }

    /// Computes one formula for all rows of an update, in place.
    fn compute(&mut self, formula: &Formula, update: &mut RowsUpdate) -> Result<()> {
        let rows = &update.rows;
        if rows.is_empty() {
            return Ok(());
        }
        let model = &self.version.model;
        let cube = model.cube_def(formula.cube);
        let def = cube.measure_def(formula.measure);
        let values = if formula.is_blank_at_leaves(model) {
            vec![None; rows.len()]
        } else {
            let aggregates = self.aggregate_columns(formula, rows)?;
            let attributes = self.attribute_columns(formula);
            let scales: Vec<u32> = cube.def.measures.iter().map(|m| m.value_type.scale()).collect();
            let value = |row: usize| {
                let operands = RowOperands {
                    formula,
                    rows,
                    row,
                    scales: &scales,
                    attributes: &attributes,
                    aggregates: &aggregates,
                };
                let result = evaluate(&formula.node, &operands).and_then(|number| {
                    number.map(|n| def.value_type.assign(n, def.rounding)).transpose()
                });
                result.map_err(|source| CalcError::Cell {
                    target: formula.target.clone(),
                    place: self.version.describe_row(formula.cube, rows, row),
                    source,
                })
            };
            (0..rows.len()).into_par_iter().map(value).collect::<Result<Vec<_>>>()?
        };
        if !formula.is_blank_at_leaves(model) {
            *self.ran.0.entry(formula.target.clone()).or_default() += rows.len() as u64;
        }
        update.rows.values[formula.measure.idx()] = values;
        Ok(())
    }

    /// Per attribute the formula reads, its number for every member.
    fn attribute_columns(&self, formula: &Formula) -> Vec<Vec<Option<Number>>> {
        let cube = self.version.model.cube_def(formula.cube);
        let column = |&(position, attribute): &(usize, cube::AttributeId)| {
            let dimension = self.version.dimension(cube.dimensions[position]);
            let scale = dimension.def.attributes[attribute.idx()].value_type.scale();
            let number = |member| match dimension.attribute(attribute, member) {
                Some(Scalar::Stored(value)) => Some(Number::new(i128::from(*value), scale)),
                _ => None,
            };
            dimension.members().map(number).collect()
        };
        formula.attributes.iter().map(column).collect()
    }

    /// Per aggregation the formula reads, its value for every row.
    fn aggregate_columns(
        &self,
        formula: &Formula,
        rows: &Rows,
    ) -> Result<Vec<Vec<Option<Number>>>> {
        formula.aggregates.iter().map(|aggregate| self.aggregate_column(aggregate, rows)).collect()
    }

    fn aggregate_column(&self, aggregate: &Aggregate, rows: &Rows) -> Result<Vec<Option<Number>>> {
        let source = self.version.model.cube_def(aggregate.cube);
        let mut axes = Vec::new();
        let mut filters = Vec::new();
        for (column, &position) in rows.coordinates.iter().zip(&aggregate.positions) {
            let member_count = self.version.dimension(source.dimensions[position]).member_count();
            let codes = Arc::new((0..MemberId::from_idx(member_count).0).collect());
            axes.push(Axis {
                position,
                codes,
                cardinality: MemberId::from_idx(member_count).0,
                grain: Grain::Leaf,
            });
            let members = column.iter().map(|member| member.0).collect();
            filters.push(Filter { position, members, grain: Grain::Leaf });
        }
        let outputs = vec![Output::Sum(aggregate.measure)];
        let request = Request { cube: aggregate.cube, axes, filters, selection: None, outputs };
        let view = View::unrestricted(Arc::new(self.version.clone()));
        let result = rollup(&view, &request)?;
        let column = &result.columns[0];
        let mut sums: BTreeMap<Vec<MemberId>, Number> = BTreeMap::new();
        for group in 0..result.group_count {
            if let Some(sum) = column.values[group] {
                let coordinate = result.codes.iter().map(|codes| MemberId(codes[group])).collect();
                sums.insert(coordinate, Number::new(sum, column.scale));
            }
        }
        Ok((0..rows.len()).map(|row| sums.get(&rows.coordinate(row)).copied()).collect())
    }
}

/// The operands of a formula at one row.
struct RowOperands<'a> {
    formula: &'a Formula,
    rows: &'a Rows,
    row: usize,
    scales: &'a [u32],
    attributes: &'a [Vec<Option<Number>>],
    aggregates: &'a [Vec<Option<Number>>],
}

impl Operands for RowOperands<'_> {
    fn measure(&self, measure: MeasureId) -> Option<Number> {
        let value = self.rows.values[measure.idx()][self.row]?;
        Some(Number::new(i128::from(value), self.scales[measure.idx()]))
    }

    fn attribute(&self, idx: usize) -> Option<Number> {
        let (position, _) = self.formula.attributes[idx];
        self.attributes[idx][self.rows.coordinates[position][self.row].idx()]
    }

    fn aggregate(&self, idx: usize) -> Option<Number> {
        self.aggregates[idx][self.row]
    }
}
