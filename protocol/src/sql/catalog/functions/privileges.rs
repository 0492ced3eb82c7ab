//! `has_*_privilege`: whether a name exists is answered; what a user may do with its cells is
//! decided where statements run.

use datafusion::error::Result;

use super::{Context, Definition, Value, strict};
use crate::sql::catalog::describe;
use crate::sql::catalog::functions::objects;
use crate::sql::catalog::index::Class;
use crate::sql::relation::RelationKind;

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("has_any_column_privilege", 2..=3, "bool", table),
    strict("has_column_privilege", 3..=4, "bool", column),
    strict("has_database_privilege", 2..=3, "bool", always),
    strict("has_foreign_data_wrapper_privilege", 2..=3, "bool", always),
    strict("has_function_privilege", 2..=3, "bool", always),
    strict("has_language_privilege", 2..=3, "bool", always),
    strict("has_parameter_privilege", 2..=3, "bool", always),
    strict("has_schema_privilege", 2..=3, "bool", schema),
    strict("has_sequence_privilege", 2..=3, "bool", table),
    strict("has_server_privilege", 2..=3, "bool", always),
    strict("has_table_privilege", 2..=3, "bool", table),
    strict("has_tablespace_privilege", 2..=3, "bool", always),
    strict("has_type_privilege", 2..=3, "bool", always),
    strict("pg_has_role", 2..=3, "bool", always),
    strict("row_security_active", 1..=1, "bool", |_, _| Ok(false.into())),
];

fn always(_: &Context, _: &[Value]) -> Result<Value> {
    Ok(true.into())
}

/// Schemas are branches: nothing is created in one by SQL.
fn schema(_: &Context, arguments: &[Value]) -> Result<Value> {
    let privileges = super::text_of(arguments, arguments.len().saturating_sub(1));
    Ok(asks_only(&privileges, &["USAGE"]).into())
}

fn table(context: &Context, arguments: &[Value]) -> Result<Value> {
    let last = arguments.len().saturating_sub(1);
    relation(context, arguments, last.saturating_sub(1), last)
}

fn column(context: &Context, arguments: &[Value]) -> Result<Value> {
    let last = arguments.len().saturating_sub(1);
    relation(context, arguments, last.saturating_sub(2), last)
}

fn relation(context: &Context, arguments: &[Value], at: usize, last: usize) -> Result<Value> {
    let privileges = super::text_of(arguments, last);
    let Some(oid) = arguments.get(at).and_then(|value| objects::class_oid(context, value)) else {
        return Ok(Value::Null);
    };
    let allowed: &[&str] = match context.catalog.index().class(oid) {
        Some(Class::Relation(entry))
            if describe::relation_of(&context.catalog, entry).kind == RelationKind::Table =>
        {
            &["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"]
        }
        Some(_) => &["SELECT"],
        None => return Ok(Value::Null),
    };
    Ok(asks_any(&privileges, allowed).into())
}

fn words(privileges: &str) -> impl Iterator<Item = String> + '_ {
    privileges.split(',').map(|word| word.trim().to_ascii_uppercase())
}

fn asks_any(privileges: &str, allowed: &[&str]) -> bool {
    words(privileges).any(|word| allowed.contains(&word.as_str()))
}

fn asks_only(privileges: &str, allowed: &[&str]) -> bool {
    words(privileges).all(|word| allowed.contains(&word.as_str()))
}
