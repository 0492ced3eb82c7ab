//! Rewrites of statements that read the system catalogs.
//!
//! Clients ask the catalogs in PostgreSQL's own dialect: qualified functions and operators, casts
//! to `regclass`, set-returning functions, arrays of subqueries. Each rewrite here is of one such
//! form, wherever it stands; whole queries of particular clients are never looked for. A statement
//! that touches neither the catalogs nor their functions keeps its meaning and its text.

mod build;
mod casts;
mod expressions;
mod names;
mod relations;
mod system_columns;
mod touches;

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Select, Statement, TableFactor, VisitMut, VisitorMut};

pub use names::column_names;
pub use touches::touches_catalog;

/// Rewrites a statement in place where it reads the system catalogs.
pub fn for_catalog(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Keywords);
    if !touches_catalog(statement) {
        return;
    }
    let mut rewriter = Rewriter { table_expressions: touches::table_expressions(statement) };
    let _ = VisitMut::visit(statement, &mut rewriter);
    if let Statement::Query(query) = statement {
        casts::print_oids(&mut query.body);
    }
}

/// `current_user` and its like, which stand without parentheses, as calls; functions of the schema
/// `perfos` in FROM by the name that the engine knows.
struct Keywords;

impl VisitorMut for Keywords {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        expressions::call_keywords(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        relations::own_function(factor);
        ControlFlow::Continue(())
    }
}

/// All rewrites in one walk: tables on the way down, expressions on the way up.
struct Rewriter {
    /// Names that `WITH` gives: they hide tables.
    table_expressions: HashSet<String>,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        relations::drop_subqueries_of_no_rows(select, &self.table_expressions);
        names::name_columns(select);
        system_columns::replace(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        relations::qualify(factor, &self.table_expressions);
        ControlFlow::Continue(())
    }

    // On the way up, so that the calls it makes are not taken for calls in expressions.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        relations::table_function(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        expressions::rewrite(expr);
        ControlFlow::Continue(())
    }
}
