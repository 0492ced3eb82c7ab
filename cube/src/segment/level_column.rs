//! Level columns: per row of a segment the group of its member, kept once they were asked for.

use std::sync::{Arc, Mutex, PoisonError};

use super::Segment;
use super::ints::Ints;
use crate::dimension::LevelGroups;

/// The level columns of a segment.
#[derive(Debug, Default)]
pub(super) struct LevelColumns(Mutex<Vec<LevelColumn>>);

#[derive(Debug)]
struct LevelColumn {
    /// Position of the dimension in the cube.
    position: usize,
    /// What the groups are, as [`LevelGroups::identity`].
    identity: Arc<()>,
    groups: Arc<Ints>,
}

/// Level columns of one dimension that are kept: those of states of it that are not read any more
/// make room.
const KEPT_MAX: usize = 4;

impl LevelColumns {
    /// Memory of the columns.
    pub fn size_bytes(&self) -> usize {
        let columns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        columns.iter().map(|column| column.groups.size_bytes()).sum()
    }
}

impl Segment {
    /// Per row, the group of its member in the dimension at a position.
    pub(crate) fn level_column(&self, position: usize, groups: &LevelGroups) -> Arc<Ints> {
        let mut columns = self.level_columns.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |column: &&LevelColumn| {
            column.position == position && Arc::ptr_eq(&column.identity, &groups.identity)
        };
        if let Some(column) = columns.iter().find(is_same) {
            return Arc::clone(&column.groups);
        }
        let codes = self.coordinates[position].ints().to_vec();
        let codes = codes.iter().map(|&member| i64::from(groups.codes[member as usize]));
        let made = Arc::new(Ints::of(codes));
        let same_dimension = |column: &LevelColumn| column.position == position;
        if columns.iter().filter(|column| same_dimension(column)).count() >= KEPT_MAX
            && let Some(oldest) = columns.iter().position(same_dimension)
        {
            columns.remove(oldest);
        }
        let (identity, groups) = (Arc::clone(&groups.identity), Arc::clone(&made));
        columns.push(LevelColumn { position, identity, groups });
        made
    }
}
