//! Set-returning functions of the catalogs, as functions that return arrays: the rewrite wraps
//! them in `unnest`.

use datafusion::error::Result;

use super::{Context, Definition, Value, called, strict};
use crate::sql::catalog::describe::RESERVED;

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("_pg_expandarray", 1..=1, "_expanded", expand_array),
    called("aclexplode", 1..=1, "_acl", |_, _| Ok(Value::List(Vec::new()))),
    called("acldefault", 2..=2, "_aclitem", |_, _| Ok(Value::Null)),
    strict("generate_subscripts", 2..=3, "_int4", subscripts),
    called("pg_get_keywords", 0..=0, "_keywords", keywords),
    called("pg_options_to_table", 1..=1, "_text", |_, _| Ok(Value::List(Vec::new()))),
    called("pg_partition_ancestors", 1..=1, "_regclass", |_, _| Ok(Value::List(Vec::new()))),
    called("pg_partition_tree", 1..=1, "_regclass", |_, _| Ok(Value::List(Vec::new()))),
    strict("array_upper", 2..=2, "int4", upper),
    strict("array_lower", 2..=2, "int4", lower),
    strict("perfos_element", 2..=2, "int8", element),
];

fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.clone(),
        // An array in its text form.
        Value::Text(text) => text
            .trim_matches(['{', '}'])
            .split([',', ' '])
            .filter(|item| !item.is_empty())
            .map(Value::text)
            .collect(),
        _ => Vec::new(),
    }
}

fn expand_array(_: &Context, arguments: &[Value]) -> Result<Value> {
    let rows = items(&arguments[0])
        .into_iter()
        .enumerate()
        .map(|(at, item)| Value::Row(vec![item, Value::Int(at as i64 + 1)]))
        .collect();
    Ok(Value::List(rows))
}

fn subscripts(_: &Context, arguments: &[Value]) -> Result<Value> {
    let count = items(&arguments[0]).len() as i64;
    Ok(if arguments[1].as_int() == Some(1) { (1..=count).collect() } else { Vec::new() }.into())
}

fn upper(_: &Context, arguments: &[Value]) -> Result<Value> {
    let count = items(&arguments[0]).len() as i64;
    Ok(if count > 0 && arguments[1].as_int() == Some(1) { count.into() } else { Value::Null })
}

fn lower(_: &Context, arguments: &[Value]) -> Result<Value> {
    let count = items(&arguments[0]).len();
    Ok(if count > 0 && arguments[1].as_int() == Some(1) { 1.into() } else { Value::Null })
}

/// An element of `int2vector` or `oidvector`, which count from 0.
fn element(_: &Context, arguments: &[Value]) -> Result<Value> {
    let at = arguments[1].as_int().and_then(|at| usize::try_from(at).ok());
    Ok(at.and_then(|at| items(&arguments[0]).get(at).cloned()).unwrap_or(Value::Null))
}

fn keywords(_: &Context, _: &[Value]) -> Result<Value> {
    let keyword = |word: &&str| {
        Value::Row(vec![
            Value::text(*word),
            "R".into(),
            true.into(),
            "reserved".into(),
            "can be bare label".into(),
        ])
    };
    Ok(Value::List(RESERVED.iter().map(keyword).collect()))
}
