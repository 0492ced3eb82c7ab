//! Tables and table functions of the catalogs in FROM.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArguments, Ident, JoinOperator, ObjectNamePart, Select, SelectItem,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::build::{argument, call, folded, last_part, null, qualifier};
use super::expressions::returns_set;
use super::touches::{is_catalog_name, is_system_qualified};
use crate::sql::catalog::is_always_empty;
use crate::sql::tenant_catalog::SYSTEM_SCHEMA;

/// `pg_class` as `pg_catalog.pg_class`, which PostgreSQL finds before any other schema.
pub(super) fn qualify(factor: &mut TableFactor, hidden: &HashSet<String>) {
    let TableFactor::Table { name, args: None, .. } = factor else { return };
    if is_catalog_name(name, hidden) {
        name.0.insert(0, ObjectNamePart::Identifier(Ident::new("pg_catalog")));
    }
}

/// `perfos.explain_cell(...)` as `explain_cell(...)`: the engine looks functions in FROM up by the
/// first part of their name.
pub(super) fn own_function(factor: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(_), .. } = factor else { return };
    if qualifier(name).as_deref() == Some(SYSTEM_SCHEMA) && name.0.len() == 2 {
        name.0.remove(0);
    }
}

/// A function in FROM that returns a set, as UNNEST of the array it returns here.
pub(super) fn table_function(factor: &mut TableFactor) {
    let (name, arguments, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => {
            (name, &args.args, alias)
        }
        TableFactor::Function { name, args, alias, with_ordinality: false, .. } => {
            (name, &*args, alias)
        }
        TableFactor::UNNEST { alias: Some(alias), .. } => {
            name_column(alias);
            return;
        }
        _ => return,
    };
    let Some(function) = last_part(name) else { return };
    let one_row = matches!(
        function.as_str(),
        "current_database"
            | "current_schema"
            | "current_schemas"
            | "current_setting"
            | "string_to_array"
            | "version"
    );
    if function != "unnest" && !one_row && !returns_set(&function) {
        return;
    }
    let arguments: Vec<Expr> = arguments.iter().filter_map(argument).cloned().collect();
    let mut alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(&function),
        columns: Vec::new(),
        at: None,
    });
    if let Some(fields) = fields_of(&function) {
        if let Some(derived) = rows_of(&function, &arguments, fields, &alias) {
            *factor = derived;
        }
        return;
    }
    name_column(&mut alias);
    if one_row {
        // A function that returns one value is a table of one row.
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let sql = format!("SELECT {function}({})", arguments.join(", "));
        if let Some(derived) = derived(&sql, alias) {
            *factor = derived;
        }
        return;
    }
    let array_exprs =
        if function == "unnest" { arguments } else { vec![call(&function, arguments)] };
    *factor = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
}

/// The one column of a function in FROM has the alias's name.
fn name_column(alias: &mut TableAlias) {
    if alias.columns.is_empty() {
        let column = TableAliasColumnDef { name: alias.name.clone(), data_type: None };
        alias.columns.push(column);
    }
}

/// The columns of a function that returns rows.
fn fields_of(function: &str) -> Option<&'static [&'static str]> {
    Some(match function {
        "_pg_expandarray" => &["x", "n"],
        "aclexplode" => &["grantor", "grantee", "privilege_type", "is_grantable"],
        "pg_get_keywords" => &["word", "catcode", "barelabel", "catdesc", "baredesc"],
        _ => return None,
    })
}

/// A derived table with a column for each field of the rows.
fn rows_of(
    function: &str,
    arguments: &[Expr],
    fields: &[&str],
    alias: &TableAlias,
) -> Option<TableFactor> {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let columns: Vec<String> =
        fields.iter().map(|field| format!("get_field(r, '{field}') AS {field}")).collect();
    let sql = format!(
        "SELECT {} FROM (SELECT unnest({function}({})) AS r) AS rows_of_{function}",
        columns.join(", "),
        arguments.join(", ")
    );
    derived(&sql, alias.clone())
}

fn derived(sql: &str, alias: TableAlias) -> Option<TableFactor> {
    let subquery = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).ok()?.parse_query().ok()?;
    Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None })
}

/// A query over a catalog that never has rows evaluates none of its columns: subqueries there,
/// which may be of forms that cannot be planned, are NULL.
pub(super) fn drop_subqueries_of_no_rows(select: &mut Select, hidden: &HashSet<String>) {
    if !select.from.iter().any(|from| never_has_rows(from, hidden)) {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = VisitMut::visit(expr, &mut NoSubqueries);
        }
    }
}

fn never_has_rows(from: &TableWithJoins, hidden: &HashSet<String>) -> bool {
    is_empty_table(&from.relation, hidden)
        || from.joins.iter().any(|join| {
            let inner = matches!(
                join.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            );
            inner && is_empty_table(&join.relation, hidden)
        }) && from.joins.iter().all(|join| {
            !matches!(
                join.join_operator,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
            )
        })
}

fn is_empty_table(factor: &TableFactor, hidden: &HashSet<String>) -> bool {
    let TableFactor::Table { name, args: None, .. } = factor else { return false };
    if !is_system_qualified(name) && !is_catalog_name(name, hidden) {
        return false;
    }
    let schema = qualifier(name).unwrap_or_else(|| "pg_catalog".to_owned());
    name.0
        .last()
        .and_then(ObjectNamePart::as_ident)
        .is_some_and(|table| is_always_empty(&schema, &folded(table)))
}

struct NoSubqueries;

impl VisitorMut for NoSubqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(_) => *expr = null(),
            Expr::Function(function) if matches!(function.args, FunctionArguments::Subquery(_)) => {
                *expr = Expr::Cast {
                    kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
                    expr: Box::new(null()),
                    data_type: DataType::Array(
                        datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket(
                            Box::new(DataType::Text),
                            None,
                        ),
                    ),
                    array: false,
                    format: None,
                };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
