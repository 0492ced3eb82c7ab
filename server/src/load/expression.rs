//! Where a value comes from, resolved to columns: from a row to the text that is loaded.
//!
//! The order is: the column or text; where that is empty the default, as it is; else the renamed
//! value; else the date in its canonical form. Rounding is the measure's business.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::NaiveDate;
use chrono::format::{Item, StrftimeItems};
use toml::Spanned;

use super::columns::{Column, Columns, Row};
use super::map::{Field, MapFile, Source};
use crate::model_files::FileProblem;

/// A source with its columns resolved.
#[derive(Debug)]
pub(super) struct Expression {
    parts: Parts,
    default: Option<String>,
    values: Option<HashMap<String, String>>,
    format: Option<String>,
    /// Digits after the point to round to.
    pub round: Option<u32>,
    /// What it is made of, for people.
    pub label: String,
}

#[derive(Debug)]
enum Parts {
    Column(Column),
    Text(Vec<Part>),
    Constant(String),
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Column(Column),
}

impl Expression {
    /// Resolves what a map says of anything but a cube's dimension and numbers.
    pub fn new(
        columns: &Columns<'_>,
        map: &MapFile<'_>,
        source: &Spanned<Source>,
    ) -> Result<Self, FileProblem> {
        check_no_level(map, source)?;
        Self::of_dimension(columns, map, source)
    }

    /// Resolves what a map says of a number: that may be a float, where it says to how many digits
    /// it is rounded.
    pub fn of_number(
        columns: &Columns<'_>,
        map: &MapFile<'_>,
        source: &Spanned<Source>,
    ) -> Result<Self, FileProblem> {
        check_no_level(map, source)?;
        let found = Self::resolved(columns, map, source)?;
        match (&found.parts, found.round) {
            (Parts::Column(_), Some(_)) => Ok(found),
            _ => found.exact(columns, source),
        }
    }

    /// Resolves what a map says of a cube's dimension; its level is the caller's business.
    pub fn of_dimension(
        columns: &Columns<'_>,
        map: &MapFile<'_>,
        source: &Spanned<Source>,
    ) -> Result<Self, FileProblem> {
        Self::resolved(columns, map, source)?.exact(columns, source)
    }

    /// The expression, if none of its columns holds floats.
    fn exact(self, columns: &Columns<'_>, source: &Spanned<Source>) -> Result<Self, FileProblem> {
        self.columns().try_for_each(|column| columns.check_exact(column, source))?;
        Ok(self)
    }

    /// The columns that it needs.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        let (own, parts) = match &self.parts {
            Parts::Column(column) => (Some(*column), &[][..]),
            Parts::Text(parts) => (None, parts.as_slice()),
            Parts::Constant(_) => (None, &[][..]),
        };
        let of_parts = parts.iter().filter_map(|part| match part {
            Part::Column(column) => Some(*column),
            Part::Literal(_) => None,
        });
        own.into_iter().chain(of_parts)
    }

    fn resolved(
        columns: &Columns<'_>,
        map: &MapFile<'_>,
        source: &Spanned<Source>,
    ) -> Result<Self, FileProblem> {
        let Source { field, default, values, format, round, level: _ } = source.get_ref();
        let (parts, label) = match field {
            Field::Column(name) => {
                let column = columns.resolve(name, source)?;
                (Parts::Column(column), columns.name(column))
            }
            Field::Text(text) => (Parts::Text(template(text, columns, map, source)?), text.clone()),
            Field::Constant(text) => (Parts::Constant(text.clone()), "constant".to_string()),
        };
        let is_bad = |item: Item<'_>| matches!(item, Item::Error);
        if let Some(format) = format.as_deref().filter(|f| StrftimeItems::new(f).any(is_bad)) {
            let message = format!("{format:?} is not the form of a date");
            let hint = "for example \"%Y%m%d\" for 20261231, \"%d/%m/%Y\" for 31/12/2026";
            return Err(map.problem(source, message).with_hint(Some(hint.into())));
        }
        let values = values.as_ref();
        Ok(Self {
            parts,
            default: default.clone(),
            values: values.map(|v| v.iter().map(|(a, b)| (a.clone(), b.clone())).collect()),
            format: format.clone(),
            round: *round,
            label,
        })
    }

    /// The column of the file that it is, whatever else is done to it.
    pub fn own_column(&self) -> Option<usize> {
        match &self.parts {
            Parts::Column(Column::Own(column)) => Some(*column),
            _ => None,
        }
    }

    /// Whether what the columns say is loaded as it is, but for a default.
    pub fn is_as_it_stands(&self) -> bool {
        self.values.is_none() && self.format.is_none() && self.round.is_none()
    }

    /// Whether something stands in for an empty field.
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// What the row's columns say, before anything else is done to it.
    pub fn raw<'r>(&'r self, row: &'r Row<'_>) -> Cow<'r, str> {
        match &self.parts {
            Parts::Column(column) => Cow::Borrowed(row.get(*column)),
            Parts::Constant(text) => Cow::Borrowed(text),
            Parts::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Column(column) => match row.get(*column) {
                            "" => return Cow::Borrowed(""),
                            field => text.push_str(field),
                        },
                    }
                }
                Cow::Owned(text)
            }
        }
    }

    /// The text that is loaded for a raw one, or the reason why it cannot be.
    pub fn finish<'t>(&'t self, raw: &'t str) -> Result<Cow<'t, str>, String> {
        if raw.is_empty() {
            return Ok(Cow::Borrowed(self.default.as_deref().unwrap_or_default()));
        }
        let text = match &self.values {
            None => raw,
            Some(values) => values.get(raw).ok_or_else(|| {
                let mut known: Vec<&str> = values.keys().map(String::as_str).collect();
                known.sort_unstable();
                format!("the map has no value for it; it has {}", known.join(", "))
            })?,
        };
        match &self.format {
            None => Ok(Cow::Borrowed(text)),
            Some(format) => match NaiveDate::parse_from_str(text, format) {
                Ok(date) => Ok(Cow::Owned(date.format("%Y-%m-%d").to_string())),
                Err(_) => Err(format!("it is not a date of the form {format}")),
            },
        }
    }
}

fn check_no_level(map: &MapFile<'_>, source: &Spanned<Source>) -> Result<(), FileProblem> {
    match source.get_ref().level {
        None => Ok(()),
        Some(_) => {
            let message = "level goes with a dimension that the cube uses at a level";
            Err(map.problem(source, message))
        }
    }
}

/// Splits `category:{Key}` into what stays and columns.
fn template(
    text: &str,
    columns: &Columns<'_>,
    map: &MapFile<'_>,
    source: &Spanned<Source>,
) -> Result<Vec<Part>, FileProblem> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let Some((name, after)) = after.split_once('}') else {
            return Err(map.problem(source, format!("{text:?}: a brace is not closed")));
        };
        parts.push(Part::Column(columns.resolve(name, source)?));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.into()));
    }
    if !parts.iter().any(|part| matches!(part, Part::Column(_))) {
        let hint = "name columns in braces, as in \"category:{Key}\", or say constant";
        let problem = map.problem(source, format!("{text:?} uses no column"));
        return Err(problem.with_hint(Some(hint.into())));
    }
    Ok(parts)
}
