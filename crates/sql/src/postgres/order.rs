//! Subqueries in ORDER BY, which the engine plans in projections alone: they become columns below the sort.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::logical_plan::Sort;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use crate::trees::step;

/// A sort whose keys have no subqueries.
pub(super) fn below_sort(sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let mut found: Vec<Expr> = vec![];
    let mut keys = vec![];
    for key in &sort.expr {
        let mut by = key.clone();
        by.expr = by
            .expr
            .transform_down(step(&mut |expr| {
                if !matches!(expr, Expr::ScalarSubquery(_)) {
                    return Ok(Transformed::no(expr));
                }
                let column = Column::new_unqualified(name(found.len()));
                found.push(expr);
                let column = Expr::Column(column);
                Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
            }))?
            .data;
        keys.push(by);
    }
    if found.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Sort(sort)));
    }
    let shown: Vec<Expr> = sort.input.schema().iter().map(Expr::from).collect();
    // The outer row is one of FROM, or of what SELECT makes of it.
    let (mut columns, input) = match sort.input.as_ref() {
        LogicalPlan::Projection(projection) if reads(&found, projection.input.schema()) => {
            (projection.expr.clone(), &projection.input)
        }
        _ => (shown.clone(), &sort.input),
    };
    let named = found.into_iter().enumerate();
    columns.extend(named.map(|(i, subquery)| subquery.alias(name(i))));
    let sorted = LogicalPlanBuilder::from(Arc::clone(input))
        .project(columns)?
        .sort_with_limit(keys, sort.fetch)?
        .project(shown)?
        .build()?;
    Ok(Transformed::yes(sorted))
}

fn name(i: usize) -> String {
    format!("__order_{i}")
}

/// Whether all outer columns of subqueries are of this schema.
fn reads(subqueries: &[Expr], schema: &DFSchema) -> bool {
    subqueries.iter().all(|expr| match expr {
        Expr::ScalarSubquery(scalar) => {
            scalar
                .outer_ref_columns
                .iter()
                .all(|outer| match outer.clone().unalias() {
                    Expr::OuterReferenceColumn(_, column) => {
                        schema.field_from_column(&column).is_ok()
                    }
                    _ => true,
                })
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[tokio::test]
    async fn a_subquery_orders_rows() {
        check(&[
            ("select x from t where x is not null order by (select max(z) from (values (0, 3), (1, 2), (2, 9)) u(k, z) where u.k = t.x)", "1 | 0 | 2"),
            ("select x + 1 as n from t where x is not null order by (select max(z) from (values (0, 3), (1, 2), (2, 9)) u(k, z) where u.k = t.x) desc, n limit 2", "3 | 1"),
            ("select x from t order by (select max(y) from t), y desc", "NULL | 2 | 1 | 0"),
            ("select x from t order by exists (select 1 from (values (1)) u(k) where u.k = t.x) desc, y", "1 | 0 | 2 | NULL"),
            ("select word from t order by case when y > (select avg(y) from t) then 0 else 1 end, y", "x1 |  | 7 |  8 "),
        ])
        .await;
    }
}
