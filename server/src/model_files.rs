//! Model files: a folder of TOML becomes the changes that bring a tenant's model to what it says.
//!
//! Reading the folder is the only I/O. Comparing and checking are functions of a revision and the
//! texts, so that files which came over the network are treated the same. Nothing is returned that
//! does not apply.

mod assertions;
mod check;
mod compare;
mod cube_file;
mod definitions;
mod describe;
mod folder;
mod problem;
mod source;
mod unit_warnings;

use std::collections::BTreeMap;
use std::fmt;

use calc::Revision;
use cube::model::ModelChange;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{MODEL_BYTES_MAX, MODEL_FILE_BYTES_MAX, MODEL_FILES_MAX};
use definitions::Definitions;

pub use assertions::located;
pub use describe::describe;
pub use folder::read_folder;
pub(crate) use folder::read_text;
pub use problem::FileProblem;
pub(crate) use source::toml_problem;
pub use unit_warnings::unit_warnings;

/// What a folder of a model holds.
const FILES_HINT: &str =
    "a model has model.toml, dimensions/*.toml, cubes/*.toml, rules/*.toml and tests/*.toml";

/// The texts of a model's files by their path in the folder, `/` between its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFiles {
    /// Relative path to text.
    pub files: BTreeMap<String, String>,
}

/// Everything that is wrong with a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub struct ModelFileError {
    /// One or more problems, in the order of files.
    pub problems: Vec<FileProblem>,
}

impl fmt::Display for ModelFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.problems.iter().enumerate() {
            if idx > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl From<FileProblem> for ModelFileError {
    fn from(problem: FileProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// The kinds of model files, by where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folder {
    Root,
    Dimensions,
    Cubes,
    Rules,
    Tests,
}

impl Folder {
    /// What a path is; none where a model has no such file.
    fn of(path: &str) -> Option<Self> {
        if path == "model.toml" {
            return Some(Self::Root);
        }
        let (folder, file) = path.split_once('/')?;
        let stem = file.strip_suffix(".toml")?;
        if stem.is_empty() || stem.contains(['/', '\\']) {
            return None;
        }
        match folder {
            "dimensions" => Some(Self::Dimensions),
            "cubes" => Some(Self::Cubes),
            "rules" => Some(Self::Rules),
            "tests" => Some(Self::Tests),
            _ => None,
        }
    }
}

impl ModelFiles {
    /// What is wrong with the set of files, whatever they say.
    fn problems(&self) -> Vec<FileProblem> {
        let mut problems = Vec::new();
        for (path, text) in &self.files {
            if Folder::of(path).is_none() {
                problems.push(
                    FileProblem::of_file(path, "not a file of a model")
                        .with_hint(Some(FILES_HINT.into())),
                );
            }
            if text.len() > MODEL_FILE_BYTES_MAX {
                let message = format!("the file has more than {MODEL_FILE_BYTES_MAX} bytes");
                problems.push(FileProblem::of_file(path, message));
            }
        }
        if !self.files.contains_key("model.toml") {
            problems.push(
                FileProblem::of_file("model.toml", "the file is missing")
                    .with_hint(Some("a model has a model.toml with its name".into())),
            );
        }
        if self.files.len() > MODEL_FILES_MAX {
            let message = format!("the model has more than {MODEL_FILES_MAX} files");
            problems.push(FileProblem::of_file("model.toml", message));
        }
        if self.files.values().map(String::len).sum::<usize>() > MODEL_BYTES_MAX {
            let message = format!("the model's files have more than {MODEL_BYTES_MAX} bytes");
            problems.push(FileProblem::of_file("model.toml", message));
        }
        problems
    }
}

/// The changes that make a tenant's model what the files say, in an order that applies; none where
/// it is that already. The changes were tried on the revision.
///
/// # Errors
/// All problems of the files that can be told apart in one run: texts that cannot be read, then
/// definitions that cannot be, then formulas, each with file, line and column; and differences
/// that no change can make yet.
pub fn difference(
    revision: &Revision,
    branches: &dyn calc::branches::Branches,
    files: &ModelFiles,
) -> Result<Vec<ModelChange>, ModelFileError> {
    let found = |problems| ModelFileError { problems };
    let definitions = Definitions::read(files).map_err(found)?;
    let (planned, mut problems) = compare::compare(&revision.version.model, &definitions);
    match check::checked(revision, branches, &definitions, planned) {
        Ok(changes) if problems.is_empty() => return Ok(changes),
        Ok(_) => {}
        Err(more) => problems.extend(more),
    }
    Err(found(problems))
}

#[cfg(test)]
mod tests;
