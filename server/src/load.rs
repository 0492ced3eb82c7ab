//! Loading: a file of rows and a map become changes, all of them or none.
//!
//! Reading files is [`read_request`]'s business; [`plan`] is a function of a version and texts. A
//! plan is only made where every row can be placed and the sums of the stored values are the sums
//! of the file's texts.

mod axis;
mod columns;
mod expression;
mod history;
mod map;
mod members;
mod references;
mod report;
mod rows;
mod suggest;
mod table;
mod totals;
mod unmapped;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use calc::Revision;
use cube::change::SourceNote;
use cube::{Change, Version};
use serde::{Deserialize, Serialize};
use storage::Hash;

use crate::limits::{LOAD_FILE_BYTES_MAX, LOAD_MAP_BYTES_MAX};
use crate::model_files::{FileProblem, read_text};
use columns::Columns;
use map::MapFile;
use table::Table;

pub use report::{Certificate, LoadError, LoadReport, RejectedRow, Unresolved};

/// A file, where it goes, and how: all texts that a load needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// Where the file's rows go.
    pub target: Target,
    /// The file.
    pub file: NamedText,
    /// The map; without one columns are matched by name.
    #[serde(default)]
    pub map: Option<NamedText>,
    /// The files that the map looks up, by the name it calls them.
    #[serde(default)]
    pub lookups: BTreeMap<String, String>,
}

/// Where a file's rows go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Cells or rows of a cube.
    Cube(String),
    /// Members of a dimension.
    Dimension(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cube(name) => write!(f, "cube {name}"),
            Self::Dimension(name) => write!(f, "dimension {name}"),
        }
    }
}

/// A text with the name its user knows it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedText {
    /// The file's name.
    pub name: String,
    /// What is in it.
    pub content: String,
}

/// What a load does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadPlan {
    /// The changes, for one ledger entry; none where everything is as the file says already.
    pub changes: Vec<Change>,
    /// What they bring.
    pub report: LoadReport,
}

/// Reads a file, its map and the files beside it that the map looks up.
///
/// # Errors
/// Files that cannot be read, are not UTF-8 or are too large; a map that cannot be read.
pub fn read_request(
    file: &Path,
    target: Target,
    map: Option<&Path>,
) -> Result<LoadRequest, LoadError> {
    let file_text = read_named(file, LOAD_FILE_BYTES_MAX)?;
    let map = map.map(|map| read_named(map, LOAD_MAP_BYTES_MAX)).transpose()?;
    let mut lookups = BTreeMap::new();
    if let Some(map) = &map {
        let fault = |problem| LoadError::of_problem(&file_text.name, problem);
        let opened = MapFile::parse(&map.name, &map.content).map_err(fault)?;
        for lookup in opened.map.lookups.values() {
            let name = lookup.file.get_ref();
            let text = read_text(&file.with_file_name(name), LOAD_FILE_BYTES_MAX);
            let text = text.map_err(|message| {
                let message = format!("{name}, which is looked up beside the file: {message}");
                fault(opened.problem(&lookup.file, message))
            })?;
            lookups.insert(name.clone(), text);
        }
    }
    Ok(LoadRequest { target, file: file_text, map, lookups })
}

/// A load's changes, each with the rows of the file that it is made of, then a note for each of
/// which rows they were.
fn with_source(written: Vec<(Change, Vec<usize>)>, file: &NamedText) -> Vec<Change> {
    if written.is_empty() {
        return Vec::new();
    }
    let digest = Hash::of(file.content.as_bytes()).0;
    let note = |(change, rows): (u32, Vec<usize>)| {
        let runs = SourceNote::runs_of(rows.into_iter().map(|row| row as u64));
        Change::Source(SourceNote { change, file: file.name.clone(), digest, runs })
    };
    let (mut changes, rows): (Vec<Change>, Vec<Vec<usize>>) = written.into_iter().unzip();
    // texts are of the rows behind them
    let noted = (0..).zip(rows).zip(&changes).filter(|(_, c)| !matches!(c, Change::Texts(_)));
    let notes: Vec<Change> = noted.map(|(rows, _)| note(rows)).collect();
    changes.extend(notes);
    changes
}

fn read_named(path: &Path, bytes_max: usize) -> Result<NamedText, LoadError> {
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let content = read_text(path, bytes_max)
        .map_err(|message| LoadError::new(&path.display().to_string(), message))?;
    Ok(NamedText { name, content })
}

/// The changes that load a file into a revision, and what they bring.
///
/// # Errors
/// A file, a map or rows that cannot be placed; source totals that are not the loaded ones.
pub fn plan(revision: &Revision, request: &LoadRequest) -> Result<LoadPlan, LoadError> {
    let version: &Version = &revision.version;
    let name = &request.file.name;
    for text in std::iter::once(&request.file.content).chain(request.lookups.values()) {
        if text.len() > LOAD_FILE_BYTES_MAX {
            let message = format!("the file has more than {LOAD_FILE_BYTES_MAX} bytes");
            return Err(LoadError::new(name, message));
        }
    }
    let table = Table::open(&request.file.content)
        .map_err(|error| LoadError::new(name, error.message).with_hint(error.hint))?;
    let fault = |problem: FileProblem| LoadError::of_problem(name, problem);
    let of_model =
        |error: cube::CubeError| LoadError::new(name, error.to_string()).with_hint(error.hint());
    match &request.target {
        Target::Cube(cube) => {
            let cube = version.model.cube(cube).map_err(of_model)?;
            let map = match &request.map {
                Some(map) => MapFile::parse(&map.name, &map.content).map_err(fault)?,
                None => unmapped::of_cube(revision, cube, name, &table).map_err(fault)?,
            };
            let columns = Columns::open(&table, &map, &request.lookups).map_err(fault)?;
            let formulas = &revision.plan;
            let rows =
                rows::Rows { version, formulas, cube, map: &map, columns: &columns, request };
            rows::plan(&rows, table)
        }
        Target::Dimension(dimension) => {
            let id = version.model.dimension(dimension).map_err(of_model)?;
            let map = match &request.map {
                Some(map) => MapFile::parse(&map.name, &map.content).map_err(fault)?,
                None => unmapped::of_dimension(version, id, name, &table).map_err(fault)?,
            };
            let columns = Columns::open(&table, &map, &request.lookups).map_err(fault)?;
            let members = members::Members {
                version,
                dimension: version.dimension(id),
                id,
                map: &map,
                columns: &columns,
                request,
            };
            members::plan(&members, table)
        }
    }
}

#[cfg(test)]
mod tests;
