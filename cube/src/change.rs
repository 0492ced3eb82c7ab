//! Changes: what a command does to a version, as data. Ledger entries hold them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blocks;
use crate::id::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId};
use crate::model::ModelChange;
use crate::value::{KeyPart, Scalar};
use crate::value_list::ValueList;

/// One change of a tenant's state. Formula results are never part of a change: they follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Definitions.
    Model(ModelChange),
    /// Members added, renamed, moved, given attributes.
    Members(MembersWrite),
    /// Cells or rows.
    Rows(RowsWrite),
    /// Values of an attribute that hold from a day on.
    Dated(DatedWrite),
    /// Where another change of the same command was read from; changes nothing by itself.
    Source(SourceNote),
    /// The texts that values of text measures name by position, in the rows behind it up to the next
    /// such table of the same command; changes nothing by itself.
    Texts(Vec<Arc<str>>),
}

/// The file that the rows or members of a change were read from, and which of its rows each was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceNote {
    /// The change: its position in the command.
    pub change: u32,
    /// The file's name.
    pub file: String,
    /// SHA-256 of what was in the file.
    pub digest: [u8; 32],
    /// The rows of the file in the order of the change's rows or members; see [`SourceRun`].
    pub runs: Vec<SourceRun>,
}

/// From `first` up to the next run, rows or members of a change stood in the file one after the
/// other, the first of them in row `row`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// Position in the change's rows or members, from 0.
    pub first: u64,
    /// Row of the file; the header is row 1.
    pub row: u64,
}

impl SourceNote {
    /// The runs of row numbers, given for each row or member of a change in order.
    pub fn runs_of(rows: impl IntoIterator<Item = u64>) -> Vec<SourceRun> {
        let mut runs: Vec<SourceRun> = Vec::new();
        for (first, row) in (0..).zip(rows) {
            if runs.last().is_none_or(|run| run.row + (first - run.first) != row) {
                runs.push(SourceRun { first, row });
            }
        }
        runs
    }

    /// The row of the file in which a row or member of the change stood.
    pub fn row(&self, position: u64) -> Option<u64> {
        let after = self.runs.partition_point(|run| run.first <= position);
        let run = self.runs.get(after.checked_sub(1)?)?;
        Some(run.row + (position - run.first))
    }
}

/// Members of one dimension; those whose key is new are added in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersWrite {
    /// The dimension.
    pub dimension: DimensionId,
    /// The id of the first new member: ids are part of the truth.
    pub first_new: MemberId,
    /// The members.
    pub members: Vec<MemberWrite>,
}

/// One member: what is named changes, the rest stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberWrite {
    /// The key; immutable identity.
    pub key: String,
    /// The new name.
    pub name: Option<String>,
    /// The level of a new member, in a dimension with levels.
    pub level: Option<LevelId>,
    /// New parents: per hierarchy a parent's key, or none for a root.
    pub parents: Vec<(HierarchyId, Option<String>)>,
    /// New attribute values; none is blank.
    pub attributes: Vec<(AttributeId, Option<Scalar>)>,
}

/// Values of one attribute, each of a member and from a day on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedWrite {
    /// The dimension.
    pub dimension: DimensionId,
    /// The attribute.
    pub attribute: AttributeId,
    /// The values; of two for the same member and day the later one counts.
    pub values: Vec<DatedValue>,
}

/// A value that a member's attribute has from a day on, until the next dated value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedValue {
    /// The member's key.
    pub member: String,
    /// The first day, in days since 1970-01-01.
    pub valid_from: i32,
    /// The value; none is blank from then on.
    pub value: Option<Scalar>,
}

/// Rows of one cube, each with the same measures; row-major.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsWrite {
    /// The cube.
    pub cube: CubeId,
    /// What happens to the rows.
    pub action: RowsAction,
    /// Which measures `values` holds.
    pub measures: Vec<MeasureId>,
    /// Row keys: as many parts a row as the cube's key has columns (none for cells).
    pub keys: Vec<KeyPart>,
    /// Coordinates: one member per dimension and row. Empty when records are removed.
    pub coordinates: Vec<MemberId>,
    /// Values: one per measure and row; none is blank. That of a text measure is a position in the
    /// [`Change::Texts`] before it.
    pub values: ValueList,
}

/// What a [`RowsWrite`] does to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowsAction {
    /// The named measures take the values; others stay. Rows that do not exist come to be.
    Set,
    /// Rows and all their values go away.
    Remove,
}

impl RowsWrite {
    /// Number of rows, given the cube's number of key columns and dimensions.
    pub fn row_count(&self, key_width: usize, dimension_count: usize) -> usize {
        match self.keys.len().checked_div(key_width) {
            Some(rows) => rows,
            None => self.coordinates.len() / dimension_count.max(1),
        }
    }

    /// Whether the primary key of each row is larger than that of the row before.
    pub fn is_in_order(&self, key_width: usize, dimension_count: usize) -> bool {
        let row_count = self.row_count(key_width, dimension_count);
        match key_width {
            0 => ascends(&self.coordinates, dimension_count, row_count),
            _ => ascends(&self.keys, key_width, row_count),
        }
    }
}

/// Whether what stands row by row is larger in each row than in the one before.
fn ascends<T: Ord + Sync>(row_major: &[T], width: usize, row_count: usize) -> bool {
    blocks::all(row_count, |rows| {
        let row = |row: usize| &row_major[row * width..(row + 1) * width];
        (rows.start.max(1)..rows.end).all(|at| row(at - 1) < row(at))
    })
}

#[cfg(test)]
mod tests {
    use super::SourceNote;

    #[test]
    fn row_numbers_survive_as_runs() {
        let rows = [2, 3, 4, 7, 8, 5, 20];
        let runs = SourceNote::runs_of(rows);
        assert_eq!(runs.len(), 4);
        let note = SourceNote { change: 0, file: "a.csv".into(), digest: [0; 32], runs };
        let found: Vec<_> = (0..7).filter_map(|position| note.row(position)).collect();
        assert_eq!(found, rows);
        assert_eq!(SourceNote { runs: Vec::new(), ..note }.row(0), None);
    }
}
