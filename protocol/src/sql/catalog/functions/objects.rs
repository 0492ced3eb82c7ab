//! Names, definitions, comments and visibility of what has an oid.

use datafusion::error::{DataFusionError, Result};

use super::{Context, Definition, Value, called, oid, strict, text_of};
use crate::error::SqlError;
use crate::sql::catalog::definitions;
use crate::sql::catalog::index::{Class, MDX_OID, MEASURE_OID, PUBLIC_OID, name_of, oid_of};

use crate::sql::catalog::types::{self, PG_TYPES};
use crate::sql::catalog::{Catalog, describe};

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("col_description", 2..=2, "text", column_description),
    called("format_type", 2..=2, "text", format_type),
    strict("obj_description", 1..=2, "text", object_description),
    strict("shobj_description", 2..=2, "text", |_, _| Ok(Value::Null)),
    strict("pg_collation_is_visible", 1..=1, "bool", visible),
    strict("pg_conversion_is_visible", 1..=1, "bool", visible),
    strict("pg_function_is_visible", 1..=1, "bool", function_visible),
    strict("pg_opclass_is_visible", 1..=1, "bool", visible),
    strict("pg_operator_is_visible", 1..=1, "bool", visible),
    strict("pg_opfamily_is_visible", 1..=1, "bool", visible),
    strict("pg_statistics_obj_is_visible", 1..=1, "bool", visible),
    strict("pg_table_is_visible", 1..=1, "bool", table_visible),
    strict("pg_ts_config_is_visible", 1..=1, "bool", visible),
    strict("pg_ts_dict_is_visible", 1..=1, "bool", visible),
    strict("pg_ts_parser_is_visible", 1..=1, "bool", visible),
    strict("pg_ts_template_is_visible", 1..=1, "bool", visible),
    strict("pg_type_is_visible", 1..=1, "bool", type_visible),
    strict("pg_get_constraintdef", 1..=2, "text", constraint_definition),
    strict("pg_get_expr", 2..=3, "text", expression),
    strict("pg_get_function_arg_default", 2..=2, "text", null),
    strict("pg_get_function_arguments", 1..=1, "text", function_arguments),
    strict("pg_get_function_identity_arguments", 1..=1, "text", function_arguments),
    strict("pg_get_function_result", 1..=1, "text", function_result),
    strict("pg_get_function_sqlbody", 1..=1, "text", null),
    strict("pg_get_functiondef", 1..=1, "text", null),
    strict("pg_get_indexdef", 1..=3, "text", index_definition),
    strict("pg_get_partition_constraintdef", 1..=1, "text", null),
    strict("pg_get_partkeydef", 1..=1, "text", null),
    strict("pg_get_ruledef", 1..=2, "text", null),
    strict("pg_get_serial_sequence", 2..=2, "text", null),
    strict("pg_get_statisticsobjdef", 1..=1, "text", null),
    strict("pg_get_statisticsobjdef_columns", 1..=1, "text", null),
    strict("pg_get_triggerdef", 1..=2, "text", null),
    strict("pg_get_userbyid", 1..=1, "name", user_name),
    strict("pg_get_viewdef", 1..=2, "text", view_definition),
    strict("pg_relation_is_publishable", 1..=1, "bool", |_, _| Ok(false.into())),
    strict("to_regclass", 1..=1, "regclass", |c, a| Ok(class_oid(c, &a[0]).into())),
    strict("to_regnamespace", 1..=1, "regnamespace", |c, a| Ok(namespace_oid(c, &a[0]).into())),
    strict("to_regproc", 1..=1, "regproc", |_, a| Ok(function_oid(&a[0]).into())),
    strict("to_regprocedure", 1..=1, "regprocedure", |_, a| Ok(function_oid(&a[0]).into())),
    strict("to_regrole", 1..=1, "regrole", |c, a| Ok(role_oid(c, &a[0]).into())),
    strict("to_regtype", 1..=1, "regtype", |c, a| Ok(type_oid(c, &a[0]).into())),
    // What the rewrite makes of casts: `x::regclass` is an oid, and `x::regclass::text` its name.
    strict("perfos_cast_oid", 2..=2, "oid", cast_oid),
    strict("perfos_oid_name", 2..=2, "text", oid_name),
];

fn null(_: &Context, _: &[Value]) -> Result<Value> {
    Ok(Value::Null)
}

/// Everything of `pg_catalog` is visible, and of what else there is nothing has this kind.
fn visible(_: &Context, _: &[Value]) -> Result<Value> {
    Ok(true.into())
}

fn table_visible(context: &Context, arguments: &[Value]) -> Result<Value> {
    Ok(describe::is_visible(&context.catalog, &context.path, oid(arguments, 0)).into())
}

fn function_visible(context: &Context, arguments: &[Value]) -> Result<Value> {
    Ok(match oid(arguments, 0) {
        MEASURE_OID | MDX_OID => context.path.iter().any(|name| name == "public"),
        _ => true,
    }
    .into())
}

fn type_visible(context: &Context, arguments: &[Value]) -> Result<Value> {
    let asked = oid(arguments, 0);
    let row_type = context.catalog.index().relations.iter().find(|e| e.row_type == asked);
    Ok(match row_type {
        Some(entry) => describe::is_visible(&context.catalog, &context.path, entry.oid).into(),
        None => PG_TYPES.by_oid(asked).is_some().into(),
    })
}

/// Expressions are kept in the form in which they print.
fn expression(_: &Context, arguments: &[Value]) -> Result<Value> {
    Ok(arguments[0].clone())
}

fn format_type(context: &Context, arguments: &[Value]) -> Result<Value> {
    let Some(asked) = arguments[0].as_oid() else { return Ok(Value::Null) };
    let modifier = arguments[1].as_int().and_then(|modifier| i32::try_from(modifier).ok());
    Ok(type_name(&context.catalog, &context.path, asked, modifier).into())
}

fn type_name(catalog: &Catalog, path: &[String], asked: u32, modifier: Option<i32>) -> String {
    let row_type = catalog.index().relations.iter().find(|entry| entry.row_type == asked);
    match row_type.and_then(|entry| describe::class_name(catalog, path, entry.oid)) {
        Some(name) => name,
        None => types::format_type(asked, modifier),
    }
}

fn column_description(context: &Context, arguments: &[Value]) -> Result<Value> {
    let column = arguments[1].as_int().and_then(|number| usize::try_from(number - 1).ok());
    Ok(match context.catalog.index().class(oid(arguments, 0)) {
        Some(Class::Relation(entry)) => column
            .and_then(|at| describe::relation_of(&context.catalog, entry).columns.get(at))
            .and_then(|column| column.comment.as_deref())
            .into(),
        _ => Value::Null,
    })
}

fn object_description(context: &Context, arguments: &[Value]) -> Result<Value> {
    let asked = oid(arguments, 0);
    let kind = arguments.get(1).and_then(Value::as_text);
    if matches!(kind, None | Some("pg_class"))
        && let Some(Class::Relation(entry)) = context.catalog.index().class(asked)
    {
        return Ok(describe::relation_of(&context.catalog, entry).comment.as_deref().into());
    }
    Ok(match (kind, asked) {
        (None | Some("pg_namespace"), PUBLIC_OID) => "the main branch".into(),
        (None | Some("pg_proc"), MEASURE_OID) => {
            "aggregates a measure by the cube's own rules".into()
        }
        (None | Some("pg_proc"), MDX_OID) => "the rows of an MDX query".into(),
        _ => Value::Null,
    })
}

fn constraint_definition(context: &Context, arguments: &[Value]) -> Result<Value> {
    Ok(describe::constraint(&context.catalog, &context.path, oid(arguments, 0)).into())
}

fn index_definition(context: &Context, arguments: &[Value]) -> Result<Value> {
    let column = arguments.get(1).and_then(Value::as_int).unwrap_or_default();
    let column = usize::try_from(column).unwrap_or_default();
    let pretty = arguments.get(2).is_some_and(Value::as_bool);
    let path = pretty.then_some(context.path.as_slice());
    Ok(describe::index(&context.catalog, path, oid(arguments, 0), column).into())
}

fn view_definition(context: &Context, arguments: &[Value]) -> Result<Value> {
    let class = class_oid(context, &arguments[0]);
    Ok(class.and_then(|oid| describe::view(&context.catalog, oid)).into())
}

fn user_name(context: &Context, arguments: &[Value]) -> Result<Value> {
    let asked = oid(arguments, 0);
    let name = name_of(&context.catalog.index().roles, asked);
    Ok(name.map_or_else(|| format!("unknown (OID={asked})"), str::to_owned).into())
}

/// A column of a row of `pg_proc`.
fn function_column(asked: u32, column: &str) -> Option<&'static Value> {
    let table = definitions::static_table("pg_proc")?;
    let row = table.rows.iter().find(|row| table.get(row, "oid").as_oid() == Some(asked))?;
    Some(table.get(row, column))
}

fn function_arguments(context: &Context, arguments: &[Value]) -> Result<Value> {
    let asked = oid(arguments, 0);
    let own = match asked {
        MEASURE_OID => Some("anyelement"),
        MDX_OID => Some("text"),
        _ => None,
    };
    if let Some(own) = own {
        return Ok(own.into());
    }
    let Some(Value::List(types)) = function_column(asked, "proargtypes") else {
        return Ok(Value::Null);
    };
    let names: Vec<String> = types
        .iter()
        .filter_map(Value::as_oid)
        .map(|oid| type_name(&context.catalog, &context.path, oid, None))
        .collect();
    Ok(names.join(", ").into())
}

fn function_result(context: &Context, arguments: &[Value]) -> Result<Value> {
    let asked = oid(arguments, 0);
    let (result, is_set) = match asked {
        MEASURE_OID => (Some(2283), false),
        MDX_OID => (Some(2249), true),
        _ => (
            function_column(asked, "prorettype").and_then(Value::as_oid),
            function_column(asked, "proretset").is_some_and(Value::as_bool),
        ),
    };
    let Some(result) = result else { return Ok(Value::Null) };
    let name = type_name(&context.catalog, &context.path, result, None);
    Ok(if is_set { format!("SETOF {name}") } else { name }.into())
}

/// A dotted SQL name in its parts: quotes kept as written, the rest in lower case.
fn name_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(part) = parts.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                part.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            letter if quoted => part.push(letter),
            letter => part.extend(letter.to_lowercase()),
        }
    }
    parts
}

/// A relation by its oid or its name.
pub(super) fn class_oid(context: &Context, value: &Value) -> Option<u32> {
    if let Some(oid) = value.as_oid() {
        return Some(oid);
    }
    let parts = name_parts(value.as_text()?);
    match parts.as_slice() {
        [name] => describe::find_class(&context.catalog, &context.path, name),
        [schema, name] | [_, schema, name] => context.catalog.index().class_named(schema, name),
        _ => None,
    }
}

fn namespace_oid(context: &Context, value: &Value) -> Option<u32> {
    value.as_oid().or_else(|| {
        let parts = name_parts(value.as_text()?);
        oid_of(&context.catalog.index().namespaces, parts.first()?)
    })
}

fn role_oid(context: &Context, value: &Value) -> Option<u32> {
    value.as_oid().or_else(|| {
        let parts = name_parts(value.as_text()?);
        oid_of(&context.catalog.index().roles, parts.first()?)
    })
}

fn type_oid(context: &Context, value: &Value) -> Option<u32> {
    value.as_oid().or_else(|| types::parse_type(value.as_text()?)).or_else(|| {
        let class = class_oid(context, value)?;
        let relations = &context.catalog.index().relations;
        relations.iter().find(|entry| entry.oid == class).map(|entry| entry.row_type)
    })
}

fn function_oid(value: &Value) -> Option<u32> {
    if let Some(oid) = value.as_oid() {
        return Some(oid);
    }
    let text = value.as_text()?;
    let name = name_parts(text.split('(').next()?).pop()?;
    match name.as_str() {
        "measure" => return Some(MEASURE_OID),
        "mdx" => return Some(MDX_OID),
        _ => {}
    }
    let table = definitions::static_table("pg_proc")?;
    let row = table.rows.iter().find(|row| table.get(row, "proname").as_text() == Some(&name))?;
    table.get(row, "oid").as_oid()
}

/// `perfos_cast_oid('finance', 'regclass')`: the oid, or PostgreSQL's error for an unknown name.
fn cast_oid(context: &Context, arguments: &[Value]) -> Result<Value> {
    let (value, kind) = (&arguments[0], text_of(arguments, 1));
    let (found, sqlstate, what) = match kind.as_str() {
        "regclass" => (class_oid(context, value), "42P01", "relation"),
        "regtype" => (type_oid(context, value), "42704", "type"),
        "regnamespace" => (namespace_oid(context, value), "3F000", "schema"),
        "regrole" => (role_oid(context, value), "42704", "role"),
        "regproc" | "regprocedure" => (function_oid(value), "42883", "function"),
        _ => (value.as_oid(), "22P02", "oid"),
    };
    if let Some(found) = found {
        return Ok(found.into());
    }
    let name = text_of(arguments, 0);
    if name == "-" {
        return Ok(0.into());
    }
    let message = if what == "oid" {
        format!("invalid input syntax for type oid: \"{name}\"")
    } else {
        format!("{what} \"{name}\" does not exist")
    };
    Err(DataFusionError::External(Box::new(SqlError::new(sqlstate, message))))
}

/// `perfos_oid_name(oid, 'regclass')`: what PostgreSQL prints for an oid of this type.
fn oid_name(context: &Context, arguments: &[Value]) -> Result<Value> {
    let Some(asked) = arguments[0].as_oid() else {
        // A name that was cast to its type and back.
        return cast_oid(context, arguments)
            .and_then(|value| oid_name(context, &[value, arguments[1].clone()]));
    };
    let kind = text_of(arguments, 1);
    Ok(name_in(&context.catalog, &context.path, &kind, asked).into())
}

/// The name behind an oid, as [`super::super::registered_name`] promises.
pub(in crate::sql::catalog) fn registered_name(catalog: &Catalog, kind: &str, oid: u32) -> String {
    name_in(catalog, &["public".to_owned()], kind, oid)
}

fn name_in(catalog: &Catalog, path: &[String], kind: &str, asked: u32) -> String {
    if asked == 0 {
        return "-".to_owned();
    }
    let index = catalog.index();
    let name = match kind {
        "regclass" => describe::class_name(catalog, path, asked),
        "regtype" => match type_name(catalog, path, asked, None) {
            unknown if unknown == "???" => None,
            name => Some(name),
        },
        "regnamespace" => name_of(&index.namespaces, asked).map(describe::quote_identifier),
        "regrole" => name_of(&index.roles, asked).map(describe::quote_identifier),
        "regproc" | "regprocedure" => match asked {
            MEASURE_OID => Some("measure".to_owned()),
            MDX_OID => Some("mdx".to_owned()),
            _ => function_column(asked, "proname").and_then(Value::print),
        },
        _ => None,
    };
    name.unwrap_or_else(|| asked.to_string())
}
