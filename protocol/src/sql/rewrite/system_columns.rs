//! The columns every table of PostgreSQL has and no catalog lists: `tableoid`, `xmin`.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, Value,
    VisitMut, VisitorMut,
};

use super::build::{folded, last_part, qualifier};
use crate::sql::catalog::{system_columns, system_oid};

/// Replaces `alias.tableoid` by the oid of the catalog behind the alias, wherever it stands in a
/// SELECT, and the columns that number transactions by 1: catalogs have no history.
pub(super) fn replace(select: &mut Select) {
    let mut tables = HashMap::new();
    for from in &select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
        {
            if let Some((name, oid)) = catalog_table(factor) {
                tables.insert(name, oid);
            }
        }
    }
    if tables.is_empty() {
        return;
    }
    let only = match (tables.len(), select.from.len()) {
        (1, 1) => tables.values().next().copied(),
        _ => None,
    };
    let mut replacer = Replacer { tables, only };
    for item in &mut select.projection {
        let _ = VisitMut::visit(item, &mut replacer);
    }
    for from in &mut select.from {
        for join in &mut from.joins {
            let _ = VisitMut::visit(&mut join.join_operator, &mut replacer);
        }
    }
    if let Some(selection) = &mut select.selection {
        let _ = VisitMut::visit(selection, &mut replacer);
    }
}

/// The columns that the wildcards of a SELECT bring in from catalogs.
pub(super) fn wildcard_columns(select: &Select) -> HashSet<String> {
    let mut everything = false;
    let mut wanted = HashSet::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(_) => everything = true,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                wanted.extend(last_part(name));
            }
            _ => {}
        }
    }
    let mut columns = HashSet::new();
    for from in &select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
        {
            let TableFactor::Table { name, alias, args: None, .. } = factor else { continue };
            let Some(table) = last_part(name) else { continue };
            let known_as = alias.as_ref().map_or_else(|| table.clone(), |a| folded(&a.name));
            if everything || wanted.contains(&known_as) {
                let schema = qualifier(name).unwrap_or_else(|| "pg_catalog".to_owned());
                columns.extend(system_columns(&schema, &table).into_iter().map(str::to_owned));
            }
        }
    }
    columns
}

/// The name by which a SELECT knows a catalog, and the catalog's oid.
fn catalog_table(factor: &TableFactor) -> Option<(String, u32)> {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
    let table = name.0.last().and_then(ObjectNamePart::as_ident).map(folded)?;
    let schema = qualifier(name).unwrap_or_else(|| "pg_catalog".to_owned());
    let oid = system_oid(&schema, &table)?;
    Some((alias.as_ref().map_or(table, |alias| folded(&alias.name)), oid))
}

struct Replacer {
    tables: HashMap<String, u32>,
    /// The oid of the only table, which unqualified columns belong to.
    only: Option<u32>,
}

impl VisitorMut for Replacer {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (column, oid) = match expr {
            Expr::Identifier(column) => (folded(column), self.only),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, column] => (folded(column), self.tables.get(&folded(table)).copied()),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        let value = match (column.as_str(), oid) {
            ("tableoid", Some(oid)) => oid.to_string(),
            ("xmin" | "xmax" | "cmin" | "cmax", Some(_)) => "1".to_owned(),
            _ => return ControlFlow::Continue(()),
        };
        *expr = Expr::value(Value::Number(value, false));
        ControlFlow::Continue(())
    }
}
