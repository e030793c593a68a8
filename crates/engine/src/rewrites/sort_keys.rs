//! Names each sort key of an aggregate once.
//!
//! DataFusion 55 drops a key that is named twice from what an aggregate sorts by, not from what it is given, and
//! `first_value`, `last_value` and `DISTINCT ON` panic on the difference. Keys become equal on the way, where a filter
//! fixes both of them for instance, so this runs after all rules that rewrite expressions.

use std::mem;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{HashSet, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The plan, with every later mention of a key gone from the ORDER BY of its aggregates: it never decides.
///
/// # Errors
/// A node cannot be built again.
pub(crate) fn each_key_once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| Ok(once(expr)))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(plan.data)
}

fn once(mut expr: Expr) -> Transformed<Expr> {
    let Expr::AggregateFunction(AggregateFunction { params, .. }) = &mut expr else {
        return Transformed::no(expr);
    };
    let before = params.order_by.len();
    let mut seen = HashSet::new();
    let keys = mem::take(&mut params.order_by).into_iter();
    params.order_by = keys.filter(|key| seen.insert(key.expr.clone())).collect();
    let changed = params.order_by.len() != before;
    Transformed::new_transformed(expr, changed)
}

#[cfg(test)]
mod tests {
    use crate::testing::rows;

    #[tokio::test]
    async fn a_key_named_twice_decides_once() {
        for (query, right) in [
            (
                "select first_value(x order by x desc, x) as f from t group by k",
                ["5", "7"].as_slice(),
            ),
            (
                "select distinct on (k) k, x as f from t order by k, x, k desc",
                &["4", "5"],
            ),
            (
                "select first_value(x order by k, x) as f from t where k = 1 and x = 7 group by x",
                &["7"],
            ),
            (
                "select distinct on (k) x as f from t order by k, x desc, x desc, x",
                &["5", "7"],
            ),
        ] {
            let query = format!(
                "with t(k, x) as (values (1, 4), (1, 7), (2, 5)) select f from ({query}) as q order by f"
            );
            assert_eq!(rows(&query).await, right, "{query}");
        }
    }
}
