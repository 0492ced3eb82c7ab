//! Correlated scalar subqueries over the catalogs, as joins.
//!
//! `(SELECT collname FROM pg_collation c, pg_type t WHERE c.oid = a.attcollation AND ...)` has no
//! aggregate and compares by more than equality, which DataFusion's own rule refuses. Here the
//! distinct values of the outer columns are joined into the subquery, so that every predicate is
//! an inner one, and its first row for each of them is joined back. Only queries whose tables
//! are all catalogs are touched: over cubes DataFusion's rules and errors stay as they are.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, NullEquality};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::expr::{InSubquery, Sort};
use datafusion::logical_expr::{
    Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::definitions::{INFORMATION_SCHEMA, PG_CATALOG};

/// The rule; see the module.
#[derive(Debug)]
pub(super) struct CatalogSubqueries;

impl AnalyzerRule for CatalogSubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut count = 0;
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => rewrite_node(plan, &mut count),
            other => Ok(Transformed::no(other)),
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "catalog_subqueries"
    }
}

/// Replaces the subqueries in the expressions of a projection or a filter.
fn rewrite_node(plan: LogicalPlan, count: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let takes_any = plan.expressions().iter().any(|expr| {
        expr.exists(|expr| {
            Ok(match expr {
                Expr::ScalarSubquery(subquery) => is_ours(subquery)?,
                Expr::Exists(exists) => is_ours(&exists.subquery)?,
                Expr::InSubquery(within) => {
                    matches!(plan, LogicalPlan::Projection(_)) && is_ours(&within.subquery)?
                }
                _ => false,
            })
        })
        .unwrap_or(false)
    });
    if !takes_any
        || !plan
            .inputs()
            .into_iter()
            .try_fold(true, |all, input| reads_only_catalogs(input).map(|only| all && only))?
    {
        return Ok(Transformed::no(plan));
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut input = projection.input.as_ref().clone();
            let mut exprs = Vec::with_capacity(projection.expr.len());
            for expr in &projection.expr {
                let name = expr.qualified_name();
                let replaced = replace(expr.clone(), Place::Column, &mut input, count)?;
                exprs.push(if replaced.transformed {
                    replaced.data.unalias().alias_qualified(name.0, name.1)
                } else {
                    replaced.data
                });
            }
            Ok(Transformed::yes(LogicalPlanBuilder::from(input).project(exprs)?.build()?))
        }
        LogicalPlan::Filter(filter) => {
            let columns: Vec<Expr> =
                filter.input.schema().columns().into_iter().map(Expr::Column).collect();
            let mut input = filter.input.as_ref().clone();
            let predicate = replace(filter.predicate, Place::Predicate, &mut input, count)?.data;
            let plan = LogicalPlanBuilder::from(input).filter(predicate)?.project(columns)?;
            Ok(Transformed::yes(plan.build()?))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Where an expression stands. EXISTS in a predicate is DataFusion's own business.
#[derive(Debug, Clone, Copy)]
enum Place {
    Column,
    Predicate,
}

/// Replaces the subqueries of one expression by columns that are joined to `input`.
fn replace(
    expr: Expr,
    place: Place,
    input: &mut LogicalPlan,
    count: &mut usize,
) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        if let Expr::InSubquery(within) = &expr
            && matches!(place, Place::Column)
            && let Some((joined, column)) = join_members(input, within, *count)?
        {
            *count += 1;
            *input = joined;
            let found = if within.negated { column.is_null() } else { column.is_not_null() };
            return Ok(Transformed::new(found, true, TreeNodeRecursion::Jump));
        }
        let (subquery, exists) = match &expr {
            Expr::ScalarSubquery(subquery) => (subquery, None),
            Expr::Exists(exists) if matches!(place, Place::Column) => {
                (&exists.subquery, Some(exists.negated))
            }
            _ => return Ok(Transformed::no(expr)),
        };
        if !is_ours(subquery)? || !has_outer(&subquery.subquery)? {
            return Ok(Transformed::no(expr));
        }
        let want = if exists.is_some() { Want::Any } else { Want::First };
        let Some((joined, column)) = join(input, subquery, want, *count)? else {
            return Ok(Transformed::no(expr));
        };
        *count += 1;
        *input = joined;
        let column = Expr::Column(column);
        let value = match exists {
            None => column,
            Some(false) => column.is_not_null(),
            Some(true) => column.is_null(),
        };
        Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
    })
}

/// `input` with the member that `x IN (SELECT ...)` finds as one more column, or NULL. Of a
/// correlated one, and of one over other tables, nothing is made here.
fn join_members(
    input: &LogicalPlan,
    within: &InSubquery,
    number: usize,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let subquery = &within.subquery;
    if has_outer(&subquery.subquery)? || !is_ours(subquery)? {
        return Ok(None);
    }
    let Some(member) = subquery.subquery.schema().columns().into_iter().next() else {
        return Ok(None);
    };
    let name = format!("__catalog_member_{number}");
    let alias = format!("__catalog_subquery_{number}");
    let members = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .project([Expr::Column(member).alias(&name)])?
        .distinct()?
        .alias(&alias)?
        .build()?;
    let column = Expr::Column(Column::new(Some(alias), name));
    let joined = LogicalPlanBuilder::from(input.clone()).join_on(
        members,
        JoinType::Left,
        [within.expr.as_ref().clone().eq(column.clone())],
    )?;
    Ok(Some((joined.build()?, column)))
}

/// Whether a subquery reads nothing but catalogs and counts nothing: a count of no rows is 0 and
/// not NULL, which DataFusion's rule knows and a left join does not.
fn is_ours(subquery: &Subquery) -> Result<bool> {
    if !reads_only_catalogs(&subquery.subquery)? {
        return Ok(false);
    }
    subquery
        .subquery
        .exists(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => {
                aggregate.aggr_expr.iter().try_fold(false, |counts, expr| {
                    Ok(counts
                        || expr.exists(|expr| {
                            Ok(matches!(
                                expr,
                                Expr::AggregateFunction(f) if f.func.name() == "count"
                            ))
                        })?)
                })
            }
            _ => Ok(false),
        })
        .map(|counts| !counts)
}

/// Whether every table below is a catalog.
fn reads_only_catalogs(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        Ok(match plan {
            LogicalPlan::TableScan(scan) => {
                !matches!(scan.table_name.schema(), Some(PG_CATALOG | INFORMATION_SCHEMA))
            }
            _ => false,
        })
    })
    .map(|reads_others| !reads_others)
}

/// The outer columns of a subquery under names of their own.
struct Domain {
    outer: Vec<Column>,
    names: Vec<String>,
    plan: LogicalPlan,
}

impl Domain {
    fn new(input: &LogicalPlan, subquery: &Subquery, number: usize) -> Result<Option<Self>> {
        let mut outer: Vec<Column> = Vec::new();
        for expr in subquery.subquery.all_out_ref_exprs() {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr
                    && !outer.contains(column)
                {
                    outer.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if outer.is_empty() || !outer.iter().all(|column| input.schema().has_column(column)) {
            return Ok(None);
        }
        let names: Vec<String> =
            (0..outer.len()).map(|at| format!("__catalog_outer_{number}_{at}")).collect();
        let exprs =
            outer.iter().zip(&names).map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let plan = LogicalPlanBuilder::from(input.clone())
            .project(exprs.collect::<Vec<_>>())?
            .distinct()?;
        Ok(Some(Self { outer, names, plan: plan.build()? }))
    }

    /// The domain's columns as `plan` has them now.
    fn columns(&self, plan: &LogicalPlan) -> Vec<Expr> {
        self.names
            .iter()
            .filter_map(|name| {
                plan.schema().columns().into_iter().find(|column| column.name == *name)
            })
            .map(Expr::Column)
            .collect()
    }

    /// The same expression with `plan`'s columns in place of the outer ones.
    fn inward(&self, expr: Expr, plan: &LogicalPlan) -> Result<Expr> {
        let columns = self.columns(plan);
        expr.transform_up(|expr| {
            if let Expr::OuterReferenceColumn(_, column) = &expr
                && let Some(at) = self.outer.iter().position(|known| known == column)
                && let Some(inner) = columns.get(at)
            {
                return Ok(Transformed::yes(inner.clone()));
            }
            Ok(Transformed::no(expr))
        })
        .map(|transformed| transformed.data)
    }

    fn inward_all(&self, exprs: &[Expr], plan: &LogicalPlan) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.inward(expr.clone(), plan)).collect()
    }
}

/// What of a subquery's rows is asked for.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// The value of the first row.
    First,
    /// Whether there is one.
    Any,
}

/// `input` with the subquery's value as one more column; `None` where its form is not known.
fn join(
    input: &LogicalPlan,
    subquery: &Subquery,
    want: Want,
    number: usize,
) -> Result<Option<(LogicalPlan, Column)>> {
    let Some(domain) = Domain::new(input, subquery, number)? else { return Ok(None) };
    let Some(inner) = push(&subquery.subquery, &domain)? else { return Ok(None) };
    let keys = domain.columns(&inner);
    let value = inner
        .schema()
        .columns()
        .into_iter()
        .find(|column| !domain.names.contains(&column.name))
        .map(Expr::Column);
    let value = match want {
        Want::First => value,
        Want::Any => Some(lit(true)),
    };
    let Some(value) = value else { return Ok(None) };
    if keys.len() != domain.names.len() {
        return Ok(None);
    }
    let value_name = format!("__catalog_value_{number}");
    let first = first_value(value, vec![]).alias(&value_name);
    let alias = format!("__catalog_subquery_{number}");
    let inner = LogicalPlanBuilder::from(inner).aggregate(keys, vec![first])?.alias(&alias)?;
    let right = domain.names.iter().map(|name| Column::new(Some(alias.as_str()), name)).collect();
    let joined = LogicalPlanBuilder::from(input.clone()).join_detailed(
        inner.build()?,
        JoinType::Left,
        (domain.outer, right),
        None,
        NullEquality::NullEqualsNull,
    )?;
    Ok(Some((joined.build()?, Column::new(Some(alias), value_name))))
}

/// Whether anything below refers to the outer query.
fn has_outer(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| Ok(plan.contains_outer_reference()))
}

/// The plan for every row of the domain at once: it keeps the domain's columns beside its own.
fn push(plan: &LogicalPlan, domain: &Domain) -> Result<Option<LogicalPlan>> {
    if let LogicalPlan::EmptyRelation(empty) = plan
        && empty.produce_one_row
    {
        return Ok(Some(domain.plan.clone()));
    }
    // An aggregate without groups has a row for each of the domain, whatever it reads.
    if !has_outer(plan)? {
        let crossed = LogicalPlanBuilder::from(domain.plan.clone()).cross_join(plan.clone())?;
        return crossed.build().map(Some);
    }
    if let LogicalPlan::Subquery(lateral) = plan {
        return push(&lateral.subquery, domain);
    }
    let inputs = plan.inputs();
    if let LogicalPlan::Join(join) = plan {
        return push_join(join, domain);
    }
    let [input] = inputs.as_slice() else { return Ok(None) };
    if let LogicalPlan::Limit(_) = plan
        && matches!(input, LogicalPlan::Sort(_))
    {
        return Ok(None);
    }
    let Some(input) = push(input, domain)? else { return Ok(None) };
    let keys = domain.columns(&input);
    let builder = LogicalPlanBuilder::from(input.clone());
    let builder = match plan {
        LogicalPlan::Projection(projection) => {
            let mut exprs = domain.inward_all(&projection.expr, &input)?;
            exprs.extend(keys);
            builder.project(exprs)?
        }
        LogicalPlan::Filter(filter) => {
            builder.filter(domain.inward(filter.predicate.clone(), &input)?)?
        }
        LogicalPlan::Aggregate(aggregate) => {
            let mut groups = domain.inward_all(&aggregate.group_expr, &input)?;
            groups.extend(keys);
            builder.aggregate(groups, domain.inward_all(&aggregate.aggr_expr, &input)?)?
        }
        LogicalPlan::Sort(sort) => {
            let mut order = Vec::with_capacity(sort.expr.len());
            for Sort { expr, asc, nulls_first } in sort.expr.clone() {
                order.push(Sort { expr: domain.inward(expr, &input)?, asc, nulls_first });
            }
            builder.sort(order)?
        }
        LogicalPlan::SubqueryAlias(alias) => builder.alias(alias.alias.clone())?,
        LogicalPlan::Distinct(Distinct::All(_)) => builder.distinct()?,
        LogicalPlan::Unnest(unnest) => builder
            .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?,
        // One row of each is taken in the end.
        LogicalPlan::Limit(limit) if limit.skip.is_none() => builder,
        _ => return Ok(None),
    };
    builder.build().map(Some)
}

fn push_join(
    join: &datafusion::logical_expr::Join,
    domain: &Domain,
) -> Result<Option<LogicalPlan>> {
    let (left_outer, right_outer) = (has_outer(&join.left)?, has_outer(&join.right)?);
    let (left, right) = match (join.join_type, left_outer, right_outer) {
        (JoinType::Inner | JoinType::Left, _, false) => {
            (push(&join.left, domain)?, Some(join.right.as_ref().clone()))
        }
        (JoinType::Inner, false, true) => {
            (Some(join.left.as_ref().clone()), push(&join.right, domain)?)
        }
        _ => return Ok(None),
    };
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    let crossed = LogicalPlanBuilder::from(left.clone()).cross_join(right.clone())?.build()?;
    let mut conditions: Vec<Expr> =
        join.on.iter().map(|(left, right)| left.clone().eq(right.clone())).collect();
    conditions.extend(join.filter.clone());
    let conditions = domain.inward_all(&conditions, &crossed)?;
    if conditions.is_empty() {
        return Ok(Some(crossed));
    }
    LogicalPlanBuilder::from(left).join_on(right, join.join_type, conditions)?.build().map(Some)
}
