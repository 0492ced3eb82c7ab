//! What every PostgreSQL 15 has alike: the columns of its catalogs and their fixed rows.
//!
//! `data/relations.txt` holds a relation a line: schema, kind, oid, name, then `column:type`, with
//! `!` where it is NOT NULL. `data/*.tsv` are rows in the text form of COPY under a header; columns
//! they leave out have their default.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::rows;
use super::types;
use super::value::Value;

pub(super) const PG_CATALOG: &str = "pg_catalog";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// A catalog table or view.
#[derive(Debug)]
pub(super) struct SystemRelation {
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) oid: u32,
    /// `r` or `v`.
    pub(super) kind: &'static str,
    pub(super) columns: Vec<SystemColumn>,
    pub(super) arrow: SchemaRef,
}

/// A column of a catalog.
#[derive(Debug)]
pub(super) struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) pg_type: &'static str,
    pub(super) not_null: bool,
}

static RELATIONS: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    include_str!("data/relations.txt").lines().filter_map(read_relation).collect()
});

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), usize>> = LazyLock::new(|| {
    RELATIONS.iter().enumerate().map(|(at, r)| ((r.schema, r.name), at)).collect()
});

fn read_relation(line: &'static str) -> Option<SystemRelation> {
    let mut words = line.split(' ');
    let (schema, kind) = (words.next()?, words.next()?);
    let (oid, name) = (words.next()?.parse().ok()?, words.next()?);
    let columns: Vec<SystemColumn> = words
        .filter_map(|word| {
            let (name, pg_type) = word.split_once(':')?;
            let not_null = pg_type.ends_with('!');
            Some(SystemColumn { name, pg_type: pg_type.trim_end_matches('!'), not_null })
        })
        .collect();
    let fields: Vec<_> = columns.iter().map(|c| types::field(c.name, c.pg_type, true)).collect();
    Some(SystemRelation { schema, name, oid, kind, columns, arrow: Arc::new(Schema::new(fields)) })
}

/// Every catalog table and view.
pub(super) fn system_relations() -> &'static [SystemRelation] {
    &RELATIONS
}

/// The catalog table or view of this name.
pub(super) fn system_relation(schema: &str, name: &str) -> Option<&'static SystemRelation> {
    RELATIONS.get(*BY_NAME.get(&(schema, name))?)
}

/// Whether `pg_catalog` or `information_schema` has a table of this name.
pub fn is_system_relation(schema: &str, name: &str) -> bool {
    system_relation(schema, name).is_some()
}

/// The columns of a catalog, in order; none for what is no catalog.
pub fn system_columns(schema: &str, name: &str) -> Vec<&'static str> {
    system_relation(schema, name)
        .map_or_else(Vec::new, |relation| relation.columns.iter().map(|c| c.name).collect())
}

/// Whether a column of this name, in any catalog that has one, is boolean.
pub fn is_boolean_column(name: &str) -> bool {
    RELATIONS
        .iter()
        .flat_map(|relation| &relation.columns)
        .any(|column| column.name == name && column.pg_type == "bool")
}

/// The oid of a catalog: what its rows have as `tableoid`.
pub fn system_oid(schema: &str, name: &str) -> Option<u32> {
    system_relation(schema, name).map(|relation| relation.oid)
}

/// Whether a catalog is there but never has rows (policies, publications, triggers, ...).
pub fn is_always_empty(schema: &str, name: &str) -> bool {
    system_relation(schema, name).is_some_and(|relation| {
        rows::builder(relation.schema, relation.name).is_none()
            && static_table(relation.name).is_none()
    })
}

/// Rows that are the same everywhere.
#[derive(Debug)]
pub(super) struct StaticTable {
    columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Value>>,
}

impl StaticTable {
    /// The value of a column in one of its rows; NULL for a column it leaves out.
    pub(super) fn get<'a>(&self, row: &'a [Value], column: &str) -> &'a Value {
        self.position(column).and_then(|at| row.get(at)).unwrap_or(&Value::Null)
    }

    /// Where a column is in its rows.
    pub(super) fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| *name == column)
    }
}

macro_rules! static_tables {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("data/", $name, ".tsv")))),*]
    };
}

static STATIC_TABLES: LazyLock<HashMap<&'static str, StaticTable>> = LazyLock::new(|| {
    static_tables![
        "pg_am",
        "pg_cast",
        "pg_collation",
        "pg_language",
        "pg_opclass",
        "pg_operator",
        "pg_opfamily",
        "pg_proc",
        "pg_range",
        "pg_type",
    ]
    .into_iter()
    .map(|(name, text)| (name, read_static(name, text)))
    .collect()
});

/// The fixed rows of a table of `pg_catalog`.
pub(super) fn static_table(name: &str) -> Option<&'static StaticTable> {
    STATIC_TABLES.get(name)
}

fn read_static(name: &str, text: &'static str) -> StaticTable {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    // The type table is read before any schema can be made: types are taken from the line itself.
    let kinds: Vec<DataType> = columns.iter().map(|column| column_type(name, column)).collect();
    let rows = lines
        .map(|line| line.split('\t').zip(&kinds).map(|(text, kind)| parse(kind, text)).collect())
        .collect();
    StaticTable { columns, rows }
}

fn column_type(table: &str, column: &str) -> DataType {
    include_str!("data/relations.txt")
        .lines()
        .find(|line| line.split(' ').nth(3) == Some(table))
        .and_then(|line| {
            line.split(' ').skip(4).find_map(|word| {
                let (name, pg_type) = word.split_once(':')?;
                (name == column).then(|| types::arrow_type(pg_type.trim_end_matches('!')))
            })
        })
        .unwrap_or(DataType::Utf8)
}

/// A value in PostgreSQL's text form.
fn parse(kind: &DataType, text: &str) -> Value {
    if text == "\\N" {
        return Value::Null;
    }
    match kind {
        DataType::Boolean => Value::Bool(text == "t"),
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
            text.parse().map_or(Value::Null, Value::Int)
        }
        DataType::Float32 | DataType::Float64 => text.parse().map_or(Value::Null, Value::Float),
        DataType::List(field) => {
            let inner = text.trim_start_matches('{').trim_end_matches('}');
            let separators = [',', ' '];
            Value::List(
                inner
                    .split(separators)
                    .filter(|item| !item.is_empty())
                    .map(|item| parse(field.data_type(), item.trim_matches('"')))
                    .collect(),
            )
        }
        _ => Value::text(text.replace("\\\\", "\\")),
    }
}
