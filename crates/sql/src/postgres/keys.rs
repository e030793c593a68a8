//! What a correlated subquery is grouped by when it becomes a join.
//!
//! The engine takes `WHERE cast(s.sold_at AS date) = o.day` for a condition on `s.sold_at`, groups by that column, and the join
//! multiplies outer rows; of `s.k + 1 = o.k` it makes nothing. Both become a column of their own, which is what the engine groups
//! by. A window function over rows of one outer row would be computed over those of all: it is refused.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, not_impl_err};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::logical_plan::Filter;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion::optimizer::AnalyzerRule;

use crate::trees::step;

/// Runs after types are coerced: a cast that coercion adds is such a key too.
#[derive(Debug)]
pub(crate) struct Keys;

impl AnalyzerRule for Keys {
    fn name(&self) -> &str {
        "correlated_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut made = 0;
        let mut node = |node: LogicalPlan| match node {
            LogicalPlan::Filter(filter) => keys_as_columns(filter, &mut made),
            LogicalPlan::Window(window) if reads_outer(&window.input) => {
                not_impl_err!(
                    "a window function in a subquery that reads the query around it is not supported; compute it for all rows \
                     in a subquery of FROM, with PARTITION BY the compared columns, and join that"
                )
            }
            node => Ok(Transformed::no(node)),
        };
        Ok(plan.transform_up_with_subqueries(step(&mut node))?.data)
    }
}

/// Whether a plan reads a query around it: what a LATERAL inside it reads is its own.
pub(super) fn reads_outer(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => false,
        plan => plan.contains_outer_reference() || plan.inputs().into_iter().any(reads_outer),
    }
}

fn keys_as_columns(filter: Filter, made: &mut usize) -> Result<Transformed<LogicalPlan>> {
    if !filter.predicate.contains_outer() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut columns: Vec<Expr> = filter.input.schema().iter().map(Expr::from).collect();
    let shown = columns.clone();
    let mut conditions = vec![];
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
            conditions.push(condition);
            continue;
        };
        let (mut left, mut right) = (*left, *right);
        if op == Operator::Eq {
            let of_right = is_key(&right, &left);
            if of_right || is_key(&left, &right) {
                let key = if of_right { &mut right } else { &mut left };
                let name = format!("__correlated_{made}");
                *made += 1;
                columns.push(key.clone().alias(&name));
                *key = Expr::Column(Column::new_unqualified(name));
            }
        }
        conditions.push(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(left),
            op,
            Box::new(right),
        )));
    }
    let predicate = conjunction(conditions);
    let Some(predicate) = predicate.filter(|_| columns.len() > shown.len()) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let plan = LogicalPlanBuilder::from(Arc::clone(&filter.input))
        .project(columns)?
        .filter(predicate)?
        .project(shown)?
        .build()?;
    Ok(Transformed::yes(plan))
}

/// Whether an expression of the subquery's own columns is compared with one of the outer query's, and is no plain column.
fn is_key(key: &Expr, outer: &Expr) -> bool {
    let reads_subquery = |expr: &Expr| {
        expr.exists(|e| {
            Ok(matches!(
                e,
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)
            ))
        })
    };
    !matches!(key, Expr::Column(_))
        && !key.contains_outer()
        && key.any_column_refs()
        && outer.contains_outer()
        && !outer.any_column_refs()
        && matches!(reads_subquery(key), Ok(false))
}

#[cfg(test)]
mod tests {
    use crate::tests::check_within;

    const DAYS: &str = "with s(id, at, k) as (values (1, timestamp '2024-03-01 10:00:00', 1), (2, timestamp '2024-03-01 11:00:00', 2), (3, timestamp '2024-03-02 09:00:00', 2)), d(day, k, t) as (values (date '2024-03-01', 1, '1'), (date '2024-03-02', 2, '02'), (date '2024-03-03', 3, '3')) ";

    #[tokio::test]
    async fn a_subquery_compares_an_expression_and_gives_one_value_per_row() {
        let cases = [
            (
                "select k, (select count(*) from s where s.at::date = d.day) n from d order by 1",
                "1 2 | 2 1 | 3 0",
            ),
            (
                "select k, (select sum(id) from s where cast(s.at as date) = d.day) n from d order by 1",
                "1 3 | 2 3 | 3 NULL",
            ),
            (
                "select k, (select count(*) from s where s.k + 1 = d.k) n from d order by 1",
                "1 0 | 2 1 | 3 2",
            ),
            (
                "select k, (select count(*) from s where s.k = d.k - 1) n from d order by 1",
                "1 0 | 2 1 | 3 2",
            ),
            (
                "select k, (select count(*) from s where s.k::varchar = d.t) n from d order by 1",
                "1 1 | 2 0 | 3 0",
            ),
            (
                "select k, (select max(id) from s where date_trunc('day', s.at) = d.day and s.k = d.k) n from d order by 1",
                "1 1 | 2 3 | 3 NULL",
            ),
            (
                "select k from d where exists (select 1 from s where s.at::date = d.day) order by 1",
                "1 | 2",
            ),
            (
                "select k from d where k not in (select k + 1 from s where s.at::date = d.day) order by 1",
                "1 | 2 | 3",
            ),
            (
                "select k, n from d, lateral (select count(*) n from s where s.at::date = d.day) l order by 1",
                "1 2 | 2 1 | 3 0",
            ),
            (
                "select k, n from d, lateral (select row_number() over (order by id) n from s where s.k = d.k) l",
                "error: a window function in a subquery that reads the query around it",
            ),
        ];
        check_within(DAYS, "", &cases).await;
    }
}
