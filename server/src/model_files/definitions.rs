//! All definitions of a model's files, each with the file it is from.
//!
//! Every file is read before any problem is reported, so that one run shows the problems of all.

use cube::model::{CubeDef, DimensionDef, FormulaDef};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::FileProblem;
use super::source::{Source, Step};
use super::{Folder, ModelFiles};

/// A definition and where it is from.
pub(super) struct Defined<T> {
    pub def: T,
    /// Position of the file in [`Definitions::sources`].
    pub source: usize,
}

/// A formula and where it is from.
pub(super) struct DefinedFormula {
    pub def: FormulaDef,
    /// Position of the file in [`Definitions::sources`].
    pub source: usize,
    /// Position of the formula in the file.
    pub index: usize,
}

/// What the files of a model say.
#[derive(Default)]
pub(super) struct Definitions<'a> {
    pub sources: Vec<Source<'a>>,
    pub model: Option<Defined<ModelDef>>,
    pub dimensions: Vec<Defined<DimensionDef>>,
    pub cubes: Vec<Defined<CubeDef>>,
    pub formulas: Vec<DefinedFormula>,
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
            Folder::Cubes => self.cubes.push(defined(&file, source)?),
            Folder::Rules => {
                let rules: RulesDef = file.read()?;
                let formulas = rules.formulas.into_iter().enumerate();
                self.formulas
                    .extend(formulas.map(|(index, def)| DefinedFormula { def, source, index }));
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
        let dimensions = self.dimensions.iter().map(|d| (d.def.name.as_str(), d.source, None));
        let cubes = self.cubes.iter().map(|d| (d.def.name.as_str(), d.source, None));
        let formulas =
            self.formulas.iter().map(|d| (d.def.target.as_str(), d.source, Some(d.index)));
        let kinds: [(&str, Vec<(&str, usize, Option<usize>)>); 3] = [
            ("dimension", dimensions.collect()),
            ("cube", cubes.collect()),
            ("the formula of", formulas.collect()),
        ];
        for (kind, items) in kinds {
            for (position, &(name, source, index)) in items.iter().enumerate() {
                let earlier = items[..position].iter().find(|(other, ..)| *other == name);
                let Some(&(_, first, _)) = earlier else { continue };
                let steps = match index {
                    Some(index) => vec![Step::Key("formula"), Step::Index(index)],
                    None => vec![Step::Key("name")],
                };
                let message =
                    format!("{kind} {name:?} is defined in {} already", self.source(first).path);
                problems.push(self.source(source).problem(&steps, message));
            }
        }
        problems
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

fn defined<T: DeserializeOwned>(
    file: &Source<'_>,
    source: usize,
) -> Result<Defined<T>, FileProblem> {
    Ok(Defined { def: file.read()?, source })
}
