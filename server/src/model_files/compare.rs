//! What the files say against what the tenant has: changes, and differences no change can make yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::Model;
use cube::model::unit::canonical;
use cube::model::{
    Assertion, AttributeDef, CubeDef, DimensionDef, FormulaDef, MeasureDef, ModelChange, axis_parts,
};
use serde_json::Value;

use super::definitions::{Defined, Definitions};
use super::problem::FileProblem;
use super::source::{Source, Step};

const NOT_YET: &str = "what exists can get attributes, levels, hierarchies, dimensions, measures, units and formulas; other changes cannot be applied yet";

const MORE_LEVELS: &str =
    "levels are added above the last one of a hierarchy, hierarchies behind those that there are";

const MORE_DIMENSIONS: &str =
    "dimensions that a cube has stay in their order; others are added behind them";

/// A change, and the item in the files it comes from.
pub(super) struct Planned {
    pub change: ModelChange,
    /// Position of the file in [`Definitions::sources`]; none for what is in no file.
    pub source: Option<usize>,
    /// The item in an array of the file: `("measure", 2)`; none for the file's own definition.
    pub item: Option<(&'static str, usize)>,
}

impl Planned {
    /// The way to the item in its file.
    pub fn steps(&self) -> Vec<Step<'static>> {
        match self.item {
            Some((array, index)) => vec![Step::Key(array), Step::Index(index)],
            None => Vec::new(),
        }
    }
}

/// Compares files and tenant; changes come in the order of [`ModelChange`]'s needs.
pub(super) fn compare(model: &Model, files: &Definitions<'_>) -> (Vec<Planned>, Vec<FileProblem>) {
    let mut comparison = Comparison { model, files, planned: Vec::new(), problems: Vec::new() };
    comparison.describe();
    comparison.dimensions();
    comparison.cubes();
    comparison.units();
    comparison.formulas();
    comparison.assertions();
    (comparison.planned, comparison.problems)
}

struct Comparison<'a> {
    model: &'a Model,
    files: &'a Definitions<'a>,
    planned: Vec<Planned>,
    problems: Vec<FileProblem>,
}

impl Comparison<'_> {
    fn plan(&mut self, change: ModelChange, source: usize, item: Option<(&'static str, usize)>) {
        self.planned.push(Planned { change, source: Some(source), item });
    }

    fn describe(&mut self) {
        let Some(Defined { def, source }) = &self.files.model else { return };
        if def.name != self.model.name || def.description != self.model.description {
            let (name, description) = (def.name.clone(), def.description.clone());
            self.plan(ModelChange::Describe { name, description }, *source, None);
        }
    }

    fn dimensions(&mut self) {
        let files = self.files;
        for Defined { def, source } in &files.dimensions {
            match self.model.dimension(&def.name) {
                Err(_) => self.plan(ModelChange::AddDimension(def.clone()), *source, None),
                Ok(id) => self.dimension(self.model.dimension_def(id), def, *source),
            }
        }
        for old in &self.model.dimensions {
            if !files.dimensions.iter().any(|new| new.def.name == old.name) {
                self.problems.push(removed("dimension", "dimensions", &old.name));
            }
        }
    }

    fn dimension(&mut self, old: &DimensionDef, new: &DimensionDef, source: usize) {
        let mut old = old.clone();
        if old.calendar.is_some() {
            // the tenant's definition holds what the calendar brought
            old.levels.clear();
            old.hierarchies.clear();
        }
        let place =
            Place { file: self.files.source(source), what: format!("dimension {:?}", old.name) };
        let key_type = (old.key_type.to_string(), new.key_type.to_string());
        let found = [
            place.differs("description", &old.description, &new.description),
            place.differs("key_type", &key_type.0, &key_type.1),
            place.differs("calendar", &old.calendar, &new.calendar),
        ];
        self.problems.extend(found.into_iter().flatten());
        let has_levels = old.levels.len() == new.levels.len() && has_all_levels(&old, new);
        if !has_levels || old.hierarchies != new.hierarchies {
            match extension(&old, new) {
                Ok(change) => self.plan(change, source, None),
                Err(error) => {
                    let key = if has_all_levels(&old, new) { "hierarchy" } else { "level" };
                    let problem = place.file.problem(&[Step::Key(key)], error.to_string());
                    self.problems.push(problem.with_hint(Some(MORE_LEVELS.into())));
                }
            }
        }
        for (index, attribute) in new.attributes.iter().enumerate() {
            match old.attributes.iter().find(|old| old.name == attribute.name) {
                Some(old) => {
                    self.problems.extend(attribute_problems(&place, old, attribute, index))
                }
                None => {
                    let (dimension, attribute) = (old.name.clone(), attribute.clone());
                    let change = ModelChange::AddAttribute { dimension, attribute };
                    self.plan(change, source, Some(("attribute", index)));
                }
            }
        }
        for attribute in &old.attributes {
            if !new.attributes.iter().any(|new| new.name == attribute.name) {
                self.problems.push(place.removed("attribute", &attribute.name));
            }
        }
    }

    fn cubes(&mut self) {
        let files = self.files;
        for (Defined { def, source }, earlier_rows) in files.cubes.iter().zip(&files.earlier_rows) {
            match self.model.cube(&def.name) {
                Err(_) => self.plan(ModelChange::AddCube(def.clone()), *source, None),
                Ok(id) => self.cube(&self.model.cube_def(id).def, def, earlier_rows, *source),
            }
        }
        for old in &self.model.cubes {
            if !files.cubes.iter().any(|new| new.def.name == old.def.name) {
                self.problems.push(removed("cube", "cubes", &old.def.name));
            }
        }
    }

    fn cube(
        &mut self,
        old: &CubeDef,
        new: &CubeDef,
        earlier_rows: &BTreeMap<String, String>,
        source: usize,
    ) {
        for (index, dimension) in added_dimensions(old, new).iter().enumerate() {
            let (name, _) = axis_parts(dimension);
            let change = ModelChange::AddCubeDimension {
                cube: old.name.clone(),
                dimension: dimension.clone(),
                member: earlier_rows.get(name).cloned(),
            };
            self.plan(change, source, Some(("dimensions", old.dimensions.len() + index)));
        }
        let place = Place { file: self.files.source(source), what: format!("cube {:?}", old.name) };
        let found = [
            place.differs("kind", &old.kind, &new.kind),
            place.differs("description", &old.description, &new.description),
            place.differs("key", &old.key, &new.key),
        ];
        self.problems.extend(found.into_iter().flatten());
        if !new.dimensions.starts_with(&old.dimensions) {
            let problem = place.differs("dimensions", &old.dimensions, &new.dimensions);
            self.problems
                .extend(problem.map(|problem| problem.with_hint(Some(MORE_DIMENSIONS.into()))));
        }
        for (index, measure) in new.measures.iter().enumerate() {
            match old.measures.iter().find(|old| old.name == measure.name) {
                Some(old) => self.problems.extend(measure_problems(&place, old, measure, index)),
                None => {
                    let (cube, measure) = (old.name.clone(), measure.clone());
                    let change = ModelChange::AddMeasure { cube, measure };
                    self.plan(change, source, Some(("measure", index)));
                }
            }
        }
        for measure in &old.measures {
            if !new.measures.iter().any(|new| new.name == measure.name) {
                self.problems.push(place.removed("measure", &measure.name));
            }
        }
    }

    /// Units that the files say otherwise than the tenant, where the measure is one.
    fn units(&mut self) {
        let files = self.files;
        for (Defined { def, source }, units) in files.cubes.iter().zip(&files.units) {
            let old = self.model.cube(&def.name).ok().map(|id| self.model.cube_def(id));
            for (index, (measure, unit)) in def.measures.iter().zip(units).enumerate() {
                let item = [Step::Key("measure"), Step::Index(index), Step::Key("unit")];
                let unit = match canonical(unit) {
                    Ok(unit) => unit,
                    Err(error) => {
                        let problem = files.source(*source).problem(&item, error.to_string());
                        self.problems.push(problem);
                        continue;
                    }
                };
                let known = old.and_then(|cube| cube.unit(cube.measure(&measure.name).ok()?));
                if known.map_or("", |known| known.text.as_str()) != unit {
                    let (cube, measure) = (def.name.clone(), measure.name.clone());
                    let change = ModelChange::SetUnit { cube, measure, unit };
                    self.plan(change, *source, Some(("measure", index)));
                }
            }
        }
    }

    /// Removed formulas first: their measures may be read by what follows.
    fn formulas(&mut self) {
        let files = self.files;
        let old_formula = |target: &str| {
            self.model.formulas.iter().find(|old| old.target == target).map(AsRef::as_ref)
        };
        let removed = self
            .model
            .formulas
            .iter()
            .filter(|old| !files.formulas.iter().any(|new| new.def.target == old.target));
        let removed = removed.map(|old| Planned {
            change: ModelChange::RemoveFormula { target: old.target.clone() },
            source: None,
            item: None,
        });
        let changed = files
            .formulas
            .iter()
            .filter(|new| old_formula(&new.def.target) != Some(&new.def as &FormulaDef));
        let changed = changed.map(|new| Planned {
            change: ModelChange::SetFormula(new.def.clone()),
            source: Some(new.source),
            item: Some(("formula", new.index)),
        });
        let planned: Vec<Planned> = removed.chain(changed).collect();
        self.planned.extend(planned);
    }

    fn assertions(&mut self) {
        let files = self.files;
        for old in &self.model.assertions {
            if !files.assertions.iter().any(|new| new.def.name == old.def.name) {
                let change = ModelChange::RemoveAssertion { name: old.def.name.clone() };
                self.planned.push(Planned { change, source: None, item: None });
            }
        }
        for new in &files.assertions {
            let file = files.source(new.source).path;
            let same = |old: &&Arc<Assertion>| old.file == file && old.def == new.def;
            if !self.model.assertions.iter().any(|old| same(&old)) {
                let (file, assertion) = (file.to_string(), new.def.clone());
                let change = ModelChange::SetAssertion { file, assertion };
                self.plan(change, new.source, Some(("assertion", new.index)));
            }
        }
    }
}

/// The dimensions that a cube gets behind those that it has.
fn added_dimensions<'a>(old: &CubeDef, new: &'a CubeDef) -> &'a [String] {
    new.dimensions.strip_prefix(old.dimensions.as_slice()).unwrap_or_default()
}

/// Whether a definition has all levels of another, whose order in a file means nothing.
fn has_all_levels(old: &DimensionDef, new: &DimensionDef) -> bool {
    old.levels.iter().all(|level| new.levels.contains(level))
}

/// The change that brings new levels and hierarchies, where the file has all that there are and more.
fn extension(old: &DimensionDef, new: &DimensionDef) -> cube::Result<ModelChange> {
    // what there is comes first: its places stay
    let kept = old.levels.iter().filter(|level| new.levels.contains(level));
    let added = new.levels.iter().filter(|level| !old.levels.contains(level));
    let levels: Vec<_> = kept.chain(added).cloned().collect();
    old.extended(&levels, &new.hierarchies)?;
    let (dimension, hierarchies) = (old.name.clone(), new.hierarchies.clone());
    Ok(ModelChange::SetHierarchies { dimension, levels, hierarchies })
}

/// A definition in its file.
struct Place<'a> {
    file: &'a Source<'a>,
    what: String,
}

impl Place<'_> {
    /// The problem that a key of the definition is not what the tenant has.
    fn differs<T: PartialEq + serde::Serialize>(
        &self,
        key: &'static str,
        old: &T,
        new: &T,
    ) -> Option<FileProblem> {
        self.item_differs(None, key, old, new)
    }

    /// The same for an item of an array of tables, such as a measure.
    fn item_differs<T: PartialEq + serde::Serialize>(
        &self,
        item: Option<(&'static str, usize, &str)>,
        key: &'static str,
        old: &T,
        new: &T,
    ) -> Option<FileProblem> {
        if old == new {
            return None;
        }
        let (steps, what) = match item {
            None => (vec![Step::Key(key)], self.what.clone()),
            Some((array, index, name)) => (
                vec![Step::Key(array), Step::Index(index), Step::Key(key)],
                format!("{}, {array} {name:?}", self.what),
            ),
        };
        let (old, new) = (in_words(old), in_words(new));
        let message = format!("{what}: {key} is {old} in the tenant and {new} in the file");
        Some(self.file.problem(&steps, message).with_hint(Some(NOT_YET.into())))
    }

    /// The problem that an item the tenant has is no longer in the file.
    fn removed(&self, kind: &str, name: &str) -> FileProblem {
        let message =
            format!("{}: {kind} {name:?} is in the tenant and not in the file", self.what);
        self.file.problem(&[Step::Key("name")], message).with_hint(Some(NOT_YET.into()))
    }
}

fn removed(kind: &str, folder: &str, name: &str) -> FileProblem {
    let message = format!("{kind} {name:?} is in the tenant and in no file");
    FileProblem::of_file(&format!("{folder}/{name}.toml"), message).with_hint(Some(NOT_YET.into()))
}

fn attribute_problems(
    place: &Place<'_>,
    old: &AttributeDef,
    new: &AttributeDef,
    index: usize,
) -> Vec<FileProblem> {
    let item = Some(("attribute", index, old.name.as_str()));
    let found = [
        place.item_differs(item, "type", &old.type_text(), &new.type_text()),
        place.item_differs(item, "description", &old.description, &new.description),
    ];
    found.into_iter().flatten().collect()
}

fn measure_problems(
    place: &Place<'_>,
    old: &MeasureDef,
    new: &MeasureDef,
    index: usize,
) -> Vec<FileProblem> {
    let item = Some(("measure", index, old.name.as_str()));
    let found = [
        place.item_differs(item, "type", &old.value_type, &new.value_type),
        place.item_differs(item, "consolidation", &old.consolidation, &new.consolidation),
        place.item_differs(item, "rounding", &old.rounding, &new.rounding),
        place.item_differs(item, "description", &old.description, &new.description),
        place.item_differs(item, "time", &old.time, &new.time),
    ];
    found.into_iter().flatten().collect()
}

/// A value of a definition as TOML would say it on one line.
fn in_words<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).map_or_else(|_| "something else".into(), |value| inline(&value))
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "absent".into(),
        Value::String(text) if text.is_empty() => "absent".into(),
        Value::Array(values) if values.is_empty() => "absent".into(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let said = entries.iter().map(|(key, value)| (key, inline(value)));
            let said = said.filter(|(_, value)| value != "absent" && value != "{}");
            let said: Vec<String> = said.map(|(key, value)| format!("{key} = {value}")).collect();
            if said.is_empty() { "{}".into() } else { format!("{{ {} }}", said.join(", ")) }
        }
        other => other.to_string(),
    }
}
