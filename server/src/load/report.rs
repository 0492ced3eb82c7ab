//! What a load says about itself: the report with its certificates, or why nothing was loaded.

use std::fmt;

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Target;
use super::table::TableError;
use crate::assertions::{self, AssertionResult};
use crate::limits::LOAD_REJECTED_LISTED_MAX;
use crate::model_files::FileProblem;

/// What a load brings, if its changes are applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The file.
    pub file: String,
    /// Where it goes.
    pub target: Target,
    /// Rows of the file, without the header.
    pub rows_read: usize,
    /// Cells, rows or members that are written.
    pub rows_loaded: usize,
    /// Members that are new.
    pub members_added: usize,
    /// Members that existed and change.
    pub members_changed: usize,
    /// Members that are already as the file says.
    pub members_unchanged: usize,
    /// Values of attributes that are new from a day on.
    #[serde(default)]
    pub values_dated: usize,
    /// Rows that repeat a member with the same fields, counted once.
    pub rows_repeated: usize,
    /// Rows of a cells cube in which every measure is empty; there is nothing to write.
    pub rows_blank: usize,
    /// One per numeric measure.
    pub certificates: Vec<Certificate>,
    /// Attributes of which values name members that are not there yet.
    #[serde(default)]
    pub unresolved: Vec<Unresolved>,
}

/// Values of an attribute that name no member of the dimension they are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unresolved {
    /// The attribute.
    pub attribute: String,
    /// The dimension whose members it names.
    pub dimension: String,
    /// How many values.
    pub count: usize,
    /// One of them.
    pub example: String,
}

/// Proof that what was loaded of a measure is what the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The measure.
    pub measure: String,
    /// The file's texts added digit by digit, after declared rounding.
    pub source_total: String,
    /// The stored values added; equal, or nothing is loaded.
    pub loaded_total: String,
    /// The file's texts added before declared rounding, where that is another sum.
    pub raw_total: Option<String>,
    /// Rows of the file.
    pub rows_read: usize,
    /// Rows with a value.
    pub values_loaded: usize,
}

/// A row that cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// Its number in the file; the header is row 1.
    pub row: usize,
    /// The column, or what the map makes of columns.
    pub column: String,
    /// What stands there.
    pub value: String,
    /// Why it cannot be placed.
    pub reason: String,
}

/// Why nothing was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub struct LoadError {
    /// The file that was to be loaded.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the map, if it is the map that is wrong.
    pub problem: Option<Box<FileProblem>>,
    /// The first rows that cannot be placed.
    pub rejected: Vec<RejectedRow>,
    /// How many there are.
    pub rejected_count: usize,
}

impl LoadError {
    /// An error of the whole file.
    pub fn new(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            message: message.into(),
            hint: None,
            problem: None,
            rejected: Vec::new(),
            rejected_count: 0,
        }
    }

    /// An error of the map, or another file beside the one that is loaded.
    pub fn of_problem(file: &str, problem: FileProblem) -> Self {
        let message = problem.message.clone();
        let hint = problem.hint.clone();
        Self { hint, problem: Some(Box::new(problem)), ..Self::new(file, message) }
    }

    /// The error that the file is no table.
    pub(super) fn of_table(file: &str, error: TableError) -> Self {
        Self::new(file, error.message).with_hint(error.hint)
    }

    /// The error that assertions do not hold of what the file would bring.
    pub fn of_assertions(file: &str, failed: &[&AssertionResult]) -> Self {
        let message = assertions::refusal(failed, "nothing was loaded");
        Self::new(file, message).with_hint(failed.iter().find_map(|result| result.hint.clone()))
    }

    /// The error with what to do about it.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.problem {
            return write!(f, "{problem}");
        }
        write!(f, "error: {}: {}", self.file, self.message)?;
        for RejectedRow { row, column, value, reason } in &self.rejected {
            write!(f, "\n  row {row}")?;
            if !column.is_empty() {
                write!(f, ", {column} {value:?}")?;
            }
            write!(f, ": {reason}")?;
        }
        if self.rejected_count > self.rejected.len() {
            write!(f, "\n  and {} more", self.rejected_count - self.rejected.len())?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  = help: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = rows(self.rows_read);
        write!(f, "{} into {}: {rows} read", self.file, self.target)?;
        match self.target {
            Target::Cube(_) => {
                write!(f, ", {} loaded", self.rows_loaded)?;
                if self.rows_blank > 0 {
                    write!(f, ", {} blank", self.rows_blank)?;
                }
            }
            Target::Dimension(_) => {
                write!(f, ", {} members added", self.members_added)?;
                write!(f, ", {} changed", self.members_changed)?;
                write!(f, ", {} as they were", self.members_unchanged)?;
                if self.values_dated > 0 {
                    write!(f, "; {} dated values", self.values_dated)?;
                }
            }
        }
        for certificate in &self.certificates {
            write!(f, "\n  {certificate}")?;
        }
        for unresolved in &self.unresolved {
            write!(f, "\n  {unresolved}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attribute, dimension, count, example } = self;
        let values = if *count == 1 { "value names" } else { "values name" };
        write!(f, "pending: {count} {values} no member of {dimension} yet in {attribute}")?;
        write!(f, ", such as {example:?}")
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, source_total, loaded_total, values_loaded, .. } = self;
        write!(f, "{measure}: source total {source_total} = loaded total {loaded_total}")?;
        write!(f, " in {values_loaded} values")?;
        match &self.raw_total {
            Some(raw) => write!(f, " ({raw} before rounding)"),
            None => Ok(()),
        }
    }
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".into() } else { format!("{count} rows") }
}

/// The rows of a load that cannot be placed: the first of them in full, the others counted. A row
/// is there once, for the first reason that was found.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    listed: Vec<RejectedRow>,
    rows: RoaringTreemap,
}

impl Rejects {
    /// Notes a row.
    pub fn add(&mut self, rejected: RejectedRow) {
        if self.rows.insert(rejected.row as u64) && self.listed.len() < LOAD_REJECTED_LISTED_MAX {
            self.listed.push(rejected);
        }
    }

    /// Notes a row; what is wrong with it is only asked of those that are listed.
    pub fn add_with(&mut self, row: usize, rejected: impl FnOnce() -> Option<RejectedRow>) {
        if self.rows.insert(row as u64) && self.listed.len() < LOAD_REJECTED_LISTED_MAX {
            self.listed.extend(rejected());
        }
    }

    /// Nothing, or the error that lists them.
    pub fn into_result(mut self, file: &str, rows_read: usize) -> Result<(), LoadError> {
        let count = usize::try_from(self.rows.len()).unwrap_or(usize::MAX);
        if count == 0 {
            return Ok(());
        }
        self.listed.sort_by_key(|rejected| rejected.row);
        let rows = rows(rows_read);
        let message = format!("{count} of {rows} cannot be placed; nothing was loaded");
        Err(LoadError {
            rejected: self.listed,
            rejected_count: count,
            ..LoadError::new(file, message)
        })
    }
}
