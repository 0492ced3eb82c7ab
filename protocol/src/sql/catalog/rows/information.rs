//! The rows of `information_schema`.

use super::{Builder, Row, row};
use crate::sql::catalog::Catalog;
use crate::sql::catalog::definitions;
use crate::sql::catalog::describe::{self, relation_of};
use crate::sql::catalog::index::{IndexedRelation, OWNER_NAME};
use crate::sql::catalog::types::{self, PG_TYPES};
use crate::sql::catalog::value::Value;
use crate::sql::relation::{Nullability, Relation, RelationKind};

pub(super) fn builder(name: &str) -> Option<Builder> {
    let builder: Builder = match name {
        "information_schema_catalog_name" => catalog_name,
        "schemata" => schemata,
        "tables" => tables,
        "columns" => columns,
        "views" => views,
        "table_constraints" => table_constraints,
        "key_column_usage" => key_column_usage,
        "referential_constraints" => referential_constraints,
        "constraint_column_usage" => constraint_column_usage,
        "constraint_table_usage" => constraint_table_usage,
        "character_sets" => character_sets,
        "collations" => collations,
        "enabled_roles" | "applicable_roles" => enabled_roles,
        "table_privileges" | "role_table_grants" => table_privileges,
        "column_privileges" | "role_column_grants" => column_privileges,
        _ => return None,
    };
    // The two role views differ in their columns.
    Some(if name == "applicable_roles" { applicable_roles } else { builder })
}

fn yes_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

fn database(catalog: &Catalog) -> &str {
    &catalog.contents().database
}

fn entries(catalog: &Catalog) -> impl Iterator<Item = (&IndexedRelation, &Relation)> {
    catalog.index().relations.iter().map(|entry| (entry, relation_of(catalog, entry)))
}

fn catalog_name(catalog: &Catalog) -> Vec<Row> {
    vec![row! { catalog_name: database(catalog) }]
}

fn schemata(catalog: &Catalog) -> Vec<Row> {
    let schema = |(_, name): &(u32, String)| {
        row! {
            catalog_name: database(catalog),
            schema_name: name.as_str(),
            schema_owner: OWNER_NAME,
        }
    };
    catalog.index().namespaces.iter().map(schema).collect()
}

fn tables(catalog: &Catalog) -> Vec<Row> {
    let table = |schema: &str, name: &str, is_view: bool, takes_rows: bool| {
        row! {
            table_catalog: database(catalog),
            table_schema: schema,
            table_name: name,
            table_type: if is_view { "VIEW" } else { "BASE TABLE" },
            is_insertable_into: yes_no(takes_rows),
            is_typed: "NO",
        }
    };
    definitions::system_relations()
        .iter()
        .map(|system| table(system.schema, system.name, system.kind == "v", false))
        .chain(entries(catalog).map(|(_, relation)| {
            let is_view = relation.kind == RelationKind::View;
            table(&relation.schema, &relation.name, is_view, !is_view)
        }))
        .collect()
}

/// What a column's type says of its values.
fn measures(type_oid: u32, modifier: i32) -> [(&'static str, Value); 5] {
    let mut values = [
        ("numeric_precision", Value::Null),
        ("numeric_precision_radix", Value::Null),
        ("numeric_scale", Value::Null),
        ("datetime_precision", Value::Null),
        ("character_octet_length", Value::Null),
    ];
    let mut number = |precision: Value, radix: i32, scale: Value| {
        values[0].1 = precision;
        values[1].1 = radix.into();
        values[2].1 = scale;
    };
    match type_oid {
        21 => number(16.into(), 2, 0.into()),
        23 => number(32.into(), 2, 0.into()),
        20 => number(64.into(), 2, 0.into()),
        700 => number(24.into(), 2, Value::Null),
        701 => number(53.into(), 2, Value::Null),
        1700 if modifier >= 4 => {
            let modifier = modifier - 4;
            number((modifier >> 16).into(), 10, (((modifier & 0x7ff) ^ 1024) - 1024).into());
        }
        1700 => number(Value::Null, 10, Value::Null),
        1082 => values[3].1 = 0.into(),
        1083 | 1114 | 1184 | 1186 => values[3].1 = 6.into(),
        25 | 1043 => values[4].1 = (1 << 30).into(),
        _ => {}
    }
    values
}

struct Column<'a> {
    schema: &'a str,
    table: &'a str,
    name: &'a str,
    position: usize,
    pg_type: (u32, i32),
    nullable: bool,
    updatable: bool,
}

fn column(catalog: &Catalog, column: &Column<'_>) -> Row {
    let (type_oid, modifier) = column.pg_type;
    let known = PG_TYPES.by_oid(type_oid);
    let data_type = match known {
        Some(known) if known.is_array => "ARRAY".to_owned(),
        _ => types::format_type(type_oid, None),
    };
    let position = column.position as i64 + 1;
    let mut row = row! {
        table_catalog: database(catalog),
        table_schema: column.schema,
        table_name: column.table,
        column_name: column.name,
        ordinal_position: position,
        is_nullable: yes_no(column.nullable),
        data_type: data_type,
        udt_catalog: database(catalog),
        udt_schema: "pg_catalog",
        udt_name: known.map_or("text", |known| known.name.as_str()),
        dtd_identifier: position.to_string(),
        is_self_referencing: "NO",
        is_identity: "NO",
        identity_cycle: "NO",
        is_generated: "NEVER",
        is_updatable: yes_no(column.updatable),
    };
    row.0.extend(measures(type_oid, modifier));
    row
}

fn columns(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for system in definitions::system_relations() {
        for (position, definition) in system.columns.iter().enumerate() {
            let base = types::base_type(definition.pg_type);
            let described = Column {
                schema: system.schema,
                table: system.name,
                name: definition.name,
                position,
                pg_type: (PG_TYPES.by_name(base).map_or(25, |known| known.oid), -1),
                nullable: !definition.not_null,
                updatable: false,
            };
            rows.push(column(catalog, &described));
        }
    }
    for (_, relation) in entries(catalog) {
        for (position, definition) in relation.columns.iter().enumerate() {
            let described = Column {
                schema: &relation.schema,
                table: &relation.name,
                name: &definition.name,
                position,
                pg_type: types::describe(&definition.data_type),
                nullable: definition.nullability == Nullability::Nullable,
                updatable: relation.kind == RelationKind::Table,
            };
            rows.push(column(catalog, &described));
        }
    }
    rows
}

fn views(catalog: &Catalog) -> Vec<Row> {
    entries(catalog)
        .filter(|(_, relation)| relation.kind == RelationKind::View)
        .map(|(entry, relation)| {
            row! {
                table_catalog: database(catalog),
                table_schema: relation.schema.as_str(),
                table_name: relation.name.as_str(),
                view_definition: describe::view(catalog, entry.oid),
                check_option: "NONE",
                is_updatable: "NO",
                is_insertable_into: "NO",
                is_trigger_updatable: "NO",
                is_trigger_deletable: "NO",
                is_trigger_insertable_into: "NO",
            }
        })
        .collect()
}

/// A constraint of a table: its name, its columns, and what it refers to.
struct Constraint<'a> {
    relation: &'a Relation,
    entry: &'a IndexedRelation,
    name: &'a str,
    columns: Vec<usize>,
    /// The referenced table and its column.
    target: Option<(&'a IndexedRelation, usize)>,
}

fn constraints(catalog: &Catalog) -> Vec<Constraint<'_>> {
    let mut all = Vec::new();
    for (entry, relation) in entries(catalog) {
        if let Some(key) = &entry.primary_key {
            let columns = relation.primary_key.clone();
            all.push(Constraint { relation, entry, name: &key.name, columns, target: None });
        }
        for key in &entry.foreign_keys {
            let Some(target) = catalog.index().relations.get(key.target) else { continue };
            all.push(Constraint {
                relation,
                entry,
                name: &key.name,
                columns: vec![key.column],
                target: Some((target, key.target_column)),
            });
        }
    }
    all
}

/// The name of a constraint, in the three columns of this prefix.
fn constraint_name(catalog: &Catalog, constraint: &Constraint<'_>) -> Row {
    row! {
        constraint_catalog: database(catalog),
        constraint_schema: constraint.relation.schema.as_str(),
        constraint_name: constraint.name,
    }
}

fn table_constraints(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for constraint in constraints(catalog) {
        let kind = if constraint.target.is_some() { "FOREIGN KEY" } else { "PRIMARY KEY" };
        rows.push(table_constraint(catalog, constraint.relation, constraint.name, kind));
    }
    for (entry, relation) in entries(catalog) {
        for (position, column) in relation.columns.iter().enumerate() {
            if column.nullability == Nullability::Required {
                let name = format!("{}_{}_{}_not_null", entry.namespace, entry.oid, position + 1);
                rows.push(table_constraint(catalog, relation, &name, "CHECK"));
            }
        }
    }
    rows
}

fn table_constraint(catalog: &Catalog, relation: &Relation, name: &str, kind: &str) -> Row {
    row! {
        constraint_catalog: database(catalog),
        constraint_schema: relation.schema.as_str(),
        constraint_name: name,
        table_catalog: database(catalog),
        table_schema: relation.schema.as_str(),
        table_name: relation.name.as_str(),
        constraint_type: kind,
        is_deferrable: "NO",
        initially_deferred: "NO",
        enforced: "YES",
    }
}

fn key_column_usage(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for constraint in constraints(catalog) {
        let relation = constraint.relation;
        for (position, at) in constraint.columns.iter().enumerate() {
            let Some(column) = relation.columns.get(*at) else { continue };
            let referenced = constraint.target.map(|_| 1);
            rows.push(
                constraint_name(catalog, &constraint)
                    .with("table_catalog", database(catalog))
                    .with("table_schema", relation.schema.as_str())
                    .with("table_name", relation.name.as_str())
                    .with("column_name", column.name.as_str())
                    .with("ordinal_position", position as i64 + 1)
                    .with("position_in_unique_constraint", referenced),
            );
        }
    }
    rows
}

fn referential_constraints(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for constraint in constraints(catalog) {
        let Some((target, _)) = constraint.target else { continue };
        let key = target.primary_key.as_ref().map(|key| key.name.as_str());
        rows.push(
            constraint_name(catalog, &constraint)
                .with("unique_constraint_catalog", database(catalog))
                .with("unique_constraint_schema", relation_of(catalog, target).schema.as_str())
                .with("unique_constraint_name", key)
                .with("match_option", "NONE")
                .with("update_rule", "NO ACTION")
                .with("delete_rule", "NO ACTION"),
        );
    }
    rows
}

fn constraint_column_usage(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for constraint in constraints(catalog) {
        let (entry, columns) = match constraint.target {
            Some((target, column)) => (target, vec![column]),
            None => (constraint.entry, constraint.columns.clone()),
        };
        let relation = relation_of(catalog, entry);
        for at in columns {
            let Some(column) = relation.columns.get(at) else { continue };
            rows.push(
                constraint_name(catalog, &constraint)
                    .with("table_catalog", database(catalog))
                    .with("table_schema", relation.schema.as_str())
                    .with("table_name", relation.name.as_str())
                    .with("column_name", column.name.as_str()),
            );
        }
    }
    rows
}

fn constraint_table_usage(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for constraint in constraints(catalog) {
        let entry = constraint.target.map_or(constraint.entry, |(target, _)| target);
        let relation = relation_of(catalog, entry);
        rows.push(
            constraint_name(catalog, &constraint)
                .with("table_catalog", database(catalog))
                .with("table_schema", relation.schema.as_str())
                .with("table_name", relation.name.as_str()),
        );
    }
    rows
}

fn character_sets(catalog: &Catalog) -> Vec<Row> {
    vec![row! {
        character_set_name: "UTF8",
        character_repertoire: "UCS",
        form_of_use: "UTF8",
        default_collate_catalog: database(catalog),
    }]
}

fn collations(catalog: &Catalog) -> Vec<Row> {
    let Some(table) = definitions::static_table("pg_collation") else { return Vec::new() };
    let collation = |values: &Vec<Value>| {
        row! {
            collation_catalog: database(catalog),
            collation_schema: "pg_catalog",
            collation_name: table.get(values, "collname").clone(),
            pad_attribute: "NO PAD",
        }
    };
    table.rows.iter().map(collation).collect()
}

fn enabled_roles(catalog: &Catalog) -> Vec<Row> {
    catalog.index().roles.iter().map(|(_, name)| row! { role_name: name.as_str() }).collect()
}

fn applicable_roles(_: &Catalog) -> Vec<Row> {
    Vec::new()
}

/// What the session's user may do with a relation, in PostgreSQL's words. Finer rules are kept
/// where statements run.
fn privileges(relation: &Relation) -> &'static [&'static str] {
    match relation.kind {
        RelationKind::Table => &["INSERT", "SELECT", "UPDATE", "DELETE"],
        RelationKind::View => &["SELECT"],
    }
}

fn table_privileges(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, relation) in entries(catalog) {
        for privilege in privileges(relation) {
            rows.push(
                privilege_row(catalog, relation, privilege)
                    .with("with_hierarchy", yes_no(*privilege == "SELECT")),
            );
        }
    }
    rows
}

fn column_privileges(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for (_, relation) in entries(catalog) {
        for privilege in privileges(relation).iter().filter(|privilege| **privilege != "DELETE") {
            for column in &relation.columns {
                rows.push(
                    privilege_row(catalog, relation, privilege)
                        .with("column_name", column.name.as_str()),
                );
            }
        }
    }
    rows
}

fn privilege_row(catalog: &Catalog, relation: &Relation, privilege: &str) -> Row {
    row! {
        grantor: OWNER_NAME,
        grantee: catalog.contents().user.as_str(),
        table_catalog: database(catalog),
        table_schema: relation.schema.as_str(),
        table_name: relation.name.as_str(),
        privilege_type: privilege,
        is_grantable: "NO",
    }
}
