//! Two branches, or any two states of a tenant, compared: totals, and every cell that differs.
//!
//! What the two share by pointer is equal and not looked at, so a comparison costs what was
//! changed, and the totals.
//!
//! Invariant: what is listed is counted, and what is not listed is counted, too.

mod rows;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use calc::query::others::cubes_of_totals;
use calc::{Measured, Query, run};
use cube::model::{Cube, CubeKind};
use cube::number::{Rounding, format_scaled, power_of_ten};
use cube::{CubeId, MeasureId, Number, ValueType, Version};
use serde::{Deserialize, Serialize};

use crate::error::SqlError;
use crate::tenant::Snapshot;
use rows::{Place, Side, merge};

/// What to compare, and how much to list.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// One cube; all where there is none.
    pub cube: Option<String>,
    /// One measure of the cubes that have it; all where there is none.
    pub measure: Option<String>,
    /// Cells are listed whose values are farther apart; with zero all that differ.
    pub tolerance: Number,
    /// How many cells are listed of each cube.
    pub limit: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { cube: None, measure: None, tolerance: Number::ZERO, limit: 100 }
    }
}

/// How two states differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The name of the one.
    pub from: String,
    /// The name of the other.
    pub to: String,
    /// How the definitions differ, one line each.
    pub model: Vec<String>,
    /// The cubes that both have.
    pub cubes: Vec<CubeComparison>,
}

/// How a cube differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CubeComparison {
    /// Its name.
    pub cube: String,
    /// Its measures in total, by their own consolidation.
    pub totals: Vec<TotalComparison>,
    /// Cells or rows that only the one has.
    pub rows_only_in_from: u64,
    /// Cells or rows that only the other has.
    pub rows_only_in_to: u64,
    /// Cells or rows that both have, with another value somewhere.
    pub rows_changed: u64,
    /// Values that differ in all of these.
    pub cells_differing: u64,
    /// Values that differ by more than the tolerance: how many there are to list.
    pub cells_beyond_tolerance: u64,
    /// What the primary key consists of.
    pub key_columns: Vec<String>,
    /// The largest differences first, then in the order of the key; at most as many as asked for.
    pub cells: Vec<CellDifference>,
}

/// A measure in total. Values are exact decimals; none is blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalComparison {
    /// The measure.
    pub measure: String,
    /// In the one.
    pub from: Option<String>,
    /// In the other.
    pub to: Option<String>,
    /// The other less the one, where blank counts as nothing; none where both are blank.
    pub difference: Option<String>,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellDifference {
    /// The primary key: values of the cube's `key_columns`.
    pub key: Vec<String>,
    /// The measure, or the dimension of a row that moved.
    pub column: String,
    /// In the one; none is blank.
    pub from: Option<String>,
    /// In the other.
    pub to: Option<String>,
    /// The other less the one, where blank counts as nothing; none where they are no numbers.
    pub difference: Option<String>,
}

impl Comparison {
    /// Whether nothing differs: no definition, no total, no cell.
    pub fn is_equal(&self) -> bool {
        self.model.is_empty() && self.cubes.iter().all(CubeComparison::is_equal)
    }
}

impl CubeComparison {
    /// Whether no total and no cell differs.
    pub fn is_equal(&self) -> bool {
        let rows = self.rows_only_in_from + self.rows_only_in_to + self.rows_changed;
        rows == 0 && self.totals.iter().all(|total| total.from == total.to)
    }
}

/// Compares two states by their names. 42704 where one of them lacks the cube or measure.
pub fn compare(
    (from_name, from): (&str, &Snapshot),
    (to_name, to): (&str, &Snapshot),
    options: &CompareOptions,
) -> Result<Comparison, SqlError> {
    let pairs = cube_pairs(&from.view.version, &to.view.version, options)?;
    let cubes = pairs.iter().map(|pair| compare_cube(from, to, pair, options));
    Ok(Comparison {
        from: from_name.to_owned(),
        to: to_name.to_owned(),
        model: model_differences((from_name, &from.view.version), (to_name, &to.view.version)),
        cubes: cubes.collect::<Result<_, _>>()?,
    })
}

/// A cube that both states have, with the measures to compare.
struct CubePair<'a> {
    from: CubeId,
    to: CubeId,
    def: &'a Cube,
    measures: Vec<MeasurePair>,
}

/// A measure that both states have.
#[derive(Debug, Clone)]
struct MeasurePair {
    name: String,
    from: MeasureId,
    to: MeasureId,
    types: (ValueType, ValueType),
}

impl MeasurePair {
    fn is_number(&self) -> bool {
        self.types.0.is_number() && self.types.1.is_number()
    }
}

fn cube_pairs<'a>(
    from: &'a Version,
    to: &Version,
    options: &CompareOptions,
) -> Result<Vec<CubePair<'a>>, SqlError> {
    let mut pairs = Vec::new();
    for (idx, def) in from.model.cubes.iter().enumerate() {
        let name = &def.def.name;
        if options.cube.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let Ok(to_id) = to.model.cube(name) else { continue };
        if !have_one_shape(def, to.model.cube_def(to_id)) {
            continue;
        }
        let measures = measure_pairs(def, to.model.cube_def(to_id), options);
        pairs.push(CubePair { from: CubeId::from_idx(idx), to: to_id, def, measures });
    }
    if let (Some(name), true) = (&options.cube, pairs.is_empty()) {
        from.model.cube(name).and(to.model.cube(name))?;
        let message = format!("cube {name} has other dimensions or keys on the other branch");
        return Err(SqlError::new("42804", message));
    }
    if let (Some(name), true) = (&options.measure, pairs.iter().all(|p| p.measures.is_empty())) {
        if let Some(pair) = pairs.first().filter(|_| options.cube.is_some()) {
            pair.def.measure(name)?;
        }
        return Err(SqlError::new("42704", format!("no cube has a measure {name}")));
    }
    if options.measure.is_some() {
        pairs.retain(|pair| !pair.measures.is_empty());
    }
    Ok(pairs)
}

fn have_one_shape(from: &Cube, to: &Cube) -> bool {
    from.def.kind == to.def.kind
        && from.def.key == to.def.key
        && from.def.dimensions == to.def.dimensions
}

fn measure_pairs(from: &Cube, to: &Cube, options: &CompareOptions) -> Vec<MeasurePair> {
    let pair = |(idx, def): (usize, &cube::model::MeasureDef)| {
        let (from, to_id) = (MeasureId::from_idx(idx), to.measure(&def.name).ok()?);
        let types = (def.value_type, to.measure_def(to_id).value_type);
        let is_wanted = options.measure.as_ref().is_none_or(|wanted| *wanted == def.name);
        is_wanted.then(|| MeasurePair { name: def.name.clone(), from, to: to_id, types })
    };
    from.def.measures.iter().enumerate().filter_map(pair).collect()
}

/// Cubes, measures, units and formulas that only one has, or that differ.
fn model_differences(
    (from_name, from): (&str, &Version),
    (to_name, to): (&str, &Version),
) -> Vec<String> {
    if Arc::ptr_eq(&from.model, &to.model) {
        return Vec::new();
    }
    let mut lines = only_in(from_name, from, to);
    lines.extend(only_in(to_name, to, from));
    for cube in &from.model.cubes {
        let other = to.model.cube(&cube.def.name).map(|id| to.model.cube_def(id));
        let Ok(other) = other else { continue };
        if !have_one_shape(cube, other) {
            lines.push(format!("cube {} has other dimensions or keys", cube.def.name));
        }
        lines.extend(unit_differences((from_name, cube), (to_name, other)));
    }
    let formula = |version: &Version, target: &str| {
        let mut formulas = version.model.formulas.iter();
        formulas.find(|def| def.target == target).map(|def| def.text.clone())
    };
    let targets = from.model.formulas.iter().chain(to.model.formulas.iter());
    let targets: std::collections::BTreeSet<&str> =
        targets.map(|def| def.target.as_str()).collect();
    for target in targets {
        let (ours, theirs) = (formula(from, target), formula(to, target));
        if ours != theirs {
            let text = |text: Option<String>| text.unwrap_or_else(|| "no formula".to_owned());
            let (ours, theirs) = (text(ours), text(theirs));
            lines.push(format!("rule {target}: {from_name}: {ours}; {to_name}: {theirs}"));
        }
    }
    lines
}

/// Measures of both whose units differ.
fn unit_differences((from_name, from): (&str, &Cube), (to_name, to): (&str, &Cube)) -> Vec<String> {
    let line = |(idx, def): (usize, &cube::model::MeasureDef)| {
        let ours = from.unit(MeasureId::from_idx(idx));
        let theirs = to.unit(to.measure(&def.name).ok()?);
        let [ours, theirs] =
            [ours, theirs].map(|unit| unit.map_or("no unit", |unit| unit.text.as_str()));
        let name = format!("{}.{}", from.def.name, def.name);
        (ours != theirs)
            .then(|| format!("unit of {name}: {from_name}: {ours}; {to_name}: {theirs}"))
    };
    from.def.measures.iter().enumerate().filter_map(line).collect()
}

/// Cubes and measures that the other one does not have.
fn only_in(name: &str, own: &Version, other: &Version) -> Vec<String> {
    let mut lines = Vec::new();
    for cube in &own.model.cubes {
        let cube_name = &cube.def.name;
        let Ok(id) = other.model.cube(cube_name) else {
            lines.push(format!("cube {cube_name} only in {name}"));
            continue;
        };
        let theirs = other.model.cube_def(id);
        let missing = cube.def.measures.iter().filter(|def| theirs.measure(&def.name).is_err());
        lines.extend(missing.map(|def| format!("measure {cube_name}.{} only in {name}", def.name)));
    }
    lines
}

fn compare_cube(
    from: &Snapshot,
    to: &Snapshot,
    pair: &CubePair<'_>,
    options: &CompareOptions,
) -> Result<CubeComparison, SqlError> {
    let (ours, theirs) = (from.view.version.rows(pair.from), to.view.version.rows(pair.to));
    let left = Side::new(&from.view, pair.from, theirs, None)?;
    let right = Side::new(&to.view, pair.to, ours, Some((&from.view, pair.from)))?;
    let mut collector = Collector::new(&left, &right, pair, options)?;
    merge(&left, &right, |a, b| collector.visit(a, b))?;
    let key_columns = match pair.def.def.kind {
        CubeKind::Records => pair.def.def.key.iter().map(|key| key.name.clone()).collect(),
        CubeKind::Cells => pair.def.def.dimensions.clone(),
    };
    let totals = totals(from, to, pair)?;
    Ok(CubeComparison {
        cube: pair.def.def.name.clone(),
        totals,
        rows_only_in_from: collector.only_in_from,
        rows_only_in_to: collector.only_in_to,
        rows_changed: collector.changed,
        cells_differing: collector.differing,
        cells_beyond_tolerance: collector.beyond,
        key_columns,
        cells: collector.cells(),
    })
}

/// The totals of the measures that are numbers.
fn totals(
    from: &Snapshot,
    to: &Snapshot,
    pair: &CubePair<'_>,
) -> Result<Vec<TotalComparison>, SqlError> {
    let measures: Vec<&MeasurePair> = pair.measures.iter().filter(|m| m.is_number()).collect();
    let of = |snapshot: &Snapshot, cube, ids: Vec<MeasureId>| total_of(snapshot, cube, &ids);
    let before = of(from, pair.from, measures.iter().map(|measure| measure.from).collect())?;
    let after = if shares_everything(from, to, pair) {
        before.clone()
    } else {
        of(to, pair.to, measures.iter().map(|measure| measure.to).collect())?
    };
    let total = |((measure, from), to): ((&&MeasurePair, Option<Number>), Option<Number>)| {
        let scale = measure.types.0.scale().max(measure.types.1.scale());
        let difference = difference(from, to)?;
        let text = |number: Option<Number>| number.map(|number| shown(number, scale)).transpose();
        Ok(TotalComparison {
            measure: measure.name.clone(),
            from: text(from)?,
            to: text(to)?,
            difference: text(difference)?,
        })
    };
    measures.iter().zip(before).zip(after).map(total).collect()
}

/// Whether the totals of a cube cannot differ: its ratios may read other cubes.
fn shares_everything(from: &Snapshot, to: &Snapshot, pair: &CubePair<'_>) -> bool {
    let (ours, theirs) = (&from.view.version, &to.view.version);
    Arc::ptr_eq(&ours.model, &theirs.model)
        && Arc::ptr_eq(&from.plan, &to.plan)
        && Arc::ptr_eq(&from.view.rights, &to.view.rights)
        && ours.dimensions.iter().zip(&theirs.dimensions).all(|(a, b)| Arc::ptr_eq(a, b))
        && cubes_of_totals(&from.plan, pair.from)
            .into_iter()
            .all(|cube| Arc::ptr_eq(&ours.cubes[cube.idx()], &theirs.cubes[cube.idx()]))
}

fn total_of(
    snapshot: &Snapshot,
    cube: CubeId,
    measures: &[MeasureId],
) -> Result<Vec<Option<Number>>, SqlError> {
    let query = Query {
        outputs: measures.iter().map(|&measure| Measured::Consolidated(measure)).collect(),
        ..Query::of(cube)
    };
    let rollup = run(&snapshot.view, &snapshot.plan, &query)?;
    let total = |column: &cube::rollup::RollupColumn| {
        let value = column.values.first().copied().flatten();
        value.map(|value| Number::new(value, column.scale))
    };
    Ok(rollup.columns.iter().map(total).collect())
}

/// The other less the one, where blank counts as nothing.
fn difference(from: Option<Number>, to: Option<Number>) -> Result<Option<Number>, SqlError> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    Ok(Some(to.unwrap_or(Number::ZERO).minus(from.unwrap_or(Number::ZERO))?))
}

/// A number with the digits it needs, and not fewer than its measure has.
fn shown(number: Number, scale: u32) -> Result<String, SqlError> {
    let scale = number.normalized().scale.max(scale);
    Ok(format_scaled(number.rescaled(scale, Rounding::HalfEven)?, scale))
}

/// A difference that may be listed. The greatest is listed first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    /// At the largest scale of the cube; none where the values are no numbers.
    magnitude: Option<u128>,
    order: Reverse<u64>,
    column: Reverse<Column>,
    places: Reverse<Places>,
}

/// What differs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    /// By position in the cube.
    Dimension(usize),
    /// By position in [`CubePair::measures`].
    Measure(usize),
}

/// Where a row is on the two sides.
type Places = (Option<Place>, Option<Place>);

/// Counts differences and keeps the largest.
struct Collector<'a> {
    from: &'a Side<'a>,
    to: &'a Side<'a>,
    pair: &'a CubePair<'a>,
    /// The largest scale of the cube's measures.
    scale: u32,
    /// What is listed is larger; none lists all that differs.
    threshold: Option<u128>,
    limit: usize,
    largest: BinaryHeap<Reverse<Found>>,
    only_in_from: u64,
    only_in_to: u64,
    changed: u64,
    differing: u64,
    beyond: u64,
}

impl<'a> Collector<'a> {
    fn new(
        from: &'a Side<'a>,
        to: &'a Side<'a>,
        pair: &'a CubePair<'a>,
        options: &CompareOptions,
    ) -> Result<Self, SqlError> {
        let scales = pair.measures.iter().map(|m| m.types.0.scale().max(m.types.1.scale()));
        let scale = scales.max().unwrap_or(0);
        Ok(Self {
            from,
            to,
            pair,
            scale,
            threshold: threshold(options.tolerance, scale)?,
            limit: options.limit,
            largest: BinaryHeap::new(),
            only_in_from: 0,
            only_in_to: 0,
            changed: 0,
            differing: 0,
            beyond: 0,
        })
    }

    fn visit(&mut self, from: Option<Place>, to: Option<Place>) -> Result<(), SqlError> {
        let before = self.differing;
        for idx in 0..self.pair.measures.len() {
            self.visit_measure(idx, (from, to));
        }
        let differs = match (from, to) {
            (Some(a), Some(b)) => self.visit_dimensions(a, b) || self.differing > before,
            _ => true,
        };
        match (from, to) {
            (Some(_), None) => self.only_in_from += 1,
            (None, Some(_)) => self.only_in_to += 1,
            _ => self.changed += u64::from(differs),
        }
        Ok(())
    }

    /// Whether a row lies elsewhere: records may move.
    fn visit_dimensions(&mut self, from: Place, to: Place) -> bool {
        if self.pair.def.def.kind == CubeKind::Cells || self.pair.measures.is_empty() {
            return false;
        }
        let mut moved = false;
        for position in 0..self.from.dimension_count() {
            let same =
                self.from.common_member(from, position) == self.to.common_member(to, position);
            if !same {
                moved = true;
                self.found(None, Column::Dimension(position), (Some(from), Some(to)));
            }
        }
        moved
    }

    fn visit_measure(&mut self, idx: usize, places: Places) {
        let measure = &self.pair.measures[idx];
        let (ours, theirs) = self.values(measure, places);
        let are_same = self.are_same(measure, ours, theirs);
        if are_same || (ours.is_none() && theirs.is_none()) {
            return;
        }
        if !measure.is_number() {
            self.found(None, Column::Measure(idx), places);
            return;
        }
        let widened = |value: Option<i64>, value_type: ValueType| {
            let factor = power_of_ten(self.scale - value_type.scale()).unwrap_or(1);
            i128::from(value.unwrap_or(0)) * factor
        };
        let (a, b) = (widened(ours, measure.types.0), widened(theirs, measure.types.1));
        // a blank is not zero
        if a != b || ours.is_some() != theirs.is_some() {
            self.found(Some(a.abs_diff(b)), Column::Measure(idx), places);
        }
    }

    /// Whether two values are one; each side has a dictionary of its own.
    fn are_same(&self, measure: &MeasurePair, ours: Option<i64>, theirs: Option<i64>) -> bool {
        match (measure.types, ours, theirs) {
            ((ValueType::Text, ValueType::Text), Some(ours), Some(theirs)) => {
                let (from, to) = (&self.from.view.version.texts, &self.to.view.version.texts);
                from.text(ours) == to.text(theirs)
            }
            ((from, to), ..) => ours == theirs && from == to,
        }
    }

    fn values(&self, measure: &MeasurePair, places: Places) -> (Option<i64>, Option<i64>) {
        let from = places.0.and_then(|place| self.from.value(place, measure.from));
        (from, places.1.and_then(|place| self.to.value(place, measure.to)))
    }

    fn found(&mut self, magnitude: Option<u128>, column: Column, places: Places) {
        self.differing += 1;
        let within = matches!((magnitude, self.threshold), (Some(m), Some(t)) if m <= t);
        if within {
            return;
        }
        self.beyond += 1;
        let (order, column) = (Reverse(self.beyond), Reverse(column));
        let found = Found { magnitude, order, column, places: Reverse(places) };
        if self.largest.len() < self.limit {
            self.largest.push(Reverse(found));
        } else if self.largest.peek().is_some_and(|least| least.0 < found) {
            self.largest.pop();
            self.largest.push(Reverse(found));
        }
    }

    /// What is listed.
    fn cells(self) -> Vec<CellDifference> {
        let mut largest: Vec<Found> =
            self.largest.iter().map(|Reverse(found)| found.clone()).collect();
        largest.sort_by(|a, b| b.cmp(a));
        largest.iter().map(|found| self.cell(found)).collect()
    }

    fn cell(&self, found: &Found) -> CellDifference {
        let places = found.places.0;
        let key = match places {
            (Some(place), _) => self.from.key_texts(place),
            (None, Some(place)) => self.to.key_texts(place),
            (None, None) => Vec::new(),
        };
        match found.column.0 {
            Column::Dimension(position) => CellDifference {
                key,
                column: self.pair.def.def.dimensions[position].clone(),
                from: places.0.map(|place| self.from.member_text(place, position)),
                to: places.1.map(|place| self.to.member_text(place, position)),
                difference: None,
            },
            Column::Measure(idx) => self.measure_cell(key, &self.pair.measures[idx], places),
        }
    }

    fn measure_cell(
        &self,
        key: Vec<String>,
        measure: &MeasurePair,
        places: Places,
    ) -> CellDifference {
        let (from, to) = self.values(measure, places);
        let scale = measure.types.0.scale().max(measure.types.1.scale());
        let number = |value: Option<i64>, value_type: ValueType| {
            value.map(|value| Number::new(i128::from(value), value_type.scale()))
        };
        let ends = (number(from, measure.types.0), number(to, measure.types.1));
        // of two 64-bit integers: this fits
        let difference = difference(ends.0, ends.1).ok().flatten();
        let difference = difference.and_then(|number| shown(number, scale).ok());
        CellDifference {
            key,
            column: measure.name.clone(),
            from: from.map(|value| self.from.view.version.format(measure.types.0, value)),
            to: to.map(|value| self.to.view.version.format(measure.types.1, value)),
            difference: difference.filter(|_| measure.is_number()),
        }
    }
}

/// The largest magnitude, at a scale, that is within a tolerance; none where all is beyond it.
fn threshold(tolerance: Number, scale: u32) -> Result<Option<u128>, SqlError> {
    let tolerance = tolerance.normalized();
    // a literal has at most 38 digits
    let mantissa = tolerance.mantissa().unwrap_or(i128::MAX);
    if mantissa < 0 {
        return Err(SqlError::new("22023", format!("tolerance {tolerance} is negative"))
            .with_hint("a tolerance is the size of a difference: 0.5"));
    }
    if mantissa == 0 {
        return Ok(None);
    }
    let digits = mantissa.unsigned_abs();
    Ok(Some(if tolerance.scale > scale {
        power_of_ten(tolerance.scale - scale).map_or(0, |divisor| digits / divisor.unsigned_abs())
    } else {
        let factor = power_of_ten(scale - tolerance.scale).map(i128::unsigned_abs);
        factor.and_then(|factor| digits.checked_mul(factor)).unwrap_or(u128::MAX)
    }))
}
