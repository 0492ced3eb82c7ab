//! The model: what dimensions, cubes, measures and formulas there are.
//!
//! Definitions name each other by name, are what model files say, and are what ledger entries hold.
//! [`Model`] is the checked whole; a model that exists is consistent.

mod assertion;
mod attribute;
mod dimension;
mod hierarchies;
pub mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{CubeError, Result};
use crate::id::{AttributeId, CubeId, DimensionId, LevelId, MeasureId};
use crate::number::Rounding;
pub use crate::region::TargetText;
use crate::value::{KeyType, ValueType};

pub use assertion::{Assertion, AssertionDef};
pub use attribute::AttributeDef;
pub use dimension::{CalendarDef, DimensionDef, HierarchyDef, HierarchyKind, LevelDef};
pub use unit::{Unit, UnitFactor};

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
    /// One more dimension of a cube, behind those that it has.
    AddCubeDimension {
        /// The cube's name.
        cube: String,
        /// As in [`CubeDef::dimensions`]: `scenario`, or with a level, `date.month`.
        dimension: String,
        /// The key of the member that the rows from before are of; none where there are no rows.
        member: Option<String>,
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
    /// Per dimension that came later, the last ones, the key of the member that the rows from before are of.
    pub later: Vec<Option<String>>,
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

    /// Per dimension, the key of the member that rows from before it are of; none where it was there
    /// first, or before all rows.
    pub fn origins(&self) -> impl Iterator<Item = Option<&str>> {
        let first = self.dimensions.len() - self.later.len();
        std::iter::repeat_n(None, first).chain(self.later.iter().map(Option::as_deref))
    }

    /// Position in the cube of a dimension.
    pub fn position(&self, dimension: DimensionId) -> Option<usize> {
        self.dimensions.iter().position(|&id| id == dimension)
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
                let Cube { mut def, mut units, later, .. } = Cube::clone(self.cube_def(id));
                def.measures.push(measure.clone());
                units.push(None);
                model.cubes[id.idx()] = Arc::new(Cube { units, later, ..model.resolved(def)? });
            }
            ModelChange::AddCubeDimension { cube, dimension, member } => {
                let id = self.cube(cube)?;
                let Cube { mut def, units, mut later, .. } = Cube::clone(self.cube_def(id));
                def.dimensions.push(dimension.clone());
                later.push(member.clone());
                model.cubes[id.idx()] = Arc::new(Cube { units, later, ..model.resolved(def)? });
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
        Ok(Cube { def, dimensions, levels, time, units, later: Vec::new() })
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
