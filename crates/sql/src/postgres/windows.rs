//! Window functions that the engine evaluates otherwise than SQL defines.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_window::lead_lag::lag_udwf;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Window;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use crate::trees::step;

/// Windows ordered by a time ([`by_peers`]) are planned; `lead(x, n) IGNORE NULLS` skips wrongly in the engine where n is more than 1, and `lag` does not: so it becomes the lag of
/// the rows in reverse order.
#[derive(Debug)]
pub(super) struct Windows;

impl AnalyzerRule for Windows {
    fn name(&self) -> &str {
        "windows"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(step(&mut |plan| match plan {
            LogicalPlan::Window(window) => split(window)?.transform_data(|plan| match plan {
                LogicalPlan::Window(window) => by_peers(window),
                plan => Ok(Transformed::no(plan)),
            }),
            plan => Ok(Transformed::no(plan)),
        }))?;
        Ok(changed.data)
    }
}

/// Turns RANGE frames between peers into GROUPS frames, which are the same, where rows are ordered by a time of day or by the
/// time between two moments: the engine has no ranges of these.
fn by_peers(window: Window) -> Result<Transformed<LogicalPlan>> {
    let schema = window.input.schema();
    let names = NamePreserver::new_for_projection();
    let mut changed = false;
    let exprs = window.window_expr.iter().cloned().map(|expr| {
        let name = names.save(&expr);
        let Expr::WindowFunction(mut function) = expr else {
            return expr;
        };
        let params = &mut function.params;
        let has_ranges = |by: &SortExpr| match by.expr.get_type(schema) {
            Ok(of) => !matches!(
                of,
                DataType::Duration(_) | DataType::Time32(_) | DataType::Time64(_)
            ),
            Err(_) => true,
        };
        match between_peers(&params.window_frame) {
            Some(frame) if !params.order_by.iter().all(has_ranges) => {
                params.window_frame = frame;
                changed = true;
                name.restore(Expr::WindowFunction(function))
            }
            _ => Expr::WindowFunction(function),
        }
    });
    let exprs: Vec<_> = exprs.collect();
    Ok(match changed {
        true => {
            let plan = LogicalPlanBuilder::from(window.input.as_ref().clone()).window(exprs)?;
            Transformed::yes(plan.build()?)
        }
        false => Transformed::no(LogicalPlan::Window(window)),
    })
}

/// The GROUPS frame of a RANGE frame whose ends are the partition's or the peers'.
fn between_peers(frame: &WindowFrame) -> Option<WindowFrame> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let end = |bound: &WindowFrameBound| match bound {
        CurrentRow => Some(CurrentRow),
        Preceding(far) if far.is_null() => Some(Preceding(ScalarValue::UInt64(None))),
        Following(far) if far.is_null() => Some(Following(ScalarValue::UInt64(None))),
        _ => None,
    };
    let is_range = frame.units == WindowFrameUnits::Range;
    let (from, to) = (end(&frame.start_bound)?, end(&frame.end_bound)?);
    is_range.then(|| WindowFrame::new_bounds(WindowFrameUnits::Groups, from, to))
}

/// All functions of one node have one order: what is reversed gets a node of its own.
fn split(window: Window) -> Result<Transformed<LogicalPlan>> {
    let (wrong, right): (Vec<_>, Vec<_>) = window
        .window_expr
        .iter()
        .cloned()
        .partition(|expr| matches!(expr, Expr::WindowFunction(f) if skips_wrongly(f)));
    if wrong.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let names = NamePreserver::new_for_projection();
    let reversed = wrong.into_iter().map(|expr| {
        let name = names.save(&expr);
        name.restore(reversed(expr))
    });
    let mut plan = LogicalPlanBuilder::from(window.input.as_ref().clone())
        .window(reversed.collect::<Vec<_>>())?;
    if !right.is_empty() {
        plan = plan.window(right)?;
    }
    Ok(Transformed::yes(plan.build()?))
}

fn reversed(expr: Expr) -> Expr {
    let Expr::WindowFunction(mut window) = expr else {
        return expr;
    };
    window.fun = WindowFunctionDefinition::WindowUDF(lag_udwf());
    window.params.order_by = window
        .params
        .order_by
        .into_iter()
        .map(|by| SortExpr::new(by.expr, !by.asc, !by.nulls_first))
        .collect();
    Expr::WindowFunction(window)
}

fn skips_wrongly(window: &WindowFunction) -> bool {
    let WindowFunctionDefinition::WindowUDF(function) = &window.fun else {
        return false;
    };
    let distance = match window.params.args.get(1) {
        Some(Expr::Literal(ScalarValue::Int64(Some(n)), _)) => *n,
        Some(_) => i64::MAX,
        None => 1,
    };
    function.name() == "lead"
        && window.params.null_treatment == Some(NullTreatment::IgnoreNulls)
        && distance > 1
}
