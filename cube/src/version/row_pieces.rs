//! The part of the state hash that rows are: each row's keys and inputs, and the digests of what they
//! belong to.

use std::ops::Range;

use super::Version;
use crate::dimension::Dimension;
use crate::id::{CubeId, MeasureId, MemberId};
use crate::model::CubeKind;
use crate::segment::Rows;
use crate::state_hash::{Batch, NameDigest, Piece, StateHash};
use crate::value::{KeyPart, ValueType};

/// Hashes rows of a cube.
pub(super) struct RowPieces<'a> {
    version: &'a Version,
    cube: CubeId,
    name: NameDigest,
    axes: Vec<Axis<'a>>,
    /// The measures of which no formula computes all.
    inputs: Vec<InputMeasure>,
    /// Bytes of a row's piece, without texts.
    bytes: usize,
    is_records: bool,
    has_regions: bool,
}

/// A dimension of the cube.
struct Axis<'a> {
    dimension: &'a Dimension,
    /// The member that leaves no trace: so a dimension more changes the hash of no row.
    origin: Option<MemberId>,
    /// Of all members, where they are known.
    digests: Option<&'a [NameDigest]>,
}

/// A measure that is not computed.
struct InputMeasure {
    position: usize,
    name: NameDigest,
    is_text: bool,
}

impl<'a> RowPieces<'a> {
    /// Made for about so many rows.
    pub fn new(version: &'a Version, cube: CubeId, row_count: usize) -> Self {
        let def = version.model.cube_def(cube);
        let dimensions = def.dimensions.iter().map(|&id| version.dimension(id));
        let axis = |(dimension, origin): (&'a Dimension, _)| Axis {
            dimension,
            origin,
            digests: dimension.digests(row_count),
        };
        let axes: Vec<_> = dimensions.zip(version.origins(cube)).map(axis).collect();
        let is_input = |at: usize| version.model.is_input(cube, MeasureId::from_idx(at));
        let measures = def.def.measures.iter().enumerate().filter(|(at, _)| is_input(*at));
        let measures = measures.map(|(position, measure)| InputMeasure {
            position,
            name: NameDigest::of(Piece::new("measure").text(&measure.name)),
            is_text: measure.value_type == ValueType::Text,
        });
        let inputs: Vec<_> = measures.collect();
        let integers = def.def.key.len() + inputs.len();
        Self {
            version,
            cube,
            name: NameDigest::of(Piece::new("row").text(&def.def.name)),
            axes,
            bytes: integers * size_of::<i64>() + size_of::<NameDigest>(),
            inputs,
            is_records: def.def.kind == CubeKind::Records,
            has_regions: version.regions.iter().any(|region| region.cube == cube),
        }
    }

    /// The sum over rows; those that have no inputs count for nothing.
    pub fn sum(&self, rows: &Rows) -> StateHash {
        StateHash::sum(rows.len(), |range, batch| self.add(rows, range, batch))
    }

    /// Adds a range of rows. Digests are looked up a column at a time, so that waiting for one does not keep
    /// others waiting.
    fn add(&self, rows: &Rows, range: Range<usize>, batch: &mut Batch) {
        let mut names = vec![self.name; range.len()];
        for (axis, column) in self.axes.iter().zip(&rows.coordinates) {
            for (names, &member) in names.iter_mut().zip(&column[range.clone()]) {
                *names += match axis.digests {
                    _ if axis.origin == Some(member) => continue,
                    Some(digests) => digests[member.idx()],
                    None => axis.dimension.digest(member),
                };
            }
        }
        for (row, mut names) in range.zip(names) {
            let value = |input: &InputMeasure| {
                let value = rows.values[input.position].get(row)?;
                (!self.has_regions || !self.is_computed(rows, row, input.position)).then_some(value)
            };
            if !self.is_records && self.inputs.iter().all(|input| value(input).is_none()) {
                continue;
            }
            batch.add(self.bytes, |piece| {
                for column in &rows.keys {
                    match &column[row] {
                        KeyPart::Integer(integer) => piece.integer(*integer),
                        KeyPart::Text(text) => piece.text(text),
                    }
                }
                for input in &self.inputs {
                    let Some(value) = value(input) else { continue };
                    names += input.name;
                    match input.is_text {
                        true => piece.text(self.version.texts.text(value)),
                        false => piece.integer(value),
                    }
                }
                piece.digest(names);
            });
        }
    }

    fn is_computed(&self, rows: &Rows, row: usize, position: usize) -> bool {
        let member = |axis: usize| -> MemberId { rows.coordinates[axis][row] };
        self.version.is_computed(self.cube, MeasureId::from_idx(position), member)
    }
}
