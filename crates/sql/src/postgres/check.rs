//! Refuses what the engine would plan and then not run.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Diagnostic, Result, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Tries to take correlated subqueries apart, as the engine will before it runs the plan.
///
/// # Errors
/// One reads its outer row in a way that cannot be taken apart, with the way out.
pub(crate) fn check(state: &SessionState, plan: &LogicalPlan) -> Result<()> {
    if outer_column(plan)?.is_none() {
        return Ok(());
    }
    let left = match state.optimize(plan) {
        Ok(optimized) => outer_column(&optimized)?,
        Err(DataFusionError::Context(rule, _)) if rule.contains("subquery") => outer_column(plan)?,
        // What else fails in the optimizer is reported where the plan is made.
        Err(_) => None,
    };
    let Some(column) = left else {
        return Ok(());
    };
    let error = plan_datafusion_err!(
        "the subquery reads {} of the query around it in a way that cannot be planned: such a subquery may compare it with = \
         in its WHERE, and aggregate or take the first rows; write another one as a join, with GROUP BY or row_number()",
        column.flat_name()
    );
    Err(match column.spans().first() {
        Some(span) => error.with_diagnostic(Diagnostic::new_error(
            "the subquery cannot be planned",
            Some(span),
        )),
        None => error,
    })
}

/// A column of an outer query that a plan, or a subquery in it, reads.
fn outer_column(plan: &LogicalPlan) -> Result<Option<Column>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    found = Some(column.clone());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}
