//! Assertions: what must hold of the data.

use serde::{Deserialize, Serialize};

use super::definition;
use crate::error::Result;
use crate::number::Number;

/// What must hold of the data, as its test file says: a query with one value, and that value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionDef {
    /// Its name.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The query: one row with one column.
    pub sql: String,
    /// The value it gives, as text; none where it is blank.
    #[serde(default)]
    pub equals: Option<String>,
    /// Whether it is blank.
    #[serde(default)]
    pub equals_blank: bool,
    /// By how much a number may differ; nothing where none is given.
    #[serde(default)]
    pub tolerance: Option<String>,
    /// Cubes that must hold inputs before it is checked, beside those that the query names.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// An assertion and the file it travels in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The file's path in the model's folder.
    pub file: String,
    /// What the file says.
    pub def: AssertionDef,
}

impl AssertionDef {
    /// Whether it says what is expected, once, and a tolerance only of a number.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(definition(format!("assertion {:?}: {what}", self.name)));
        if self.name.trim().is_empty() || self.name.contains(char::is_control) {
            return wrong("its name is one line of text");
        }
        if self.equals.is_some() == self.equals_blank {
            return wrong("it says what is expected by equals or by equals_blank = true");
        }
        let Some(tolerance) = &self.tolerance else { return Ok(()) };
        if Number::parse(tolerance).is_none_or(|number| number < Number::ZERO) {
            return wrong("its tolerance is a number, zero or more");
        }
        if self.equals.as_deref().and_then(Number::parse).is_none() {
            return wrong("a tolerance goes with equals = a number");
        }
        Ok(())
    }
}
