//! Errors of the SQL engine and of the cube as PostgreSQL clients know them.

use std::sync::Arc;

use calc::CalcError;
use cube::CubeError;
use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::SqlError;

impl From<CubeError> for SqlError {
    fn from(error: CubeError) -> Self {
        Self { hint: error.hint(), ..Self::new(error.sqlstate(), error.to_string()) }
    }
}

impl From<&CalcError> for SqlError {
    fn from(error: &CalcError) -> Self {
        // doors write a word before a detail: the text that is marked begins on a line of its own
        let marked = |text| format!("where the formula is marked:\n{text}");
        Self {
            hint: error.hint(),
            detail: error.detail().map(marked),
            ..Self::new(error.sqlstate(), error.to_string())
        }
    }
}

impl From<CalcError> for SqlError {
    fn from(error: CalcError) -> Self {
        Self::from(&error)
    }
}

impl From<SqlError> for DataFusionError {
    fn from(error: SqlError) -> Self {
        Self::External(Box::new(error))
    }
}

/// An error of the engine, found where it began, with its SQLSTATE.
pub fn from_engine(error: &DataFusionError, sql: &str) -> SqlError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            from_engine(inner, sql)
        }
        DataFusionError::Shared(inner) => from_engine(inner, sql),
        DataFusionError::Collection(errors) => errors.first().map_or_else(
            || SqlError::new("XX000", "unknown error"),
            |error| from_engine(error, sql),
        ),
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::SQL(parser, _)
            if matches!(**parser, ParserError::RecursionLimitExceeded) =>
        {
            SqlError::new("54001", "statement too complex").with_detail("brackets nest too deep")
        }
        DataFusionError::SQL(parser, _) => {
            let message = parser.to_string();
            let message = message.trim_start_matches("sql parser error: ");
            let error = SqlError::new("42601", format!("syntax error: {message}"));
            match position(message, sql) {
                Some(position) => error.at(position),
                None => error,
            }
        }
        DataFusionError::SchemaError(schema, _) => from_schema(schema, sql),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
        DataFusionError::ResourcesExhausted(message) => SqlError::new("53200", message.clone()),
        DataFusionError::NotImplemented(message) => SqlError::new("0A000", message.clone()),
        DataFusionError::Plan(message) => from_plan(message),
        DataFusionError::Execution(message) => {
            SqlError::new(state_of_execution(message), message.clone())
        }
        other => SqlError::new("XX000", other.strip_backtrace()),
    }
}

fn external(error: &(dyn std::error::Error + 'static)) -> SqlError {
    if let Some(error) = error.downcast_ref::<SqlError>() {
        error.clone()
    } else if let Some(error) = error.downcast_ref::<CalcError>() {
        error.clone().into()
    } else if let Some(error) = error.downcast_ref::<CubeError>() {
        error.clone().into()
    } else if let Some(error) = error.downcast_ref::<DataFusionError>() {
        from_engine(error, "")
    } else if let Some(error) = error.downcast_ref::<ArrowError>() {
        from_arrow(error)
    } else if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
        // one that several streams share
        from_engine(error, "")
    } else {
        SqlError::new("XX000", error.to_string())
    }
}

fn from_schema(error: &SchemaError, sql: &str) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<String> =
                valid_fields.iter().map(|column| column.name.clone()).collect();
            let near = cube::error::nearest(&field.name, names.iter().map(String::as_str));
            let error = SqlError::new("42703", format!("column \"{}\" does not exist", field.name));
            let error = match near.as_slice() {
                [] => error,
                near => error.with_hint(format!("did you mean {}?", near.join(", "))),
            };
            match find_word(sql, &field.name) {
                Some(position) => error.at(position),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            SqlError::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
        }
        other => SqlError::new("42701", other.to_string()),
    }
}

fn from_arrow(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => SqlError::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(message) => SqlError::new("22003", message.clone()),
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            SqlError::new("22P02", message.clone())
        }
        ArrowError::InvalidArgumentError(message)
            if message.contains("too large to store") || message.contains("is too") =>
        {
            SqlError::new("22003", message.clone())
        }
        ArrowError::NotYetImplemented(message) => SqlError::new("0A000", message.clone()),
        ArrowError::OffsetOverflowError(_) => SqlError::new("54000", error.to_string()),
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        other => SqlError::new("XX000", other.to_string()),
    }
}

fn from_plan(message: &str) -> SqlError {
    let first = message.lines().next().unwrap_or(message);
    if let Some(table) =
        first.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"))
    {
        let parts: Vec<&str> = table.splitn(3, '.').collect();
        let shown = match parts.as_slice() {
            [_, "public", table] => (*table).to_string(),
            [_, schema, table] => format!("{schema}.{table}"),
            _ => table.to_string(),
        };
        return SqlError::new("42P01", format!("relation \"{shown}\" does not exist"));
    }
    if let Some(call) = unmatched_call(message) {
        return SqlError::new("42883", format!("function {call} does not exist"))
            .with_hint("no function of that name takes values of these types: texts, dates and conditions have no sum or average");
    }
    if first.starts_with("Invalid function") || first.contains("No function matches") {
        return SqlError::new("42883", first.to_string());
    }
    if first.contains("must be in the GROUP BY clause")
        || first.contains("must appear in the GROUP BY")
    {
        let column = first.split('"').nth(1).unwrap_or_default();
        let message = format!(
            "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        return SqlError::new("42803", message);
    }
    SqlError::new("42601", message.to_string())
}

/// The call, with the types of its arguments as SQL names them, that fits no function.
fn unmatched_call(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("argument types '")?;
    let (call, _) = rest.split_once('\'')?;
    let names = [("LargeUtf8", "text"), ("Utf8View", "text"), ("Utf8", "text"), ("Date32", "date")];
    let call = names.iter().fold(call.to_string(), |call, (from, to)| call.replace(from, to));
    Some(call.replace("Boolean", "boolean").replace("Int64", "bigint"))
}

fn state_of_execution(message: &str) -> &'static str {
    let lower = message.to_lowercase();
    if lower.contains("overflow") {
        "22003"
    } else if lower.contains("divide by zero") || lower.contains("division by zero") {
        "22012"
    } else {
        "XX000"
    }
}

/// The character position of the parser's "Line: 1, Column: 15".
fn position(message: &str, sql: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (line, column): (usize, usize) = (line.parse().ok()?, rest[..digits].parse().ok()?);
    let before: usize =
        sql.split('\n').take(line.checked_sub(1)?).map(|text| text.chars().count() + 1).sum();
    Some(before + column)
}

/// The character position of the only place where a word stands.
fn find_word(sql: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |at: &usize| {
        let before = sql[..*at].chars().next_back();
        let after = sql[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    };
    let places: Vec<usize> =
        sql.match_indices(word).map(|(at, _)| at).filter(stands_alone).collect();
    match places.as_slice() {
        [at] => Some(sql[..*at].chars().count() + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_errors_are_found_inside_others() {
        let own = SqlError::new("57014", "canceling statement due to user request");
        let wrapped = || DataFusionError::External(Box::new(own.clone())).context("while scanning");
        assert_eq!(from_engine(&wrapped(), ""), own);
        let arrow = ArrowError::ExternalError(Box::new(own.clone()));
        assert_eq!(from_engine(&DataFusionError::from(arrow), ""), own);
        let shared = DataFusionError::External(Box::new(Arc::new(wrapped())));
        assert_eq!(from_engine(&shared, ""), own);
        let cube = CubeError::Definition("conditions on single rows".into());
        let of_calc = DataFusionError::External(Box::new(CalcError::from(cube)));
        assert_eq!(from_engine(&of_calc, "").sqlstate, "42P16");
    }

    #[test]
    fn arithmetic_has_its_sqlstates() {
        let error = DataFusionError::from(ArrowError::DivideByZero);
        assert_eq!(from_engine(&error, ""), SqlError::new("22012", "division by zero"));
        let error = DataFusionError::NotImplemented("this".to_owned());
        assert_eq!(from_engine(&error, "").sqlstate, "0A000");
    }
}
