//! Dimensions with their levels and hierarchies, as model files say.

use serde::{Deserialize, Serialize};

use super::{AttributeDef, check_name, definition, unique};
use crate::error::{CubeError, Result};
use crate::id::{AttributeId, HierarchyId, LevelId};
use crate::value::{KeyType, parse_date};

/// A dimension, as its model file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionDef {
    /// Its name.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Type of the keys of members that hold facts.
    #[serde(default)]
    pub key_type: KeyType,
    /// Typed properties of members.
    #[serde(default, rename = "attribute")]
    pub attributes: Vec<AttributeDef>,
    /// Levels of levelled hierarchies.
    #[serde(default, rename = "level")]
    pub levels: Vec<LevelDef>,
    /// Hierarchies, the default one first.
    #[serde(default, rename = "hierarchy")]
    pub hierarchies: Vec<HierarchyDef>,
    /// A calendar makes its own members, levels and hierarchies.
    #[serde(default)]
    pub calendar: Option<CalendarDef>,
}

/// A level of levelled hierarchies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelDef {
    /// Its name.
    pub name: String,
    /// Type of its column in SQL, which holds members' names.
    #[serde(default)]
    pub key_type: KeyType,
}

/// A hierarchy over the members of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HierarchyDef {
    /// Its name.
    pub name: String,
    /// How its levels are found.
    #[serde(default)]
    pub kind: HierarchyKind,
    /// Names of its levels, top down (levelled hierarchies).
    #[serde(default)]
    pub levels: Vec<String>,
    /// The attribute that says how a member enters its parent.
    #[serde(default)]
    pub weight: Option<String>,
    /// Another hierarchy whose parents it shares.
    #[serde(default)]
    pub same_as: Option<String>,
}

/// How the levels of a hierarchy are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HierarchyKind {
    /// Named levels; every member is on one of them.
    #[default]
    Levels,
    /// The level of a member is its depth.
    ParentChild,
}

/// Days, months, quarters and years, made by the dimension itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarDef {
    /// First day, `YYYY-MM-DD`.
    pub start: String,
    /// Last day, included.
    pub end: String,
    /// First month of the fiscal year, which is named after the year in which it ends.
    #[serde(default)]
    pub fiscal_start_month: Option<u32>,
}

impl DimensionDef {
    /// The attribute of a name.
    pub fn attribute(&self, name: &str) -> Result<AttributeId> {
        let names = || self.attributes.iter().map(|attribute| attribute.name.as_str());
        names()
            .position(|attribute| attribute == name)
            .map(AttributeId::from_idx)
            .ok_or_else(|| CubeError::unknown("attribute", name, names()))
    }

    /// The level of a name.
    pub fn level(&self, name: &str) -> Result<LevelId> {
        let names = || self.levels.iter().map(|level| level.name.as_str());
        names()
            .position(|level| level == name)
            .map(LevelId::from_idx)
            .ok_or_else(|| CubeError::unknown("level", name, names()))
    }

    /// The hierarchy of a name.
    pub fn hierarchy(&self, name: &str) -> Result<HierarchyId> {
        let names = || self.hierarchies.iter().map(|hierarchy| hierarchy.name.as_str());
        names()
            .position(|hierarchy| hierarchy == name)
            .map(HierarchyId::from_idx)
            .ok_or_else(|| CubeError::unknown("hierarchy", name, names()))
    }

    /// The level whose members hold facts, in a dimension with levels.
    pub fn leaf_level(&self) -> Option<LevelId> {
        let hierarchy = self.hierarchies.iter().find(|h| h.kind == HierarchyKind::Levels)?;
        self.level(hierarchy.levels.last()?).ok()
    }

    /// The hierarchy of members of a level (none: leaves) where no other is named: the first that
    /// has the level.
    pub fn default_hierarchy(&self, level: Option<LevelId>) -> Option<HierarchyId> {
        let has = |hierarchy: &HierarchyDef| match level {
            None => true,
            Some(level) => hierarchy.levels.contains(&self.levels[level.idx()].name),
        };
        self.hierarchies.iter().position(has).map(HierarchyId::from_idx)
    }

    /// Whether a level is another one (none: the leaves) or above it in some hierarchy.
    pub(super) fn is_at_or_above(&self, level: LevelId, other: Option<LevelId>) -> bool {
        let Some(other) = other else { return true };
        let [level, other] = [level, other].map(|level| &self.levels[level.idx()].name);
        self.hierarchies.iter().any(|hierarchy| {
            let position = |name| hierarchy.levels.iter().position(|level| level == name);
            matches!((position(level), position(other)), (Some(at), Some(below)) if at <= below)
        })
    }

    /// The definition with what a calendar brings, checked.
    pub(super) fn completed(mut self) -> Result<Self> {
        if let Some(calendar) = &self.calendar {
            let fiscal = calendar.fiscal_start_month;
            if !self.levels.is_empty() || !self.hierarchies.is_empty() {
                return Err(definition(format!(
                    "dimension {:?}: a calendar brings its own levels and hierarchies",
                    self.name
                )));
            }
            if self.key_type != KeyType::Date {
                return Err(definition(format!(
                    "dimension {:?}: a calendar's key_type is date",
                    self.name
                )));
            }
            calendar.days(&self.name)?;
            let level = |name: &str, key_type| LevelDef { name: name.into(), key_type };
            self.levels = vec![
                level("year", KeyType::Integer),
                level("quarter", KeyType::Text),
                level("month", KeyType::Text),
                level("day", KeyType::Date),
            ];
            let hierarchy = |name: &str, levels: [&str; 4]| HierarchyDef {
                name: name.into(),
                kind: HierarchyKind::Levels,
                levels: levels.map(String::from).to_vec(),
                weight: None,
                same_as: None,
            };
            self.hierarchies = vec![hierarchy("calendar", ["year", "quarter", "month", "day"])];
            if fiscal.is_some() {
                self.levels.push(level("fiscal_year", KeyType::Integer));
                self.levels.push(level("fiscal_quarter", KeyType::Text));
                self.hierarchies
                    .push(hierarchy("fiscal", ["fiscal_year", "fiscal_quarter", "month", "day"]));
            }
        }
        self.check()?;
        Ok(self)
    }

    pub(super) fn check(&self) -> Result<()> {
        check_name("dimension", &self.name)?;
        unique("attribute", self.attributes.iter().map(|a| &a.name))?;
        unique("level", self.levels.iter().map(|l| &l.name))?;
        unique("hierarchy", self.hierarchies.iter().map(|h| &h.name))?;
        for reserved in ["key", "name", "parent", "depth", "weight"] {
            if self.attributes.iter().any(|attribute| attribute.name == reserved) {
                return Err(definition(format!(
                    "dimension {:?}: {reserved:?} is a column of every dimension, name the attribute otherwise",
                    self.name
                )));
            }
        }
        for attribute in &self.attributes {
            if let Some(of) = &attribute.member_of {
                check_name("dimension", of)?;
            }
        }
        let leaf_level = self.leaf_level();
        for hierarchy in &self.hierarchies {
            let place = format!("dimension {:?}, hierarchy {:?}", self.name, hierarchy.name);
            match hierarchy.kind {
                HierarchyKind::Levels => {
                    if hierarchy.levels.is_empty() {
                        return Err(definition(format!("{place}: it names no levels")));
                    }
                    unique("level", hierarchy.levels.iter())?;
                    for level in &hierarchy.levels {
                        self.level(level)?;
                    }
                    let last = hierarchy.levels.last().map(|name| self.level(name)).transpose()?;
                    if last != leaf_level {
                        return Err(definition(format!(
                            "{place}: every levelled hierarchy of a dimension ends at the same level"
                        )));
                    }
                }
                HierarchyKind::ParentChild if !hierarchy.levels.is_empty() => {
                    return Err(definition(format!("{place}: parent_child names no levels")));
                }
                HierarchyKind::ParentChild => {}
            }
            if let Some(weight) = &hierarchy.weight {
                let attribute = &self.attributes[self.attribute(weight)?.idx()];
                if attribute.member_of.is_some() {
                    return Err(definition(format!(
                        "{place}: attribute {weight:?} names members and is no weight"
                    )));
                }
            }
            if let Some(other) = &hierarchy.same_as {
                let other = &self.hierarchies[self.hierarchy(other)?.idx()];
                if other.same_as.is_some() || other.kind != hierarchy.kind {
                    return Err(definition(format!(
                        "{place}: same_as names a hierarchy of the same kind with parents of its own"
                    )));
                }
            }
        }
        Ok(())
    }
}

impl CalendarDef {
    /// First and last day, as days since 1970-01-01.
    pub fn days(&self, dimension: &str) -> Result<(i32, i32)> {
        let day = |text: &str| {
            parse_date(text).ok_or_else(|| {
                definition(format!(
                    "dimension {dimension:?}: calendar day {text:?} is not of the form YYYY-MM-DD"
                ))
            })
        };
        let (start, end) = (day(&self.start)?, day(&self.end)?);
        if end < start || end - start > 366 * 1000 {
            return Err(definition(format!(
                "dimension {dimension:?}: the calendar ends before it starts, or spans over 1000 years"
            )));
        }
        if self.fiscal_start_month.is_some_and(|month| !(1..=12).contains(&month)) {
            return Err(definition(format!(
                "dimension {dimension:?}: fiscal_start_month is 1 to 12"
            )));
        }
        Ok((start, end))
    }
}
