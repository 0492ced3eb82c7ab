//! Loading: a file of rows and a map become changes, all of them or none.
//!
//! Opening files is [`read_request`]'s business; [`plan`] is a function of a version and what is in
//! them. A plan is only made where every row can be placed and the sums of the stored values are the
//! sums of the file's texts.

mod axis;
mod block;
mod columns;
mod csv;
mod expression;
mod file;
mod history;
mod map;
mod members;
mod numbers;
mod parquet;
mod pool;
mod progress;
mod references;
mod report;
mod rows;
mod separators;
mod suggest;
mod table;
mod totals;
mod unmapped;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use calc::Revision;
use cube::change::SourceNote;
use cube::{Change, Version};
use serde::{Deserialize, Serialize};

use crate::limits::LOAD_MAP_BYTES_MAX;
use crate::model_files::{FileProblem, read_text};
use columns::Columns;
use map::MapFile;
use table::Table;

pub use file::{LoadFile, Reader};
pub use progress::{Progress, Stage, Unwatched};
pub use report::{Certificate, LoadError, LoadReport, RejectedRow, Unresolved};

/// A file, where it goes, and how: all that a load needs.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Where the file's rows go.
    pub target: Target,
    /// The file.
    pub file: LoadFile,
    /// The map; without one columns are matched by name.
    pub map: Option<NamedText>,
    /// The files that the map looks up, by the name it calls them.
    pub lookups: BTreeMap<String, LoadFile>,
    /// Who is told how far it is.
    pub progress: Arc<dyn Progress>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Opens a file and the files beside it that its map looks up, and reads the map.
///
/// # Errors
/// Files that cannot be opened or are too large; a map that cannot be read.
pub fn read_request(
    file: &Path,
    target: Target,
    map: Option<&Path>,
) -> Result<LoadRequest, LoadError> {
    let opened = LoadFile::open(file)
        .map_err(|message| LoadError::new(&file.display().to_string(), message))?;
    let map = map.map(read_map).transpose()?;
    let mut lookups = BTreeMap::new();
    if let Some(map) = &map {
        let fault = |problem| LoadError::of_problem(&opened.name, problem);
        let read = MapFile::parse(&map.name, &map.content).map_err(fault)?;
        for lookup in read.map.lookups.values() {
            let name = lookup.file.get_ref();
            let beside = LoadFile::open(&file.with_file_name(name)).map_err(|message| {
                let message = format!("{name}, which is looked up beside the file: {message}");
                fault(read.problem(&lookup.file, message))
            })?;
            lookups.insert(name.clone(), beside);
        }
    }
    Ok(LoadRequest { target, file: opened, map, lookups, progress: Arc::new(Unwatched) })
}

/// A load's changes, each with the rows of the file that it is made of, then a note for each of
/// which rows they were.
fn with_source(
    written: Vec<(Change, Vec<usize>)>,
    file: &LoadFile,
) -> Result<Vec<Change>, LoadError> {
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let digest = file.digest().map_err(|message| LoadError::new(&file.name, message))?.0;
    let note = |(change, rows): (u32, Vec<usize>)| {
        let runs = SourceNote::runs_of(rows.into_iter().map(|row| row as u64));
        Change::Source(SourceNote { change, file: file.name.clone(), digest, runs })
    };
    let (mut changes, rows): (Vec<Change>, Vec<Vec<usize>>) = written.into_iter().unzip();
    // texts are of the rows behind them
    let noted = (0..).zip(rows).zip(&changes).filter(|(_, c)| !matches!(c, Change::Texts(_)));
    let notes: Vec<Change> = noted.map(|(rows, _)| note(rows)).collect();
    changes.extend(notes);
    Ok(changes)
}

fn read_map(path: &Path) -> Result<NamedText, LoadError> {
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let content = read_text(path, LOAD_MAP_BYTES_MAX)
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
    let table = Table::open(&request.file).map_err(|error| LoadError::of_table(name, error))?;
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
            let columns = Columns::open(&table.header, &map, &request.lookups).map_err(fault)?;
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
            let columns = Columns::open(&table.header, &map, &request.lookups).map_err(fault)?;
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
