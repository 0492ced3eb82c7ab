//! What the session and the server say of themselves.

use datafusion::error::{DataFusionError, Result};

use super::{Context, Definition, SettingScope, Value, called, oid, strict, text_of};
use crate::error::SqlError;
use crate::sql::catalog::definitions::PG_CATALOG;
use crate::sql::catalog::describe;
use crate::sql::catalog::functions::objects;
use crate::sql::catalog::index::{Class, oid_of};
use crate::sql::catalog::rows::estimated_bytes;

pub(super) const DEFINITIONS: &[Definition] = &[
    called("current_catalog", 0..=0, "name", database),
    called("current_database", 0..=0, "name", database),
    called("current_role", 0..=0, "name", user),
    called("current_schema", 0..=0, "name", current_schema).volatile(),
    strict("current_schemas", 1..=1, "_name", current_schemas).volatile(),
    strict("current_setting", 1..=2, "text", current_setting).volatile(),
    called("current_user", 0..=0, "name", user),
    called("inet_client_addr", 0..=0, "inet", null),
    called("inet_client_port", 0..=0, "int4", null),
    called("inet_server_addr", 0..=0, "inet", null),
    called("inet_server_port", 0..=0, "int4", null),
    called("pg_backend_pid", 0..=0, "int4", |c, _| Ok(c.values.backend_pid().into())),
    called("pg_client_encoding", 0..=0, "name", |_, _| Ok("UTF8".into())),
    called("pg_conf_load_time", 0..=0, "timestamptz", started),
    strict("pg_database_size", 1..=1, "int8", database_size),
    strict("pg_indexes_size", 1..=1, "int8", |_, _| Ok(0.into())),
    called("pg_is_in_recovery", 0..=0, "bool", |_, _| Ok(false.into())),
    strict("pg_is_other_temp_schema", 1..=1, "bool", |_, _| Ok(false.into())),
    called("pg_is_wal_replay_paused", 0..=0, "bool", |_, _| Ok(false.into())),
    called("pg_last_wal_receive_lsn", 0..=0, "pg_lsn", null),
    called("pg_last_wal_replay_lsn", 0..=0, "pg_lsn", null),
    called("pg_my_temp_schema", 0..=0, "oid", |_, _| Ok(0.into())),
    called("pg_postmaster_start_time", 0..=0, "timestamptz", started),
    strict("pg_relation_filenode", 1..=1, "oid", |_, a| Ok(oid(a, 0).into())),
    strict("pg_relation_size", 1..=2, "int8", relation_size),
    strict("pg_table_size", 1..=1, "int8", relation_size),
    strict("pg_tablespace_location", 1..=1, "text", |_, _| Ok("".into())),
    strict("pg_tablespace_size", 1..=1, "int8", null),
    strict("pg_total_relation_size", 1..=1, "int8", relation_size),
    called("session_user", 0..=0, "name", user),
    called("set_config", 3..=3, "text", set_config).volatile(),
    called("txid_current", 0..=0, "int8", |c, _| Ok(c.values.transaction_id().into())).volatile(),
    called("pg_current_xact_id", 0..=0, "int8", |c, _| Ok(c.values.transaction_id().into()))
        .volatile(),
    called("user", 0..=0, "name", user),
    called("version", 0..=0, "text", |_, _| Ok(VERSION.into())),
];

/// Clients read the number and refuse what does not begin like PostgreSQL.
const VERSION: &str = concat!(
    "PostgreSQL 15.18 (Performance OS ",
    env!("CARGO_PKG_VERSION"),
    ") on ",
    "x86_64-pc-linux-gnu, 64-bit"
);

fn null(_: &Context, _: &[Value]) -> Result<Value> {
    Ok(Value::Null)
}

fn database(context: &Context, _: &[Value]) -> Result<Value> {
    Ok(context.catalog.contents().database.as_str().into())
}

fn user(context: &Context, _: &[Value]) -> Result<Value> {
    Ok(context.catalog.contents().user.as_str().into())
}

fn started(context: &Context, _: &[Value]) -> Result<Value> {
    Ok(Value::Timestamp(context.values.started_at_us()))
}

/// The schemas of the search path that exist.
fn existing_path(context: &Context) -> Vec<String> {
    let namespaces = &context.catalog.index().namespaces;
    context.path.iter().filter(|name| oid_of(namespaces, name).is_some()).cloned().collect()
}

fn current_schema(context: &Context, _: &[Value]) -> Result<Value> {
    Ok(existing_path(context).into_iter().next().into())
}

fn current_schemas(context: &Context, arguments: &[Value]) -> Result<Value> {
    let mut path = existing_path(context);
    if arguments[0].as_bool() && !path.iter().any(|name| name == PG_CATALOG) {
        path.insert(0, PG_CATALOG.to_owned());
    }
    Ok(path.into())
}

fn current_setting(context: &Context, arguments: &[Value]) -> Result<Value> {
    let name = text_of(arguments, 0);
    match context.values.setting(&name) {
        Some(value) => Ok(value.into()),
        None if arguments.get(1).is_some_and(Value::as_bool) => Ok(Value::Null),
        None => {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            Err(DataFusionError::External(Box::new(SqlError::new("42704", message))))
        }
    }
}

fn set_config(context: &Context, arguments: &[Value]) -> Result<Value> {
    let scope =
        if arguments[2].as_bool() { SettingScope::Transaction } else { SettingScope::Session };
    let (name, value) = (text_of(arguments, 0), text_of(arguments, 1));
    context.values.set_setting(&name, &value, scope).map(Value::Text)
}

fn relation_size(context: &Context, arguments: &[Value]) -> Result<Value> {
    let class = objects::class_oid(context, &arguments[0])
        .and_then(|oid| context.catalog.index().class(oid));
    Ok(match class {
        Some(Class::Relation(entry)) => {
            estimated_bytes(describe::relation_of(&context.catalog, entry)).into()
        }
        Some(_) => 0.into(),
        None => Value::Null,
    })
}

/// Of another database nothing is known here.
fn database_size(context: &Context, arguments: &[Value]) -> Result<Value> {
    let contents = context.catalog.contents();
    let own = oid_of(&context.catalog.index().databases, &contents.database);
    let asked = &arguments[0];
    let is_own = asked.as_text() == Some(&contents.database) || asked.as_oid() == own;
    let total = contents.relations.iter().map(estimated_bytes).fold(0i64, i64::saturating_add);
    Ok(if is_own { total.into() } else { Value::Null })
}
