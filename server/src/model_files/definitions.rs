//! All definitions of a model's files, each with the file it is from.
//!
//! Every file is read before any problem is reported, so that one run shows the problems of all.

use std::collections::BTreeMap;

use cube::ValueType;
use cube::model::{AssertionDef, Consolidation, CubeDef, DimensionDef, FormulaDef};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cube_file::CubeFile;
use super::problem::FileProblem;
use super::source::{Source, Step};
use super::{Folder, ModelFiles};

/// A definition and where it is from.
pub(super) struct Defined<T> {
    pub def: T,
    /// Position of the file in [`Definitions::sources`].
    pub source: usize,
}

/// A definition of which a file has several, and where it is from.
pub(super) struct Listed<T> {
    pub def: T,
    /// Position of the file in [`Definitions::sources`].
    pub source: usize,
    /// Position of the definition in the file.
    pub index: usize,
}

impl<T> Listed<T> {
    /// All definitions of a file.
    fn all(defs: Vec<T>, source: usize) -> impl Iterator<Item = Self> {
        defs.into_iter().enumerate().map(move |(index, def)| Self { def, source, index })
    }
}

/// A name that only one definition may have.
struct Item<'a> {
    name: &'a str,
    source: usize,
    steps: Vec<Step<'static>>,
}

impl<'a> Item<'a> {
    fn of_file(name: &'a str, source: usize) -> Self {
        Self { name, source, steps: vec![Step::Key("name")] }
    }
}

/// What the files of a model say.
#[derive(Default)]
pub(super) struct Definitions<'a> {
    pub sources: Vec<Source<'a>>,
    pub model: Option<Defined<ModelDef>>,
    pub dimensions: Vec<Defined<DimensionDef>>,
    pub cubes: Vec<Defined<CubeDef>>,
    /// Per cube, the units of its measures; empty where there is none.
    pub units: Vec<Vec<String>>,
    /// Per cube, which members earlier rows are of, by dimension.
    pub earlier_rows: Vec<BTreeMap<String, String>>,
    pub formulas: Vec<Listed<FormulaDef>>,
    pub assertions: Vec<Listed<AssertionDef>>,
}

/// `model.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelDef {
    pub name: String,
    #[serde(default)]
    pub description: String,
}

/// A file of `rules/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesDef {
    #[serde(default, rename = "formula")]
    formulas: Vec<FormulaDef>,
}

/// A file of `tests/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestsDef {
    #[serde(default, rename = "assertion")]
    assertions: Vec<AssertionDef>,
}

impl<'a> Definitions<'a> {
    /// Reads all files.
    pub fn read(files: &'a ModelFiles) -> Result<Self, Vec<FileProblem>> {
        let mut definitions = Self::default();
        let mut problems = files.problems();
        for (path, text) in &files.files {
            if let Some(folder) = Folder::of(path) {
                let read = definitions.read_file(path, text, folder);
                problems.extend(read.err());
            }
        }
        problems.extend(definitions.repeated());
        problems.extend(definitions.misnamed());
        if problems.is_empty() { Ok(definitions) } else { Err(problems) }
    }

    fn read_file(
        &mut self,
        path: &'a str,
        text: &'a str,
        folder: Folder,
    ) -> Result<(), FileProblem> {
        let file = Source::parse(path, text)?;
        let source = self.sources.len();
        match folder {
            Folder::Root => self.model = Some(defined(&file, source)?),
            Folder::Dimensions => self.dimensions.push(defined(&file, source)?),
            Folder::Cubes => {
                let CubeFile { mut def, units, earlier_rows } = file.read()?;
                imply_none(&mut def, &file);
                check_earlier(&def, &earlier_rows, &file)?;
                self.cubes.push(Defined { def, source });
                self.units.push(units);
                self.earlier_rows.push(earlier_rows);
            }
            Folder::Rules => {
                let rules: RulesDef = file.read()?;
                self.formulas.extend(Listed::all(rules.formulas, source));
            }
            Folder::Tests => {
                let tests: TestsDef = file.read()?;
                self.assertions.extend(Listed::all(tests.assertions, source));
            }
        }
        self.sources.push(file);
        Ok(())
    }

    /// The file of a definition.
    pub fn source(&self, source: usize) -> &Source<'a> {
        &self.sources[source]
    }

    /// Names and targets that are defined twice.
    fn repeated(&self) -> Vec<FileProblem> {
        let mut problems = Vec::new();
        let dimensions = self.dimensions.iter().map(|d| Item::of_file(&d.def.name, d.source));
        self.repeated_in("dimension", &dimensions.collect::<Vec<_>>(), &mut problems);
        let cubes = self.cubes.iter().map(|d| Item::of_file(&d.def.name, d.source));
        self.repeated_in("cube", &cubes.collect::<Vec<_>>(), &mut problems);
        let formulas = self.formulas.iter().map(|formula| Item {
            name: &formula.def.target,
            source: formula.source,
            steps: vec![Step::Key("formula"), Step::Index(formula.index)],
        });
        self.repeated_in("the formula of", &formulas.collect::<Vec<_>>(), &mut problems);
        let assertions = self.assertions.iter().map(|assertion| Item {
            name: &assertion.def.name,
            source: assertion.source,
            steps: vec![Step::Key("assertion"), Step::Index(assertion.index)],
        });
        self.repeated_in("assertion", &assertions.collect::<Vec<_>>(), &mut problems);
        problems
    }

    fn repeated_in(&self, kind: &str, items: &[Item<'_>], problems: &mut Vec<FileProblem>) {
        for (position, item) in items.iter().enumerate() {
            let mut earlier = items[..position].iter();
            let Some(first) = earlier.find(|earlier| earlier.name == item.name) else { continue };
            let (name, path) = (item.name, self.source(first.source).path);
            let message = format!("{kind} {name:?} is defined in {path} already");
            problems.push(self.source(item.source).problem(&item.steps, message));
        }
    }

    /// The model's name follows the rule of all names, which the cube does not check.
    fn misnamed(&self) -> Option<FileProblem> {
        let model = self.model.as_ref()?;
        let name = &model.def.name;
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if starts_well && name.chars().all(is_word) && name.len() <= 63 {
            return None;
        }
        let message = format!(
            "model name {name:?}: names are lower-case letters, digits and _, start with a letter and have at most 63 characters"
        );
        Some(self.source(model.source).problem(&[Step::Key("name")], message))
    }
}

/// A text has no total: where a file does not say how one consolidates, it says none.
fn imply_none(cube: &mut CubeDef, file: &Source<'_>) {
    for (index, measure) in cube.measures.iter_mut().enumerate() {
        let said = [Step::Key("measure"), Step::Index(index), Step::Key("consolidation")];
        if measure.value_type == ValueType::Text && !file.holds(&said) {
            measure.consolidation = Consolidation::None;
        }
    }
}

/// Earlier rows are of members of the cube's dimensions.
fn check_earlier(
    cube: &CubeDef,
    earlier_rows: &BTreeMap<String, String>,
    file: &Source<'_>,
) -> Result<(), FileProblem> {
    let mut named = earlier_rows.keys();
    let Some(wrong) = named.find(|name| !cube.dimension_names().any(|own| own == *name)) else {
        return Ok(());
    };
    let names: Vec<&str> = cube.dimension_names().collect();
    let message = format!("earlier_rows: the cube has no dimension {wrong:?}");
    let problem = file.problem(&[Step::Key("earlier_rows"), Step::Key(wrong)], message);
    Err(problem.with_hint(Some(format!("its dimensions are {}", names.join(", ")))))
}

fn defined<T: DeserializeOwned>(
    file: &Source<'_>,
    source: usize,
) -> Result<Defined<T>, FileProblem> {
    Ok(Defined { def: file.read()?, source })
}
