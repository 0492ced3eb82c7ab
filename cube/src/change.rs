//! Changes: what a command does to a version, as data. Ledger entries hold them.

use serde::{Deserialize, Serialize};

use crate::id::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId};
use crate::model::ModelChange;
use crate::value::{KeyPart, Scalar};

/// One change of a tenant's state. Formula results are never part of a change: they follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Definitions.
    Model(ModelChange),
    /// Members added, renamed, moved, given attributes.
    Members(MembersWrite),
    /// Cells or rows.
    Rows(RowsWrite),
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
    /// Values: one per measure and row; none is blank.
    pub values: Vec<Option<i64>>,
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
}
