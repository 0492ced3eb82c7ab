//! Lists under OR as comparisons, before the optimizer sees them.
//!
//! The engine merges `x NOT IN (1) OR x NOT IN (2)` into TRUE, which is wrong where x is NULL or a
//! list holds NULL. Comparisons are not merged so, and mean the same.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, and, not};
use datafusion::optimizer::AnalyzerRule;

/// Lists longer than this stay as they are: the comparisons would outgrow any gain.
const ITEMS_MAX: usize = 1_000;

/// The analyzer rule.
#[derive(Debug)]
pub struct ListsUnderOr;

impl AnalyzerRule for ListsUnderOr {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            plan.map_expressions(|expression| expression.transform_down(rewrite))
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "lists_under_or"
    }
}

fn rewrite(expression: Expr) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right })
            if excludes(&left) && excludes(&right) =>
        {
            let or = Expr::BinaryExpr(BinaryExpr::new(
                Box::new(as_comparisons(*left)),
                Operator::Or,
                Box::new(as_comparisons(*right)),
            ));
            Transformed::yes(or)
        }
        // NOT (a AND b) is NOT a OR NOT b: the engine would push the NOT down by itself, later
        Expr::Not(inner) => match *inner {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right })
                if lists(&left) && lists(&right) =>
            {
                let or = BinaryExpr::new(Box::new(not(*left)), Operator::Or, Box::new(not(*right)));
                return Ok(Transformed::yes(rewrite(Expr::BinaryExpr(or))?.data));
            }
            other => Transformed::no(Expr::Not(Box::new(other))),
        },
        other => Transformed::no(other),
    })
}

/// Whether a list excludes values somewhere in an expression.
fn excludes(expression: &Expr) -> bool {
    let found = expression.exists(|inner| {
        Ok(match inner {
            Expr::InList(list) => list.negated,
            Expr::Not(inner) => lists(inner),
            _ => false,
        })
    });
    found.unwrap_or(false)
}

fn lists(expression: &Expr) -> bool {
    expression.exists(|inner| Ok(matches!(inner, Expr::InList(_)))).unwrap_or(false)
}

/// The expression with its excluding lists as `<>` joined by AND.
fn as_comparisons(expression: Expr) -> Expr {
    let expand = |inner: Expr| {
        Ok(match inner {
            Expr::InList(list) if list.negated => Transformed::yes(comparisons(list)),
            Expr::Not(inner) => match *inner {
                Expr::InList(list) => {
                    Transformed::yes(comparisons(InList { negated: !list.negated, ..list }))
                }
                other => Transformed::no(Expr::Not(Box::new(other))),
            },
            other => Transformed::no(other),
        })
    };
    expression.clone().transform_down(expand).map_or(expression, |transformed| transformed.data)
}

fn comparisons(list: InList) -> Expr {
    if !list.negated || list.list.is_empty() || list.list.len() > ITEMS_MAX {
        return Expr::InList(list);
    }
    let differs = |item: &Expr| list.expr.as_ref().clone().not_eq(item.clone());
    balanced(&list.list.iter().map(differs).collect::<Vec<_>>())
}

/// Expressions joined by AND in a tree as flat as can be.
fn balanced(expressions: &[Expr]) -> Expr {
    match expressions {
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            and(balanced(left), balanced(right))
        }
    }
}
