//! Refuses what the parser or the engine would take for something else than PostgreSQL does.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Statement, TableFactor, Visit, Visitor,
};

use crate::error::SqlError;

/// An error where a statement would be misread.
pub fn refuse(statement: &Statement) -> Result<(), SqlError> {
    match Visit::visit(statement, &mut Misread) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Misread;

impl Visitor for Misread {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        if let Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) = expr
            && sets.iter().flatten().any(|item| matches!(item, Expr::Value(_)))
        {
            let message = "a position in ROLLUP, CUBE or GROUPING SETS is not supported";
            let hint = "write the column or the expression itself";
            return ControlFlow::Break(SqlError::new("0A000", message).with_hint(hint));
        }
        let (Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right)) = expr else {
            return ControlFlow::Continue(());
        };
        // the parser takes all that follows for the right side; what stands in parentheses is nested
        let is_taken_in = matches!(
            right.as_ref(),
            Expr::BinaryOp {
                op: BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor,
                ..
            }
        );
        if !is_taken_in {
            return ControlFlow::Continue(());
        }
        let message = "IS DISTINCT FROM needs parentheses before AND and OR";
        let hint = "write (x IS DISTINCT FROM y) AND ..., with parentheses around the comparison";
        ControlFlow::Break(SqlError::new("42601", message).with_hint(hint))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlError> {
        match factor {
            TableFactor::Table { sample: Some(_), .. } => ControlFlow::Break(
                SqlError::new("0A000", "TABLESAMPLE is not supported")
                    .with_hint("without it the answer is over all rows"),
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}
