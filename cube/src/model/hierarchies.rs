//! Levels and hierarchies that a dimension gets while members and cells are there.
//!
//! Levels keep their places, as ids are: new ones come behind. A hierarchy keeps its levels and their
//! order, and may get others between them or above: members go on to have the parents that they have,
//! and none on a new level until one is said.

use super::{DimensionDef, HierarchyDef, LevelDef, definition};
use crate::error::Result;

impl HierarchyDef {
    /// Whether a hierarchy is this one, with more levels perhaps.
    pub fn is_extended_by(&self, other: &Self) -> bool {
        let mut rest = other.levels.iter();
        let has_all = self.levels.iter().all(|level| rest.any(|other| other == level));
        let without_levels = |of: &Self| Self { levels: Vec::new(), ..of.clone() };
        has_all
            && other.levels.last() == self.levels.last()
            && without_levels(self) == without_levels(other)
    }
}

impl DimensionDef {
    /// The dimension with more levels and hierarchies: `levels` and `hierarchies` are all that it has then.
    pub fn extended(&self, levels: &[LevelDef], hierarchies: &[HierarchyDef]) -> Result<Self> {
        let refused = |what: &str| Err(definition(format!("dimension {:?}: {what}", self.name)));
        if self.calendar.is_some() {
            return refused("a calendar brings its own levels and hierarchies");
        }
        if !levels.starts_with(&self.levels) {
            return refused("the levels there are stay as they are, new ones come behind them");
        }
        let is_kept = self.hierarchies.len() <= hierarchies.len()
            && self.hierarchies.iter().zip(hierarchies).all(|(old, new)| old.is_extended_by(new));
        if !is_kept {
            return refused(
                "a hierarchy keeps its kind and its levels, in their order, and may get others above the last one",
            );
        }
        let extended =
            Self { levels: levels.to_vec(), hierarchies: hierarchies.to_vec(), ..self.clone() };
        extended.check()?;
        let (before, after) = (self.leaf_level(), extended.leaf_level());
        if before.is_some() && before != after {
            return refused("facts stay at the level where they are");
        }
        Ok(extended)
    }
}
