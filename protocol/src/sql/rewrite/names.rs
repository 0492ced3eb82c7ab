//! The names PostgreSQL gives to columns that have none.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, Select, SelectItem, SetExpr, Statement,
};

use super::build::{folded, ident, last_part};
use super::system_columns::wildcard_columns;

const UNNAMED: &str = "?column?";

/// The names PostgreSQL gives to a query's columns; `None` where it has a wildcard or is no query.
///
/// Two columns may have the same name there and not in DataFusion: a door that wants PostgreSQL's
/// names takes these, of the statement as the client wrote it.
pub fn column_names(statement: &Statement) -> Option<Vec<String>> {
    let Statement::Query(query) = statement else { return None };
    let mut body = query.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    };
    select.projection.iter().map(item_name).collect()
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(name_of(expr).unwrap_or_else(|| UNNAMED.to_owned())),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// Gives the unnamed columns of a SELECT PostgreSQL's names, made distinct by a number.
pub(super) fn name_columns(select: &mut Select) {
    let wildcard = wildcard_columns(select);
    let mut taken: HashSet<String> = wildcard.clone();
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(folded(alias));
            }
            SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => {
                taken.extend(name_of(expr).filter(|name| !is_system_column(name)));
            }
            _ => {}
        }
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        // A plain column has its name already, unless it is one that is written as a number.
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            && !name_of(expr)
                .is_some_and(|name| is_system_column(&name) || wildcard.contains(&name))
        {
            continue;
        }
        let name = name_of(expr).unwrap_or_else(|| UNNAMED.to_owned());
        let mut alias = name.clone();
        let mut number = 1;
        while !taken.insert(alias.clone()) {
            alias = format!("{name}_{number}");
            number += 1;
        }
        let expr = super::build::take(expr);
        *item = SelectItem::ExprWithAlias { expr, alias: ident(&alias) };
    }
}

/// Whether every table of PostgreSQL has this column without listing it.
fn is_system_column(name: &str) -> bool {
    matches!(name, "tableoid" | "xmin" | "xmax" | "cmin" | "cmax")
}

/// What PostgreSQL calls the column of an expression; `None` for `?column?`.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(function) => last_part(&function.name),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        Expr::Cast { expr: inner, data_type, .. } => {
            name_of(inner).or_else(|| type_name(data_type))
        }
        Expr::Case { else_result, .. } => {
            else_result.as_deref().and_then(name_of).or_else(|| Some("case".to_owned()))
        }
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(folded(field)),
            _ => name_of(root),
        },
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.projection.first().and_then(|item| match item {
                SelectItem::UnnamedExpr(expr) => name_of(expr),
                SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
                _ => None,
            }),
            _ => None,
        },
        Expr::Value(value) => match value.value {
            datafusion::sql::sqlparser::ast::Value::Boolean(_) => Some("bool".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// The internal name of a type.
fn type_name(data_type: &DataType) -> Option<String> {
    Some(
        match data_type {
            DataType::Regclass => "regclass",
            DataType::Text => "text",
            DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
            DataType::Boolean | DataType::Bool => "bool",
            DataType::SmallInt(_) | DataType::Int2(_) => "int2",
            DataType::Integer(_) | DataType::Int(_) | DataType::Int4(_) => "int4",
            DataType::BigInt(_) | DataType::Int8(_) => "int8",
            DataType::Real | DataType::Float4 => "float4",
            DataType::DoublePrecision | DataType::Float8 => "float8",
            DataType::Numeric(_) | DataType::Decimal(_) => "numeric",
            DataType::Date => "date",
            DataType::Custom(name, _) => return last_part(name),
            _ => return None,
        }
        .to_owned(),
    )
}
