//! Refuses what compares intervals where the engine would do so by months, then days, then time: `1 month` would be more than
//! `40 days`. Where an operator compares them, or ORDER BY, they are compared by their length ([`super::casts`]).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

/// Looks for intervals among the keys of groups, windows and set operations, and under `min`, `max` and DISTINCT. The time
/// between two moments is a number of microseconds and may stand there. Comes before types are coerced, which fails at some.
///
/// # Errors
/// One is there, with the way out.
pub(crate) fn check_intervals(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        check_node(node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_node(node: &LogicalPlan) -> Result<()> {
    match node {
        LogicalPlan::Aggregate(aggregate) => {
            let schema = aggregate.input.schema();
            none_of(&aggregate.group_expr, schema, "GROUP BY")?;
            for expr in &aggregate.aggr_expr {
                let function = match expr.clone().unalias_nested().data {
                    Expr::AggregateFunction(function) => function,
                    _ => continue,
                };
                check_call(&function, schema)?;
            }
        }
        LogicalPlan::Window(window) => {
            let schema = window.input.schema();
            for expr in &window.window_expr {
                let window = match expr.clone().unalias_nested().data {
                    Expr::WindowFunction(window) => window,
                    _ => continue,
                };
                check_window(&window, schema)?;
            }
        }
        LogicalPlan::Distinct(distinct) => {
            let input = distinct.input();
            let columns = input.schema().columns().into_iter().map(Expr::Column);
            let columns: Vec<_> = columns.collect();
            none_of(&columns, input.schema(), "DISTINCT or UNION")?;
        }
        LogicalPlan::Join(join) => {
            let (left, right): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
            none_of(&left, join.left.schema(), "INTERSECT, EXCEPT or a join")?;
            none_of(&right, join.right.schema(), "INTERSECT, EXCEPT or a join")?;
        }
        _ => {}
    }
    Ok(())
}

fn check_call(call: &AggregateFunction, schema: &DFSchema) -> Result<()> {
    let name = call.func.name();
    let params = &call.params;
    if params.distinct || ["min", "max"].contains(&name) {
        none_of(&params.args, schema, name)?;
    }
    let keys: Vec<_> = params.order_by.iter().map(|by| by.expr.clone()).collect();
    none_of(&keys, schema, &format!("ORDER BY inside of {name}"))
}

fn check_window(window: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let params = &window.params;
    let name = window.fun.name();
    if params.distinct || ["min", "max"].contains(&name) {
        none_of(&params.args, schema, name)?;
    }
    none_of(&params.partition_by, schema, "PARTITION BY")?;
    let keys: Vec<_> = params.order_by.iter().map(|by| by.expr.clone()).collect();
    none_of(&keys, schema, "ORDER BY in a window")
}

fn none_of(exprs: &[Expr], schema: &DFSchema, place: &str) -> Result<()> {
    for expr in exprs {
        // What has no type yet is refused where types are coerced.
        if matches!(expr.get_type(schema), Ok(DataType::Interval(_))) {
            return plan_err!(
                "{place} cannot compare intervals: use their seconds, extract(epoch from {expr})"
            );
        }
    }
    Ok(())
}
