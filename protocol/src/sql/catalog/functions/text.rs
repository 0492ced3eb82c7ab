//! Quoting, sizes, encodings and small JSON.

use datafusion::error::{DataFusionError, Result};

use super::{Context, Definition, Value, called, strict, text_of};
use crate::error::SqlError;
use crate::sql::catalog::describe::{quote_identifier, quote_literal};

pub(super) const DEFINITIONS: &[Definition] = &[
    called("format", 1..=32, "text", format_text),
    called("getdatabaseencoding", 0..=0, "name", |_, _| Ok("UTF8".into())),
    called("json_build_object", 0..=32, "json", json_object),
    called("jsonb_build_object", 0..=32, "jsonb", json_object),
    strict("pg_char_to_encoding", 1..=1, "int4", encoding_number),
    strict("pg_encoding_to_char", 1..=1, "name", encoding_name),
    strict("pg_size_pretty", 1..=1, "text", size_pretty),
    strict("quote_ident", 1..=1, "text", |_, a| Ok(quote_identifier(&text_of(a, 0)).into())),
    strict("quote_literal", 1..=1, "text", |_, a| Ok(quote_literal(&text_of(a, 0)).into())),
    called("quote_nullable", 1..=1, "text", |_, a| {
        Ok(a[0].print().map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text)).into())
    }),
];

fn encoding_name(_: &Context, arguments: &[Value]) -> Result<Value> {
    Ok(match arguments[0].as_int() {
        Some(0) => "SQL_ASCII",
        Some(6) => "UTF8",
        Some(8) => "LATIN1",
        _ => "",
    }
    .into())
}

fn encoding_number(_: &Context, arguments: &[Value]) -> Result<Value> {
    let name: String = text_of(arguments, 0)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Ok(match name.as_str() {
        "sqlascii" => 0,
        "utf8" | "unicode" => 6,
        "latin1" | "iso88591" => 8,
        _ => -1,
    }
    .into())
}

/// As PostgreSQL: a unit is used from ten of it on, rounded half away from zero.
fn size_pretty(_: &Context, arguments: &[Value]) -> Result<Value> {
    let Some(bytes) = arguments[0].as_int() else { return Ok(Value::Null) };
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut size = bytes.unsigned_abs();
    let mut unit = 0;
    while unit + 1 < units.len() && size >= if unit == 0 { 10 * 1024 } else { 20 * 1024 - 1 } {
        // From kilobytes on the size is kept in halves of the unit, so that it is rounded once.
        size = if unit == 0 { size / 512 } else { size / 1024 };
        unit += 1;
    }
    let rounded = if unit == 0 { size } else { size.div_ceil(2) };
    let sign = if bytes < 0 { "-" } else { "" };
    Ok(format!("{sign}{rounded} {}", units[unit]).into())
}

fn json_object(_: &Context, arguments: &[Value]) -> Result<Value> {
    if arguments.len() % 2 == 1 {
        let error = SqlError::new("22023", "argument list must have even number of elements")
            .with_hint("the arguments are keys and values in turn");
        return Err(DataFusionError::External(Box::new(error)));
    }
    let mut members = Vec::with_capacity(arguments.len() / 2);
    for pair in arguments.chunks_exact(2) {
        let key = serde_json::Value::String(pair[0].print().unwrap_or_default());
        members.push(format!("{key} : {}", json(&pair[1])));
    }
    Ok(format!("{{{}}}", members.join(", ")).into())
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) | Value::Timestamp(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(values) | Value::Row(values) => values.iter().map(json).collect(),
    }
}

/// `format('%I.%s', ...)`: `%s`, `%I`, `%L` and `%%`, with or without a position (`%1$s`).
fn format_text(_: &Context, arguments: &[Value]) -> Result<Value> {
    let Some(template) = arguments[0].print() else { return Ok(Value::Null) };
    let mut result = String::with_capacity(template.len());
    let mut letters = template.chars().peekable();
    let mut next = 1;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        let mut position = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            position.push(digit);
        }
        if letters.next_if_eq(&'$').is_some() {
            next = position.parse().unwrap_or(next);
        }
        let kind = letters.next();
        if kind == Some('%') {
            result.push('%');
            continue;
        }
        let Some(argument) = arguments.get(next) else {
            let error = SqlError::new("22023", "too few arguments for format()");
            return Err(DataFusionError::External(Box::new(error)));
        };
        next += 1;
        let text = argument.print();
        match kind {
            Some('I') => result.push_str(&quote_identifier(&text.unwrap_or_default())),
            Some('L') => {
                result.push_str(&text.map_or_else(|| "NULL".to_owned(), |t| quote_literal(&t)));
            }
            Some('s') => result.push_str(&text.unwrap_or_default()),
            other => {
                let other = other.map_or_else(String::new, String::from);
                let message = format!("unrecognized format() type specifier \"{other}\"");
                return Err(DataFusionError::External(Box::new(SqlError::new("22023", message))));
            }
        }
    }
    Ok(result.into())
}
