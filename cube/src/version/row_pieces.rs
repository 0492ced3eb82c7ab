//! The part of the state hash that rows are: each row's names, keys and inputs, one after the other.

use super::Version;
use crate::dimension::Dimension;
use crate::id::{CubeId, MeasureId, MemberId};
use crate::model::{CubeKind, KeyDef};
use crate::segment::Rows;
use crate::state_hash::{Batch, Fields, StateHash, append_text};
use crate::value::ValueType;

/// Members are written once each, rather than for every row, where there are not many more than rows.
const MEMBERS_A_ROW: usize = 2;

/// Hashes rows of a cube: what is the same for all of them is written once.
pub(super) struct RowPieces<'a> {
    version: &'a Version,
    cube: CubeId,
    /// What every row begins with, then the names of dimensions and those of inputs.
    names: Fields,
    keys: &'a [KeyDef],
    axes: Vec<Axis<'a>>,
    /// The measures of which no formula computes all: their positions, and whether they are texts.
    inputs: Vec<(usize, bool)>,
    /// Bytes of a row's fields, without texts.
    room: usize,
    is_records: bool,
    has_regions: bool,
}

/// A dimension of the cube.
struct Axis<'a> {
    dimension: &'a Dimension,
    /// The member that leaves no trace: so a dimension more changes the hash of no row.
    origin: Option<MemberId>,
    /// Per member, the dimension's name and its key, where they are written once.
    members: Option<Fields>,
}

impl<'a> Axis<'a> {
    fn new(dimension: &'a Dimension, origin: Option<MemberId>, row_count: usize) -> Self {
        let is_worth_it = dimension.member_count() <= row_count.saturating_mul(MEMBERS_A_ROW);
        let name = text(&dimension.def.name);
        let write = |at: usize, bytes: &mut Vec<u8>| {
            bytes.extend_from_slice(&name);
            append_text(bytes, dimension.key(MemberId::from_idx(at)));
        };
        let members =
            is_worth_it.then(|| Fields::frugal(dimension.member_count(), write)).flatten();
        Self { dimension, origin, members }
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_text(&mut bytes, text);
    bytes
}

impl<'a> RowPieces<'a> {
    /// Made for about so many rows.
    pub fn new(version: &'a Version, cube: CubeId, row_count: usize) -> Self {
        let def = version.model.cube_def(cube);
        let dimensions = || def.dimensions.iter().map(|&id| version.dimension(id));
        let measures = def.def.measures.iter().enumerate();
        let is_input = |at: &usize| version.model.is_input(cube, MeasureId::from_idx(*at));
        let inputs: Vec<_> = measures.filter(|(at, _)| is_input(at)).collect();
        let mut names = vec![[text("row"), text(&def.def.name)].concat()];
        names.extend(dimensions().map(|dimension| text(&dimension.def.name)));
        names.extend(inputs.iter().map(|(_, measure)| text(&measure.name)));
        let is_text = |(at, measure): (usize, &crate::model::MeasureDef)| {
            (at, measure.value_type == ValueType::Text)
        };
        let names = Fields::new(names.iter().map(Vec::as_slice));
        let axes = dimensions().zip(version.origins(cube));
        let axes = axes.map(|(dimension, origin)| Axis::new(dimension, origin, row_count));
        let axes: Vec<Axis<'_>> = axes.collect();
        let of_axes = axes.iter().map(|axis| axis.members.as_ref().map_or(0, Fields::room));
        let of_names = (1 + axes.len() + inputs.len()) * (names.room() + size_of::<i64>());
        let room = of_axes.sum::<usize>() + of_names;
        Self {
            version,
            cube,
            names,
            keys: &def.def.key,
            room,
            axes,
            inputs: inputs.into_iter().map(is_text).collect(),
            is_records: def.def.kind == CubeKind::Records,
            has_regions: version.regions.iter().any(|region| region.cube == cube),
        }
    }

    /// The sum over rows; those that have no inputs count for nothing.
    pub fn sum(&self, rows: &Rows) -> StateHash {
        StateHash::sum(rows.len(), |row, piece| self.write(rows, row, piece))
    }

    /// Writes a row's inputs, and says whether it has any.
    fn write(&self, rows: &Rows, row: usize, piece: &mut Batch) -> bool {
        let mut has_inputs = self.is_records;
        piece.keep_room(self.room);
        piece.field(&self.names, 0);
        for (key, column) in self.keys.iter().zip(&rows.keys) {
            column[row].with_text(key.key_type, |text| piece.text(text));
        }
        for ((at, axis), column) in (1..).zip(&self.axes).zip(&rows.coordinates) {
            if axis.origin == Some(column[row]) {
                continue;
            }
            match &axis.members {
                Some(members) => piece.field(members, column[row].idx()),
                None => {
                    piece.field(&self.names, at);
                    piece.text(axis.dimension.key(column[row]));
                }
            }
        }
        for (at, &(position, is_text)) in (1 + self.axes.len()..).zip(&self.inputs) {
            let Some(value) = rows.values[position].get(row) else { continue };
            if self.has_regions && self.is_computed(rows, row, position) {
                continue;
            }
            has_inputs = true;
            piece.field(&self.names, at);
            match is_text {
                true => piece.text(self.version.texts.text(value)),
                false => piece.integer(value),
            }
        }
        has_inputs
    }

    fn is_computed(&self, rows: &Rows, row: usize, position: usize) -> bool {
        let member = |axis: usize| -> MemberId { rows.coordinates[axis][row] };
        self.version.is_computed(self.cube, MeasureId::from_idx(position), member)
    }
}
