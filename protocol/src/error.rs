//! The one error a client sees: SQLSTATE, message, detail, hint and position.

use std::fmt;

/// An error as PostgreSQL clients know it.
///
/// Every door (Postgres wire, HTTP, command line) shows these same fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The five-character SQLSTATE, for example `42703`.
    pub sqlstate: &'static str,
    /// One plain sentence, lower case, without a full stop (PostgreSQL's habit).
    pub message: String,
    /// More about what was wrong: where, which value.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Position in the statement's text, counted in characters from 1.
    pub position: Option<usize>,
}

impl SqlError {
    /// An error with a SQLSTATE and a message.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None }
    }

    /// The same error with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with a position in the statement, counted in characters from 1.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}
