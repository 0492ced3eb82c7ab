//! The model: what dimensions, cubes, measures and formulas there are.
//!
//! Definitions name each other by name, are what model files say, and are what ledger entries hold.
//! [`Model`] is the checked whole; a model that exists is consistent.

mod attribute;
mod hierarchies;
pub mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{CubeError, Result};
use crate::id::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId};
use crate::number::{Number, Rounding};
pub use crate::region::TargetText;
use crate::value::{KeyType, ValueType, parse_date};

pub use attribute::AttributeDef;
pub use unit::{Unit, UnitFactor};

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

/// The two kinds of cube.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CubeKind {
    /// One value per coordinate and measure.
    Cells,
    /// One row per row key.
    Records,
}

/// A cube, as its model file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CubeDef {
    /// Its name.
    pub name: String,
    /// Cells or records.
    pub kind: CubeKind,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Its dimensions, in order: `date`, or with the level at which the cube uses it, `date.month`.
    pub dimensions: Vec<String>,
    /// Columns of the row key (records cubes).
    #[serde(default)]
    pub key: Vec<KeyDef>,
    /// Its measures.
    #[serde(default, rename = "measure")]
    pub measures: Vec<MeasureDef>,
}

/// One column of a row key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDef {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub key_type: KeyType,
}

/// A measure of a cube.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureDef {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// How it consolidates.
    #[serde(default)]
    pub consolidation: Consolidation,
    /// How a formula's result is rounded to the type.
    #[serde(default)]
    pub rounding: Rounding,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The dimension along which it does not simply add up.
    #[serde(default)]
    pub time: Option<TimeDef>,
}

/// How a measure's leaves make its consolidated cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consolidation {
    /// Weighted sum.
    #[default]
    Sum,
    /// Sum by count of the non-blank leaves, rounded to the measure's type.
    Average,
    /// Smallest leaf.
    Min,
    /// Largest leaf.
    Max,
    /// Number of non-blank leaves.
    Count,
    /// Blank above the leaves.
    None,
    /// The measure's formula over consolidated operands.
    Formula,
}

/// A semi-additive rule: one dimension is reduced first, leaf by leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDef {
    /// The dimension that is reduced first.
    pub dimension: String,
    /// `dimension.attribute` of the leaf that chooses the rule.
    #[serde(default)]
    pub by: Option<String>,
    /// The rule where no other is chosen.
    #[serde(default)]
    pub default: TimeSummary,
    /// Attribute value to rule.
    #[serde(default)]
    pub rules: BTreeMap<String, TimeSummary>,
}

/// How one leaf is summarised along the dimension that is reduced first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSummary {
    /// Flows add.
    #[default]
    Sum,
    /// The last non-blank value (closing balance).
    Last,
    /// The first non-blank value (opening balance).
    First,
}

/// A formula, as its rule file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormulaDef {
    /// `cube.measure`.
    pub target: String,
    /// The formula's text.
    pub text: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Dimension to the finest level at which the result is not blank.
    #[serde(default)]
    pub at_or_above: BTreeMap<String, String>,
}

/// What must hold of the data, as its test file says: a query with one value, and that value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionDef {
    /// Its name.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The query: one row with one column.
    pub sql: String,
    /// The value it gives, as text; none where it is blank.
    #[serde(default)]
    pub equals: Option<String>,
    /// Whether it is blank.
    #[serde(default)]
    pub equals_blank: bool,
    /// By how much a number may differ; nothing where none is given.
    #[serde(default)]
    pub tolerance: Option<String>,
    /// Cubes that must hold inputs before it is checked, beside those that the query names.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// An assertion and the file it travels in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The file's path in the model's folder.
    pub file: String,
    /// What the file says.
    pub def: AssertionDef,
}

/// A change of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelChange {
    /// The model's own name and description.
    Describe {
        /// Name.
        name: String,
        /// One line for people.
        description: String,
    },
    /// A new dimension; a calendar brings its members.
    AddDimension(DimensionDef),
    /// A new attribute, blank for all members.
    AddAttribute {
        /// The dimension's name.
        dimension: String,
        /// The attribute.
        attribute: AttributeDef,
    },
    /// A new, empty cube.
    AddCube(CubeDef),
    /// A new measure, blank everywhere.
    AddMeasure {
        /// The cube's name.
        cube: String,
        /// The measure.
        measure: MeasureDef,
    },
    /// A new formula, or a new text for its target.
    SetFormula(FormulaDef),
    /// The target becomes an input measure again, blank.
    RemoveFormula {
        /// `cube.measure`.
        target: String,
    },
    /// A new assertion, or another one of its name.
    SetAssertion {
        /// The file's path in the model's folder.
        file: String,
        /// The assertion.
        assertion: AssertionDef,
    },
    /// The assertion is checked no more.
    RemoveAssertion {
        /// Its name.
        name: String,
    },
    /// What a measure is counted in.
    SetUnit {
        /// The cube's name.
        cube: String,
        /// The measure's name.
        measure: String,
        /// The unit; empty: none, so that any fits.
        unit: String,
    },
    /// More levels and hierarchies of a dimension.
    SetHierarchies {
        /// The dimension's name.
        dimension: String,
        /// All its levels, those that it had first.
        levels: Vec<LevelDef>,
        /// All its hierarchies, those that it had first.
        hierarchies: Vec<HierarchyDef>,
    },
}

/// The checked whole of a tenant's definitions.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Dimensions; the position is the [`DimensionId`].
    pub dimensions: Vec<Arc<DimensionDef>>,
    /// Cubes; the position is the [`CubeId`].
    pub cubes: Vec<Arc<Cube>>,
    /// Formulas, in the order of their first activation.
    pub formulas: Vec<Arc<FormulaDef>>,
    /// What must hold of the data after each apply and load, in the order of first activation.
    pub assertions: Vec<Arc<Assertion>>,
}

/// A cube's definition with its names resolved.
#[derive(Debug, Clone)]
pub struct Cube {
    /// What the model file says.
    pub def: CubeDef,
    /// Its dimensions.
    pub dimensions: Vec<DimensionId>,
    /// Per dimension, the level whose members hold its facts; none: the leaves.
    pub levels: Vec<Option<LevelId>>,
    /// Per measure, the semi-additive rule.
    pub time: Vec<Option<TimeRule>>,
    /// Per measure, its unit; none: any.
    pub units: Vec<Option<Unit>>,
}

/// A [`TimeDef`] with its names resolved.
#[derive(Debug, Clone)]
pub struct TimeRule {
    /// Position in the cube of the dimension that is reduced first.
    pub position: usize,
    /// Position in the cube of the dimension, and its attribute, that choose the rule.
    pub by: Option<(usize, AttributeId)>,
    /// The rule where no other is chosen.
    pub default: TimeSummary,
    /// Attribute value to rule.
    pub rules: BTreeMap<String, TimeSummary>,
}

impl CubeDef {
    /// The names of its dimensions, in order, without levels.
    pub fn dimension_names(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(|text| axis_parts(text).0)
    }
}

/// The dimension and the level that an entry of [`CubeDef::dimensions`] names.
pub fn axis_parts(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((dimension, level)) => (dimension, Some(level)),
        None => (text, None),
    }
}

impl Cube {
    /// The measure of a name.
    pub fn measure(&self, name: &str) -> Result<MeasureId> {
        let names = || self.def.measures.iter().map(|measure| measure.name.as_str());
        names()
            .position(|measure| measure == name)
            .map(MeasureId::from_idx)
            .ok_or_else(|| CubeError::unknown("measure", name, names()))
    }

    /// A measure's definition.
    pub fn measure_def(&self, id: MeasureId) -> &MeasureDef {
        &self.def.measures[id.idx()]
    }

    /// A measure's unit; none where any fits.
    pub fn unit(&self, id: MeasureId) -> Option<&Unit> {
        self.units[id.idx()].as_ref()
    }

    /// Position in the cube of a dimension.
    pub fn position(&self, dimension: DimensionId) -> Option<usize> {
        self.dimensions.iter().position(|&id| id == dimension)
    }
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
    fn is_at_or_above(&self, level: LevelId, other: Option<LevelId>) -> bool {
        let Some(other) = other else { return true };
        let [level, other] = [level, other].map(|level| &self.levels[level.idx()].name);
        self.hierarchies.iter().any(|hierarchy| {
            let position = |name| hierarchy.levels.iter().position(|level| level == name);
            matches!((position(level), position(other)), (Some(at), Some(below)) if at <= below)
        })
    }

    /// The definition with what a calendar brings, checked.
    fn completed(mut self) -> Result<Self> {
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

    fn check(&self) -> Result<()> {
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

impl AssertionDef {
    /// Whether it says what is expected, once, and a tolerance only of a number.
    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(definition(format!("assertion {:?}: {what}", self.name)));
        if self.name.trim().is_empty() || self.name.contains(char::is_control) {
            return wrong("its name is one line of text");
        }
        if self.equals.is_some() == self.equals_blank {
            return wrong("it says what is expected by equals or by equals_blank = true");
        }
        let Some(tolerance) = &self.tolerance else { return Ok(()) };
        if Number::parse(tolerance).is_none_or(|number| number < Number::ZERO) {
            return wrong("its tolerance is a number, zero or more");
        }
        if self.equals.as_deref().and_then(Number::parse).is_none() {
            return wrong("a tolerance goes with equals = a number");
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

impl Model {
    /// The dimension of a name.
    pub fn dimension(&self, name: &str) -> Result<DimensionId> {
        let names = || self.dimensions.iter().map(|dimension| dimension.name.as_str());
        names()
            .position(|dimension| dimension == name)
            .map(DimensionId::from_idx)
            .ok_or_else(|| CubeError::unknown("dimension", name, names()))
    }

    /// The cube of a name.
    pub fn cube(&self, name: &str) -> Result<CubeId> {
        let names = || self.cubes.iter().map(|cube| cube.def.name.as_str());
        names()
            .position(|cube| cube == name)
            .map(CubeId::from_idx)
            .ok_or_else(|| CubeError::unknown("cube", name, names()))
    }

    /// A cube's definition.
    pub fn cube_def(&self, id: CubeId) -> &Cube {
        &self.cubes[id.idx()]
    }

    /// A dimension's definition.
    pub fn dimension_def(&self, id: DimensionId) -> &DimensionDef {
        &self.dimensions[id.idx()]
    }

    /// The dimension whose members the values of an attribute name; none where they are plain values,
    /// or as long as a change under way has not brought the dimension yet.
    pub fn member_of(&self, dimension: DimensionId, attribute: AttributeId) -> Option<DimensionId> {
        let def = &self.dimension_def(dimension).attributes[attribute.idx()];
        self.dimension(def.member_of.as_deref()?).ok()
    }

    /// The formula whose target is a whole measure.
    pub fn formula_of(&self, cube: CubeId, measure: MeasureId) -> Option<&FormulaDef> {
        let cube = self.cube_def(cube);
        let target = format!("{}.{}", cube.def.name, cube.measure_def(measure).name);
        self.formulas.iter().find(|formula| formula.target == target).map(Arc::as_ref)
    }

    /// Whether a measure takes input: no formula computes all of it.
    pub fn is_input(&self, cube: CubeId, measure: MeasureId) -> bool {
        self.formula_of(cube, measure).is_none()
    }

    /// The cube and measure that a formula's target names, whatever its region.
    pub fn target(&self, target: &str) -> Result<(CubeId, MeasureId)> {
        let text = TargetText::parse(target)?;
        let cube = self.cube(&text.cube)?;
        Ok((cube, self.cube_def(cube).measure(&text.measure)?))
    }

    /// The model with one change. Members and cells are not its business.
    pub fn with(&self, change: &ModelChange) -> Result<Model> {
        let mut model = self.clone();
        match change {
            ModelChange::Describe { name, description } => {
                model.name.clone_from(name);
                model.description.clone_from(description);
            }
            ModelChange::AddDimension(dimension) => {
                model.free_table(&dimension.name)?;
                model.dimensions.push(Arc::new(dimension.clone().completed()?));
            }
            ModelChange::AddAttribute { dimension, attribute } => {
                let id = self.dimension(dimension)?;
                let mut dimension = self.dimension_def(id).clone();
                dimension.attributes.push(attribute.clone());
                dimension.check()?;
                model.dimensions[id.idx()] = Arc::new(dimension);
            }
            ModelChange::SetHierarchies { dimension, levels, hierarchies } => {
                let id = self.dimension(dimension)?;
                let extended = self.dimension_def(id).extended(levels, hierarchies)?;
                model.dimensions[id.idx()] = Arc::new(extended);
            }
            ModelChange::AddCube(cube) => {
                model.free_table(&cube.name)?;
                let cube = model.resolved(cube.clone())?;
                model.cubes.push(Arc::new(cube));
            }
            ModelChange::AddMeasure { cube, measure } => {
                let id = self.cube(cube)?;
                let Cube { mut def, mut units, .. } = Cube::clone(self.cube_def(id));
                def.measures.push(measure.clone());
                units.push(None);
                model.cubes[id.idx()] = Arc::new(Cube { units, ..model.resolved(def)? });
            }
            ModelChange::SetFormula(formula) => {
                let (cube, measure) = self.target(&formula.target)?;
                model.check_grain(formula, cube)?;
                let time = &self.cube_def(cube).time[measure.idx()];
                if time.is_some()
                    && self.cube_def(cube).measure_def(measure).consolidation
                        == Consolidation::Formula
                {
                    return Err(definition(format!(
                        "{}: a measure whose consolidation is formula has no time rule",
                        formula.target
                    )));
                }
                match model.formulas.iter().position(|old| old.target == formula.target) {
                    Some(idx) => model.formulas[idx] = Arc::new(formula.clone()),
                    None => model.formulas.push(Arc::new(formula.clone())),
                }
            }
            ModelChange::RemoveFormula { target } => {
                self.target(target)?;
                let targets = || self.formulas.iter().map(|formula| formula.target.as_str());
                if !targets().any(|existing| existing == target) {
                    return Err(CubeError::unknown("formula", target, targets()));
                }
                model.formulas.retain(|formula| &formula.target != target);
            }
            ModelChange::SetAssertion { file, assertion } => {
                assertion.check()?;
                let new = Arc::new(Assertion { file: file.clone(), def: assertion.clone() });
                match model.assertions.iter().position(|old| old.def.name == assertion.name) {
                    Some(idx) => model.assertions[idx] = new,
                    None => model.assertions.push(new),
                }
            }
            ModelChange::RemoveAssertion { name } => {
                let names = || self.assertions.iter().map(|old| old.def.name.as_str());
                if !names().any(|existing| existing == name) {
                    return Err(CubeError::unknown("assertion", name, names()));
                }
                model.assertions.retain(|old| &old.def.name != name);
            }
            ModelChange::SetUnit { cube, measure, unit } => {
                let id = self.cube(cube)?;
                let mut cube = Cube::clone(self.cube_def(id));
                let measure = cube.measure(measure)?;
                cube.units[measure.idx()] = self.resolved_unit(&cube, measure, unit)?;
                model.cubes[id.idx()] = Arc::new(cube);
            }
        }
        Ok(model)
    }

    /// Dimensions, cubes and `<dimension>_closure` share one name space: they are tables in SQL.
    fn free_table(&self, name: &str) -> Result<()> {
        let closure = format!("{name}_closure");
        let base = name.strip_suffix("_closure").unwrap_or(name);
        let taken = |table: &str| {
            self.dimensions.iter().any(|dimension| dimension.name == table)
                || self.cubes.iter().any(|cube| cube.def.name == table)
        };
        if taken(name) || taken(&closure) || (base != name && taken(base)) {
            return Err(CubeError::Exists { kind: "dimension or cube", name: name.into() });
        }
        Ok(())
    }

    fn check_grain(&self, formula: &FormulaDef, cube: CubeId) -> Result<()> {
        for (dimension, level) in &formula.at_or_above {
            let id = self.dimension(dimension)?;
            let Some(position) = self.cube_def(cube).position(id) else {
                return Err(definition(format!(
                    "{}: the cube has no dimension {dimension:?}",
                    formula.target
                )));
            };
            let def = self.dimension_def(id);
            let axis_level = self.cube_def(cube).levels[position];
            if !def.is_at_or_above(def.level(level)?, axis_level) {
                return Err(definition(format!(
                    "{}: the cube is at {:?}, and {level:?} is no level at or above it",
                    formula.target,
                    self.cube_def(cube).def.dimensions[position]
                )));
            }
        }
        Ok(())
    }

    fn resolved(&self, def: CubeDef) -> Result<Cube> {
        check_name("cube", &def.name)?;
        let place = format!("cube {:?}", def.name);
        let axes = def.dimensions.iter().map(|text| self.resolved_axis(text, &place));
        let (dimensions, levels): (Vec<_>, Vec<_>) =
            axes.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        if dimensions.is_empty() {
            return Err(definition(format!("{place}: it has no dimensions")));
        }
        match (def.kind, def.key.is_empty()) {
            (CubeKind::Cells, false) => {
                return Err(definition(format!("{place}: a cells cube has no key of its own")));
            }
            (CubeKind::Records, true) => {
                return Err(definition(format!("{place}: a records cube names its row key")));
            }
            _ => {}
        }
        let columns = def.key.iter().map(|key| key.name.as_str());
        let columns = columns.chain(def.dimension_names());
        unique("column", columns.chain(def.measures.iter().map(|measure| measure.name.as_str())))?;
        let mut time = Vec::new();
        for measure in &def.measures {
            let place = format!("{place}, measure {:?}", measure.name);
            check_name("measure", &measure.name)?;
            if measure.value_type == ValueType::Text && measure.consolidation != Consolidation::None
            {
                return Err(definition(format!(
                    "{place}: a text has no total; its consolidation is none, and a formula lists texts with [BY TEXTLIST: ...] or counts them"
                )));
            }
            if !measure.value_type.is_number()
                && matches!(measure.consolidation, Consolidation::Sum | Consolidation::Average)
            {
                return Err(definition(format!(
                    "{place}: a {} does not add up; choose a consolidation such as none, min or max",
                    measure.value_type
                )));
            }
            time.push(match &measure.time {
                Some(_) if def.kind == CubeKind::Records => {
                    return Err(definition(format!(
                        "{place}: a time rule goes with a cells cube, which has one value a leaf and date"
                    )));
                }
                Some(rule) => Some(self.resolved_time(rule, &dimensions, measure, &place)?),
                None => None,
            });
        }
        let units = vec![None; def.measures.len()];
        Ok(Cube { def, dimensions, levels, time, units })
    }

    /// The dimension that a cube names, and the level above its leaves at which it uses it.
    fn resolved_axis(&self, text: &str, place: &str) -> Result<(DimensionId, Option<LevelId>)> {
        let (name, level) = axis_parts(text);
        let id = self.dimension(name)?;
        let Some(level) = level else { return Ok((id, None)) };
        let dimension = self.dimension_def(id);
        let Some(leaf_level) = dimension.leaf_level() else {
            return Err(definition(format!(
                "{place}: dimension {name} has no named levels to use it at, as in {text:?}"
            )));
        };
        let level = dimension.level(level)?;
        if dimension.default_hierarchy(Some(level)).is_none() {
            return Err(definition(format!("{place}: no hierarchy has the level of {text:?}")));
        }
        Ok((id, Some(level).filter(|&level| level != leaf_level)))
    }

    fn resolved_time(
        &self,
        rule: &TimeDef,
        dimensions: &[DimensionId],
        measure: &MeasureDef,
        place: &str,
    ) -> Result<TimeRule> {
        if measure.consolidation != Consolidation::Sum {
            return Err(definition(format!("{place}: a time rule goes with consolidation sum")));
        }
        let position = |name: &str| {
            let id = self.dimension(name)?;
            let position = dimensions.iter().position(|&dimension| dimension == id);
            let position = position.ok_or_else(|| {
                definition(format!("{place}: the cube has no dimension {name:?}"))
            })?;
            Ok::<_, CubeError>((position, id))
        };
        let by = match &rule.by {
            None => None,
            Some(path) => {
                let (dimension, attribute) = path.split_once('.').ok_or_else(|| {
                    definition(format!("{place}: {path:?} is not of the form dimension.attribute"))
                })?;
                let (position, id) = position(dimension)?;
                Some((position, self.dimension_def(id).attribute(attribute)?))
            }
        };
        let (time_position, time_dimension) = position(&rule.dimension)?;
        let ordered =
            self.dimension_def(time_dimension).hierarchies.iter().all(|h| h.weight.is_none());
        if !ordered {
            return Err(definition(format!(
                "{place}: the time dimension has a weighted hierarchy"
            )));
        }
        Ok(TimeRule {
            position: time_position,
            by,
            default: rule.default,
            rules: rule.rules.clone(),
        })
    }
}

fn definition(message: String) -> CubeError {
    CubeError::Definition(message)
}

fn check_name(kind: &str, name: &str) -> Result<()> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    if !first
        || !letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        || name.len() > 63
    {
        return Err(definition(format!(
            "{kind} name {name:?}: names are lower-case letters, digits and _, start with a letter and have at most 63 characters"
        )));
    }
    Ok(())
}

fn unique<'a, T>(kind: &'static str, names: impl Iterator<Item = &'a T>) -> Result<()>
where
    T: AsRef<str> + ?Sized + 'a,
{
    let mut seen = std::collections::BTreeSet::new();
    for name in names.map(AsRef::as_ref) {
        check_name(kind, name)?;
        if !seen.insert(name) {
            return Err(CubeError::Exists { kind, name: name.to_string() });
        }
    }
    Ok(())
}
