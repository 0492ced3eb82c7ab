//! A model's folder on disk.

use std::fs;
use std::path::Path;

use super::problem::FileProblem;
use super::{FILES_HINT, Folder, ModelFileError, ModelFiles};
use crate::limits::{MODEL_FILE_BYTES_MAX, MODEL_FILES_MAX};

const FOLDERS: [&str; 4] = ["dimensions", "cubes", "rules", "tests"];

/// Reads the files of a model. Maps, scripts and whatever else is not TOML are left alone.
///
/// # Errors
/// Files that cannot be read or are not UTF-8, TOML files that are not of a model, and limits.
pub fn read_folder(folder: &Path) -> Result<ModelFiles, ModelFileError> {
    let mut reading = Reading { folder, model: ModelFiles::default(), problems: Vec::new() };
    for name in reading.names(folder, "") {
        let path = folder.join(&name);
        if path.is_dir() {
            reading.subfolder(&path, &name);
        } else {
            reading.file(&path, name);
        }
    }
    let Reading { model, mut problems, .. } = reading;
    problems.extend(model.problems());
    if problems.is_empty() { Ok(model) } else { Err(ModelFileError { problems }) }
}

struct Reading<'a> {
    folder: &'a Path,
    model: ModelFiles,
    problems: Vec<FileProblem>,
}

impl Reading<'_> {
    /// The names in a folder, sorted; hidden ones are left out.
    fn names(&mut self, path: &Path, shown: &str) -> Vec<String> {
        let shown = if shown.is_empty() { self.folder.display().to_string() } else { shown.into() };
        let entries = fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("the folder cannot be read: {error}");
                self.problems.push(FileProblem::of_file(&shown, message));
                return Vec::new();
            }
        };
        let names =
            entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    fn subfolder(&mut self, path: &Path, folder: &str) {
        if folder == "maps" {
            return;
        }
        for name in self.names(path, folder) {
            let shown = format!("{folder}/{name}");
            let path = path.join(&name);
            if !path.is_dir() {
                self.file(&path, shown);
            } else if FOLDERS.contains(&folder) {
                let message = "a folder within a folder of a model is not read";
                self.problems.push(FileProblem::of_file(&shown, message));
            }
        }
    }

    fn file(&mut self, path: &Path, shown: String) {
        if !shown.ends_with(".toml") {
            return;
        }
        if Folder::of(&shown).is_none() {
            let problem = FileProblem::of_file(&shown, "not a file of a model");
            self.problems.push(problem.with_hint(Some(FILES_HINT.into())));
            return;
        }
        if self.model.files.len() > MODEL_FILES_MAX {
            return;
        }
        match read_text(path, MODEL_FILE_BYTES_MAX) {
            Ok(text) => {
                self.model.files.insert(shown, text);
            }
            Err(message) => self.problems.push(FileProblem::of_file(&shown, message)),
        }
    }
}

/// Reads a text file up to a size.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String, String> {
    let size =
        fs::metadata(path).map_err(|error| format!("the file cannot be read: {error}"))?.len();
    if size > bytes_max as u64 {
        return Err(format!("the file has more than {bytes_max} bytes"));
    }
    let bytes = fs::read(path).map_err(|error| format!("the file cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("the file is not UTF-8: line {line} holds other bytes")
    })
}
