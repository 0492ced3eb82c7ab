//! A map: what it says which column of a file is, with the place of everything it says.

use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use crate::limits::{LOAD_LOOKUPS_MAX, LOAD_MAP_BYTES_MAX};
use crate::model_files::{FileProblem, toml_problem};

/// Names (of attributes, dimensions, ...) to where their values come from.
pub(super) type Sources = IndexMap<Spanned<String>, Spanned<Source>>;

/// What a map file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    #[serde(default, rename = "lookup")]
    pub lookups: IndexMap<Spanned<String>, Lookup>,
    #[serde(default)]
    pub members: Option<Spanned<Members>>,
    #[serde(default)]
    pub attributes: Sources,
    #[serde(default)]
    pub key: Sources,
    #[serde(default)]
    pub dimensions: Sources,
    #[serde(default)]
    pub measures: Sources,
}

/// Columns of another file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    pub file: Spanned<String>,
    /// Its column to a column at hand.
    #[serde(rename = "match")]
    pub matches: IndexMap<Spanned<String>, Spanned<String>>,
}

/// What the columns of a file of members are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Members {
    pub key: Spanned<Source>,
    #[serde(default)]
    pub name: Option<Spanned<Source>>,
    #[serde(default)]
    pub level: Option<Spanned<String>>,
    #[serde(default)]
    pub parent: Sources,
    /// The day from which a row's attributes hold.
    #[serde(default)]
    pub valid_from: Option<Spanned<Source>>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub field: Field,
    /// Instead of an empty field; taken as it is.
    pub default: Option<String>,
    /// Renamed values; any other is refused.
    pub values: Option<IndexMap<String, String>>,
    /// The form of a date.
    pub format: Option<String>,
    /// Digits after the point.
    pub round: Option<u32>,
    /// The level of the cube's dimension, where the value is the key of a leaf below it.
    pub level: Option<String>,
}

/// What a value is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A column as it is.
    Column(String),
    /// A text with columns in braces.
    Text(String),
    /// The same for every row.
    Constant(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    column: Option<String>,
    text: Option<String>,
    constant: Option<String>,
    default: Option<String>,
    values: Option<IndexMap<String, String>>,
    format: Option<String>,
    round: Option<u32>,
    level: Option<String>,
}

impl Source {
    /// A column as it is.
    pub fn column(name: &str) -> Self {
        Self::of(Field::Column(name.into()))
    }

    fn of(field: Field) -> Self {
        Self { field, default: None, values: None, format: None, round: None, level: None }
    }
}

impl SourceTable {
    fn checked(self) -> Result<Source, &'static str> {
        let field = match (self.column, self.text, self.constant) {
            (Some(column), None, None) => Field::Column(column),
            (None, Some(text), None) => Field::Text(text),
            (None, None, Some(constant)) => Field::Constant(constant),
            _ => return Err("a value comes from one of column, text and constant"),
        };
        let is_plain = self.default.is_none()
            && self.values.is_none()
            && self.format.is_none()
            && self.round.is_none()
            && self.level.is_none();
        if matches!(field, Field::Constant(_)) && !is_plain {
            return Err(
                "a constant stands alone: default, values, format, round and level go with columns",
            );
        }
        if self.format.is_some() && self.round.is_some() {
            return Err("format is for dates and round for numbers; they do not go together");
        }
        Ok(Source {
            default: self.default,
            values: self.values,
            format: self.format,
            round: self.round,
            level: self.level,
            ..Source::of(field)
        })
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name, or a table with column, text or constant")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Source, E> {
        Ok(Source::column(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
        let table = SourceTable::deserialize(MapAccessDeserializer::new(map))?;
        table.checked().map_err(A::Error::custom)
    }
}

/// A map with its text, for errors that show where.
#[derive(Debug)]
pub(super) struct MapFile<'a> {
    pub name: &'a str,
    text: &'a str,
    pub map: Map,
}

impl<'a> MapFile<'a> {
    /// Reads a map.
    pub fn parse(name: &'a str, text: &'a str) -> Result<Self, FileProblem> {
        if text.len() > LOAD_MAP_BYTES_MAX {
            let message = format!("the map has more than {LOAD_MAP_BYTES_MAX} bytes");
            return Err(FileProblem::of_file(name, message));
        }
        let map: Map = toml::from_str(text).map_err(|error| toml_problem(name, text, &error))?;
        let file = Self { name, text, map };
        file.check_lookups()?;
        Ok(file)
    }

    /// A map that nobody wrote; its problems are those of the file.
    pub fn unwritten(file: &'a str, map: Map) -> Self {
        Self { name: file, text: "", map }
    }

    /// A problem at something the map says.
    pub fn problem<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> FileProblem {
        if self.text.is_empty() {
            return FileProblem::of_file(self.name, message);
        }
        FileProblem::at(self.name, self.text, at.span(), message)
    }

    fn check_lookups(&self) -> Result<(), FileProblem> {
        for (position, (name, lookup)) in self.map.lookups.iter().enumerate() {
            let file = lookup.file.get_ref();
            if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', '\0']) {
                let message = format!("{file:?} is not the name of a file beside the one loaded");
                return Err(self.problem(&lookup.file, message));
            }
            if lookup.matches.is_empty() {
                return Err(self.problem(name, "match names no column"));
            }
            if name.get_ref().contains('.') {
                return Err(self.problem(name, "the name of a lookup has no point"));
            }
            if position == LOAD_LOOKUPS_MAX {
                let message = format!("a map has at most {LOAD_LOOKUPS_MAX} lookups");
                return Err(self.problem(name, message));
            }
        }
        Ok(())
    }
}
