//! Inputs over computed values: what is written to a measure whose formula is OVERRIDE(input, ...) goes
//! to the measure of its inputs.

use std::collections::BTreeMap;

use cube::change::RowsWrite;
use cube::{CubeId, MeasureId, MemberId, ValueList, Version};

use crate::plan::Plan;

impl Plan {
    /// Whether values can be written to a measure: to itself, or to that of its inputs, in some cells.
    pub fn takes_input(&self, version: &Version, cube: CubeId, measure: MeasureId) -> bool {
        version.model.is_input(cube, measure)
            || self.of_measure(cube, measure).any(|formula| formula.inputs.is_some())
    }

    /// A write as several, each to the measures that hold the inputs of its rows, with the places of these
    /// rows in the write.
    ///
    /// # Errors
    /// A measure that would be written by itself and as the inputs of another.
    pub fn redirected(
        &self,
        version: &Version,
        write: RowsWrite,
    ) -> Result<Vec<(RowsWrite, Vec<usize>)>, MeasureId> {
        let takes = |&measure: &MeasureId| {
            self.of_measure(write.cube, measure).any(|formula| formula.inputs.is_some())
        };
        let cube = version.model.cube_def(write.cube);
        let (keys, axes) = (cube.def.key.len(), cube.dimensions.len());
        if !write.measures.iter().any(takes) {
            let rows = (0..write.row_count(keys, axes)).collect();
            return Ok(vec![(write, rows)]);
        }
        let width = write.measures.len();
        let mut parts: BTreeMap<Vec<MeasureId>, (RowsWrite, Vec<usize>)> = BTreeMap::new();
        for row in 0..write.row_count(keys, axes) {
            let coordinate = &write.coordinates[row * axes..(row + 1) * axes];
            let own = (row * width..(row + 1) * width).map(|at| write.values.get(at));
            // a blank leaves alone what a formula computes and takes no input for
            let takes = |(measure, value): (&MeasureId, Option<i64>)| {
                let taker = self.taker(version, write.cube, *measure, coordinate);
                let is_left = value.is_none()
                    && taker == *measure
                    && version.is_computed(write.cube, *measure, |axis| coordinate[axis]);
                (!is_left).then_some((taker, value))
            };
            let (measures, values): (Vec<MeasureId>, Vec<Option<i64>>) =
                write.measures.iter().zip(own).filter_map(takes).unzip();
            if measures.is_empty() && keys == 0 {
                continue;
            }
            let (part, rows) = parts.entry(measures).or_insert_with_key(|measures| {
                let (keys, coordinates, values) = (Vec::new(), Vec::new(), ValueList::new());
                let measures = measures.clone();
                (RowsWrite { measures, keys, coordinates, values, ..write }, Vec::new())
            });
            rows.push(row);
            part.keys.extend_from_slice(&write.keys[row * keys..(row + 1) * keys]);
            part.coordinates.extend_from_slice(coordinate);
            part.values.extend(values);
        }
        for measures in parts.keys() {
            let twice = measures.iter().enumerate().find(|(at, m)| measures[..*at].contains(m));
            if let Some((_, &measure)) = twice {
                return Err(measure);
            }
        }
        Ok(parts.into_values().collect())
    }

    /// The measure that takes what is written to a measure at a cell: that of its inputs, or itself.
    pub fn taker(
        &self,
        version: &Version,
        cube: CubeId,
        measure: MeasureId,
        coordinate: &[MemberId],
    ) -> MeasureId {
        self.input_at(version, cube, measure, coordinate).unwrap_or(measure)
    }

    /// The measure of the inputs of the formula that computes a cell.
    fn input_at(
        &self,
        version: &Version,
        cube: CubeId,
        measure: MeasureId,
        coordinate: &[MemberId],
    ) -> Option<MeasureId> {
        let regions = version.regions.iter();
        let own = regions
            .filter(|region| (region.cube, region.measure) == (cube, measure))
            .filter(|region| region.contains(|axis| coordinate[axis]));
        // the one that is within all others
        let region = own.reduce(|a, b| if a.contains_region(b) { b } else { a });
        match region {
            Some(region) => {
                let mut formulas = self.of_measure(cube, measure);
                formulas.find(|formula| formula.target == region.target)?.inputs
            }
            None => self.formula(cube, measure)?.inputs,
        }
    }
}
