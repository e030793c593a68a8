//! Sums of sums, which optimizing puts together, as one call of all: `checked_add(checked_add(a, b), c)` is
//! `checked_add(a, b, c)`.
//!
//! A plan is sent as calls in calls, and can have some forty of them in one another; queries of many steps have more.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use crate::trees::step;
use retail_functions::arithmetic::is_chain;

/// A logical plan whose sums are flat.
///
/// # Errors
/// A node cannot be built again.
pub fn flat_arithmetic(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut node = |plan: LogicalPlan| {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(step(&mut |expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(step(&mut |expr| Ok(flat(expr))))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        }))
    };
    Ok(plan.transform_up_with_subqueries(step(&mut node))?.data)
}

fn flat(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if is_chain(&func) => {
            let same =
                matches!(args.first(), Some(Expr::ScalarFunction(inner)) if inner.func == func);
            if same && let Expr::ScalarFunction(inner) = args.remove(0) {
                let mut all = inner.args;
                all.append(&mut args);
                args = all;
            }
            let call = Expr::ScalarFunction(ScalarFunction::new_udf(func, args));
            Transformed::new_transformed(call, same)
        }
        expr => Transformed::no(expr),
    }
}

/// As [`flat_arithmetic`], of the projections of a physical plan, which its optimizer puts together too.
///
/// # Errors
/// A projection cannot be built again.
pub fn flat_projections(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut node = |plan: Arc<dyn ExecutionPlan>| {
        let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
            return Ok(Transformed::no(plan));
        };
        let schema = projection.input().schema();
        let mut changed = false;
        let mut exprs: Vec<ProjectionExpr> = vec![];
        for one in projection.expr() {
            let expr =
                Arc::clone(&one.expr).transform_up(step(&mut |expr| flat_call(expr, &schema)))?;
            changed |= expr.transformed;
            exprs.push(ProjectionExpr::new(expr.data, one.alias.clone()));
        }
        if !changed {
            return Ok(Transformed::no(plan));
        }
        let flat = ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?;
        Ok(Transformed::yes(Arc::new(flat) as Arc<dyn ExecutionPlan>))
    };
    Ok(plan.transform_up(step(&mut node))?.data)
}

fn flat_call(
    expr: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() else {
        return Ok(Transformed::no(expr));
    };
    let inner = call
        .args()
        .first()
        .and_then(|first| first.downcast_ref::<ScalarFunctionExpr>());
    let Some(inner) = inner.filter(|inner| is_chain(call.fun()) && inner.fun() == call.fun())
    else {
        return Ok(Transformed::no(expr));
    };
    let mut args = inner.args().to_vec();
    args.extend(call.args().iter().skip(1).cloned());
    let flat = ScalarFunctionExpr::new(
        call.name(),
        Arc::new(call.fun().clone()),
        args,
        call.return_field(schema)?,
        Arc::new(call.config_options().clone()),
    );
    Ok(Transformed::yes(Arc::new(flat)))
}
