//! Definitions in SQL, as `pg_get_constraintdef`, `pg_get_indexdef` and `pg_get_viewdef` print them.

use super::Catalog;
use super::index::{Class, IndexedRelation, Reference, name_of};
use crate::sql::relation::{Relation, RelationKind};

/// An identifier, quoted where PostgreSQL would quote it.
pub(super) fn quote_identifier(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A string as a SQL literal.
pub(super) fn quote_literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The words that PostgreSQL 15 quotes when they are names.
pub(super) const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// The contents behind an indexed relation.
pub(super) fn relation_of<'a>(catalog: &'a Catalog, entry: &IndexedRelation) -> &'a Relation {
    &catalog.contents().relations[entry.position]
}

/// The quoted name of a column, from 0.
fn column_name(relation: &Relation, position: usize) -> String {
    relation.columns.get(position).map_or_else(String::new, |c| quote_identifier(&c.name))
}

/// The columns of a primary key, quoted and separated.
fn key_columns(relation: &Relation) -> String {
    let names: Vec<String> =
        relation.primary_key.iter().map(|at| column_name(relation, *at)).collect();
    names.join(", ")
}

/// A relation's name, with its schema where the search path would not find it.
pub(super) fn class_name(catalog: &Catalog, path: &[String], oid: u32) -> Option<String> {
    let (schema, name) = schema_and_name(catalog, oid)?;
    let quoted = quote_identifier(name);
    Some(if is_visible(catalog, path, oid) {
        quoted
    } else {
        format!("{}.{quoted}", quote_identifier(schema))
    })
}

/// The schema and the name of a row of `pg_class`.
pub(super) fn schema_and_name(catalog: &Catalog, oid: u32) -> Option<(&str, &str)> {
    let index = catalog.index();
    Some(match index.class(oid)? {
        Class::System(system) => (system.schema, system.name),
        Class::Relation(entry) => {
            (name_of(&index.namespaces, entry.namespace)?, &relation_of(catalog, entry).name)
        }
        Class::Key(entry, key) => (name_of(&index.namespaces, entry.namespace)?, &key.name),
    })
}

/// Whether an unqualified name finds this relation.
pub(super) fn is_visible(catalog: &Catalog, path: &[String], oid: u32) -> bool {
    let Some((_, name)) = schema_and_name(catalog, oid) else { return false };
    find_class(catalog, path, name) == Some(oid)
}

/// The relation that an unqualified name finds.
pub(super) fn find_class(catalog: &Catalog, path: &[String], name: &str) -> Option<u32> {
    let index = catalog.index();
    std::iter::once(super::definitions::PG_CATALOG)
        .chain(path.iter().map(String::as_str))
        .find_map(|schema| index.class_named(schema, name))
}

/// `PRIMARY KEY (a, b)` or `FOREIGN KEY (a) REFERENCES t(k)`.
pub(super) fn constraint(catalog: &Catalog, path: &[String], oid: u32) -> Option<String> {
    for entry in &catalog.index().relations {
        let relation = relation_of(catalog, entry);
        if entry.primary_key.as_ref().is_some_and(|key| key.constraint == oid) {
            return Some(format!("PRIMARY KEY ({})", key_columns(relation)));
        }
        if let Some(key) = entry.foreign_keys.iter().find(|key| key.constraint == oid) {
            return foreign_key(catalog, path, relation, key);
        }
    }
    None
}

fn foreign_key(
    catalog: &Catalog,
    path: &[String],
    relation: &Relation,
    key: &Reference,
) -> Option<String> {
    let target = catalog.index().relations.get(key.target)?;
    Some(format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        column_name(relation, key.column),
        class_name(catalog, path, target.oid)?,
        column_name(relation_of(catalog, target), key.target_column),
    ))
}

/// `CREATE UNIQUE INDEX ...`, or one column of the index, counted from 1. With a search path the
/// table is written as short as it allows.
pub(super) fn index(
    catalog: &Catalog,
    path: Option<&[String]>,
    oid: u32,
    column: usize,
) -> Option<String> {
    let Class::Key(entry, key) = catalog.index().class(oid)? else { return None };
    let relation = relation_of(catalog, entry);
    if column > 0 {
        return relation.primary_key.get(column - 1).map(|at| column_name(relation, *at));
    }
    Some(format!(
        "CREATE UNIQUE INDEX {} ON {} USING btree ({})",
        quote_identifier(&key.name),
        class_name(catalog, path.unwrap_or_default(), entry.oid)?,
        key_columns(relation),
    ))
}

/// The text of a view: what a client would write to read it.
pub(super) fn view(catalog: &Catalog, oid: u32) -> Option<String> {
    let Class::Relation(entry) = catalog.index().class(oid)? else { return None };
    let relation = relation_of(catalog, entry);
    if relation.kind != RelationKind::View {
        return None;
    }
    let table = quote_identifier(&relation.name);
    let columns: Vec<String> = (0..relation.columns.len())
        .map(|at| format!("{table}.{}", column_name(relation, at)))
        .collect();
    Some(format!(
        " SELECT {}\n   FROM {}.{table};",
        columns.join(",\n    "),
        quote_identifier(&relation.schema)
    ))
}
