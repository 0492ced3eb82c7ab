//! Casts to the types that only the catalogs use.
//!
//! A value of an oid type is its number until it is printed: `'finance'::regclass` looks the
//! number up, `c.oid::regclass` is `c.oid`, and where such a value is turned into text or is a
//! column of the result, its name is looked up.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, SelectItem, SetExpr, TimezoneInfo,
};

use super::build::{
    argument, array, array_elements, call, last_part, literal, string, take, unnested,
};
use super::touches::element_of;

const CAST: &str = "perfos_cast_oid";
const PRINT: &str = "perfos_oid_name";

/// Whether a type's values are oids.
pub(super) fn is_oid_type(name: &str) -> bool {
    matches!(
        name,
        "oid"
            | "xid"
            | "cid"
            | "regclass"
            | "regtype"
            | "regproc"
            | "regprocedure"
            | "regnamespace"
            | "regrole"
            | "regcollation"
            | "regoper"
            | "regoperator"
            | "regconfig"
            | "regdictionary"
    )
}

/// The name of a type that stands outside DataFusion's dialect.
fn custom_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Custom(name, _) => last_part(name),
        _ => None,
    }
}

/// PostgreSQL's names for types, as DataFusion writes them.
fn plain_type(name: &str) -> Option<DataType> {
    Some(match name {
        "text" | "name" | "varchar" | "bpchar" | "char" | "cstring" | "sql_identifier"
        | "character_data" | "yes_or_no" | "pg_node_tree" | "unknown" | "json" | "jsonb"
        | "uuid" | "inet" | "aclitem" => DataType::Text,
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" | "cardinal_number" => DataType::Integer(None),
        "int8" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "numeric" => DataType::Numeric(
            datafusion::sql::sqlparser::ast::ExactNumberInfo::PrecisionAndScale(38, 10),
        ),
        "date" => DataType::Date,
        "time" => DataType::Time(None, TimezoneInfo::None),
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" | "time_stamp" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        _ => return None,
    })
}

/// Rewrites a cast.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    if let DataType::Array(element) = data_type {
        let Some(element) = element_of(element) else { return };
        let is_oids = custom_name(element).is_some_and(|name| is_oid_type(&name));
        if let Some(elements) = array_elements(inner) {
            *expr = array(elements);
        } else if is_oids || !matches!(plain_of(element), Some(DataType::Text)) {
            // Arrays of oids and of small integers are what their columns hold already.
            *expr = take(inner);
        } else {
            *data_type =
                DataType::Array(datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket(
                    Box::new(DataType::Text),
                    None,
                ));
        }
        return;
    }
    if let Some(name) = custom_name(data_type) {
        if is_oid_type(&name) {
            *expr = call(CAST, vec![take(inner), string(&name)]);
            return;
        }
        if let Some(plain) = plain_type(&name) {
            *data_type = plain;
        }
    }
    let is_text =
        matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_));
    if is_text && let Some(kind) = printed_kind(inner) {
        *expr = call(PRINT, vec![take(inner), string(&kind)]);
    }
}

fn plain_of(element: &DataType) -> Option<DataType> {
    match element {
        DataType::Text | DataType::Varchar(_) => Some(DataType::Text),
        other => custom_name(other).and_then(|name| plain_type(&name)),
    }
}

/// The type of a cast to an oid type that prints as a name.
fn printed_kind(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = unnested(expr) else { return None };
    let kind = cast_kind(function)?;
    kind.starts_with("reg").then(|| kind.to_owned())
}

fn cast_kind(function: &Function) -> Option<&str> {
    if last_part(&function.name).as_deref() != Some(CAST) {
        return None;
    }
    match &function.args {
        datafusion::sql::sqlparser::ast::FunctionArguments::List(list) => {
            literal(argument(list.args.get(1)?)?)
        }
        _ => None,
    }
}

/// Names in place of the oids that a query returns as columns.
pub(super) fn print_oids(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item
                else {
                    continue;
                };
                if let Some(kind) = printed_kind(expr) {
                    *expr = call(PRINT, vec![take(expr), string(&kind)]);
                }
            }
        }
        SetExpr::Query(query) => print_oids(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            print_oids(left);
            print_oids(right);
        }
        _ => {}
    }
}
