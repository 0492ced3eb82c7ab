//! Whether a statement reads the system catalogs at all.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, ObjectName, Query, Statement, Visit, Visitor,
};

use super::build::{folded, last_part, qualifier};
use crate::sql::catalog::is_system_relation;

/// Whether a statement names a catalog, one of its functions, or one of its types.
pub fn touches_catalog(statement: &Statement) -> bool {
    let mut visitor = Touches { hidden: table_expressions(statement) };
    Visit::visit(statement, &mut visitor).is_break()
}

/// The names of all `WITH` clauses of a statement.
pub(super) fn table_expressions(statement: &Statement) -> HashSet<String> {
    let mut visitor = TableExpressions(HashSet::new());
    let _ = Visit::visit(statement, &mut visitor);
    visitor.0
}

struct TableExpressions(HashSet<String>);

impl Visitor for TableExpressions {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(tables.map(|table| folded(&table.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Touches {
    hidden: HashSet<String>,
}

fn found_if(found: bool) -> ControlFlow<()> {
    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Whether a name is qualified by one of the two system schemas.
pub(super) fn is_system_qualified(name: &ObjectName) -> bool {
    matches!(qualifier(name).as_deref(), Some("pg_catalog" | "information_schema"))
}

/// Whether an unqualified name means a catalog.
pub(super) fn is_catalog_name(name: &ObjectName, hidden: &HashSet<String>) -> bool {
    name.0.len() == 1
        && last_part(name)
            .is_some_and(|name| !hidden.contains(&name) && is_system_relation("pg_catalog", &name))
}

impl Visitor for Touches {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        found_if(is_system_qualified(relation) || is_catalog_name(relation, &self.hidden))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        found_if(match expr {
            Expr::Function(function) => {
                is_system_qualified(&function.name)
                    || last_part(&function.name).is_some_and(|name| is_catalog_function(&name))
            }
            Expr::Cast { data_type, .. } => is_catalog_type(data_type),
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(parts), .. } => {
                parts.first().is_some_and(|part| part == "pg_catalog")
            }
            Expr::Collate { collation, .. } => is_system_qualified(collation),
            _ => false,
        })
    }
}

/// Functions that only make sense over the catalogs.
fn is_catalog_function(name: &str) -> bool {
    name.starts_with("pg_")
        || name.starts_with("_pg_")
        || name.starts_with("to_reg")
        || (name.starts_with("has_") && name.ends_with("_privilege"))
        || matches!(
            name,
            "format_type"
                | "obj_description"
                | "col_description"
                | "shobj_description"
                | "current_schemas"
                | "aclexplode"
                | "generate_subscripts"
        )
}

/// The types that hold oids, and the system's own spelling of others.
fn is_catalog_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => {
            is_system_qualified(name)
                || last_part(name).is_some_and(|name| {
                    super::casts::is_oid_type(&name) || matches!(name.as_str(), "name" | "char")
                })
        }
        DataType::Array(element) => element_of(element).is_some_and(is_catalog_type),
        _ => false,
    }
}

/// The element type of an array type.
pub(super) fn element_of(
    element: &datafusion::sql::sqlparser::ast::ArrayElemTypeDef,
) -> Option<&DataType> {
    use datafusion::sql::sqlparser::ast::ArrayElemTypeDef;
    match element {
        ArrayElemTypeDef::None => None,
        ArrayElemTypeDef::AngleBracket(inner)
        | ArrayElemTypeDef::SquareBracket(inner, _)
        | ArrayElemTypeDef::Parenthesis(inner) => Some(inner),
    }
}
