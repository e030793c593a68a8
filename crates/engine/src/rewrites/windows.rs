//! Window functions as they reach executors.
//!
//! datafusion-proto names a window function and its arguments, and drops the rest: IGNORE NULLS, FILTER, and whether the
//! planner turned the window round to share a sort with another one. Each is put where it survives:
//!
//! | dropped | becomes |
//! |---|---|
//! | `lag(x) IGNORE NULLS`, a reversed `lag` | a function of its own name that knows, [`FlaggedWindow`] |
//! | `sum(x) FILTER (WHERE c)` | `sum(CASE WHEN c THEN x END)`, where the aggregate skips NULLs |
//!
//! What is left (`array_agg(x) FILTER (…) OVER …`) is refused before it is sent, see [`crate::lost_on_the_wire`].

use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::{
    Expr, LimitEffect, LogicalPlan, PartitionEvaluator, ReversedUDWF, Signature,
    WindowFunctionDefinition, WindowUDF, WindowUDFImpl, when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{SlidingAggregateWindowExpr, StandardWindowExpr};
use datafusion::physical_plan::windows::{
    BoundedWindowAggExec, WindowAggExec, WindowUDFExpr, create_window_expr,
};
use datafusion::physical_plan::{ExecutionPlan, WindowExpr};

/// The window functions that IGNORE NULLS or a reversal means something to.
const FLAGGED: [&str; 5] = ["first_value", "lag", "last_value", "lead", "nth_value"];

/// A window function with its flags as a part of it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FlaggedWindow {
    name: String,
    function: Arc<WindowUDF>,
    skips_nulls: bool,
    turned_round: bool,
}

impl FlaggedWindow {
    fn new(function: Arc<WindowUDF>, skips_nulls: bool, turned_round: bool) -> Self {
        let nulls = if skips_nulls { " ignore nulls" } else { "" };
        let order = if turned_round { " reversed" } else { "" };
        Self {
            name: format!("{}{nulls}{order}", function.name()),
            function,
            skips_nulls,
            turned_round,
        }
    }
}

impl WindowUDFImpl for FlaggedWindow {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.function.expressions(args)
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let args = PartitionEvaluatorArgs::new(
            args.input_exprs(),
            args.input_fields(),
            self.turned_round,
            self.skips_nulls,
        );
        self.function.partition_evaluator_factory(args)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.function.field(args)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.function.sort_options()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    /// Plans are complete when functions become this one.
    fn reverse_expr(&self) -> ReversedUDWF {
        ReversedUDWF::NotSupported
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

/// A function of each combination of flags, for the registries of scheduler and executors. SQL cannot call them: their
/// names have spaces.
pub(crate) fn flagged_windows() -> Vec<Arc<WindowUDF>> {
    let functions = SessionStateDefaults::default_window_functions();
    let flagged = functions
        .into_iter()
        .filter(|f| FLAGGED.contains(&f.name()));
    flagged
        .flat_map(|function| {
            [(true, false), (false, true), (true, true)].map(|(skips_nulls, turned_round)| {
                let window = FlaggedWindow::new(Arc::clone(&function), skips_nulls, turned_round);
                Arc::new(WindowUDF::from(window))
            })
        })
        .collect()
}

/// Refuses aggregates that cannot forget rows, over frames that leave rows behind: they would fail at the first row.
///
/// # Errors
/// A window has such a frame.
pub(crate) fn check_frames(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.apply(|node| {
        let exprs = if let Some(window) = node.downcast_ref::<WindowAggExec>() {
            window.window_expr()
        } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
            window.window_expr()
        } else {
            return Ok(TreeNodeRecursion::Continue);
        };
        for expr in exprs {
            let Some(window) = expr.as_any().downcast_ref::<SlidingAggregateWindowExpr>() else {
                continue;
            };
            let aggregate = window.get_aggregate_expr();
            let forgets = aggregate.create_sliding_accumulator();
            if !forgets.is_ok_and(|accumulator| accumulator.supports_retract_batch()) {
                let distinct = if aggregate.is_distinct() { " with DISTINCT" } else { "" };
                return plan_err!(
                    "{} takes no frame that leaves rows behind{distinct}: begin the frame at UNBOUNDED PRECEDING, or join the \
                     rows of each frame and group them",
                    aggregate.fun().name()
                );
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plan)
}

/// Puts the flags of window functions into the functions, in a complete plan.
///
/// # Errors
/// A window cannot be built again.
pub(crate) fn seal_windows(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let sealed: Option<Arc<dyn ExecutionPlan>> =
            if let Some(window) = node.downcast_ref::<WindowAggExec>() {
                match with_flags(window.window_expr(), window.input())? {
                    Some(exprs) => Some(Arc::new(WindowAggExec::try_new(
                        exprs,
                        Arc::clone(window.input()),
                        !window.partition_keys().is_empty(),
                    )?)),
                    None => None,
                }
            } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
                match with_flags(window.window_expr(), window.input())? {
                    Some(exprs) => Some(Arc::new(BoundedWindowAggExec::try_new(
                        exprs,
                        Arc::clone(window.input()),
                        window.input_order_mode.clone(),
                        !window.partition_keys().is_empty(),
                    )?)),
                    None => None,
                }
            } else {
                None
            };
        Ok(sealed.map_or_else(|| Transformed::no(node), Transformed::yes))
    })
    .data()
}

/// The expressions with their flags inside; none when no expression has one.
fn with_flags(
    exprs: &[Arc<dyn WindowExpr>],
    input: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Vec<Arc<dyn WindowExpr>>>> {
    let mut changed = false;
    let mut sealed = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let flagged = flagged(expr, input)?;
        changed |= flagged.is_some();
        sealed.push(flagged.unwrap_or_else(|| Arc::clone(expr)));
    }
    Ok(changed.then_some(sealed))
}

fn flagged(
    expr: &Arc<dyn WindowExpr>,
    input: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn WindowExpr>>> {
    let Some(function) = expr
        .as_any()
        .downcast_ref::<StandardWindowExpr>()
        .and_then(|window| {
            window
                .get_standard_func_expr()
                .as_any()
                .downcast_ref::<WindowUDFExpr>()
        })
    else {
        return Ok(None);
    };
    // The flags are private, and shown to programmers.
    let shown = format!("{function:?}");
    let skips_nulls = shown.contains("ignore_nulls: true");
    let turned_round = shown.contains("is_reversed: true");
    if !(skips_nulls || turned_round) || !FLAGGED.contains(&function.fun().name()) {
        return Ok(None);
    }
    let window = FlaggedWindow::new(Arc::clone(function.fun()), skips_nulls, turned_round);
    let sealed = create_window_expr(
        &WindowFunctionDefinition::WindowUDF(Arc::new(WindowUDF::from(window))),
        expr.name().to_string(),
        function.args(),
        expr.partition_by(),
        expr.order_by(),
        Arc::clone(expr.get_window_frame()),
        input.schema(),
        false,
        false,
        None,
    )?;
    Ok(Some(sealed))
}

/// Writes the FILTER of a window aggregate as CASE, for aggregates that skip NULLs.
#[derive(Debug)]
pub(crate) struct FilterAsCase;

/// Aggregates to which a row with a NULL argument is no row.
const SKIP_NULLS: [&str; 22] = [
    "approx_distinct",
    "approx_median",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "median",
    "min",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

impl AnalyzerRule for FilterAsCase {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let saved = names.save(&expr);
                let written = expr.transform_up(without_filter)?;
                Ok(written.update_data(|expr| saved.restore(expr)))
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "window_filter_as_case"
    }
}

fn without_filter(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else {
        return Ok(Transformed::no(expr));
    };
    if !skips_nulls(&window) {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    }
    let Some(filter) = window.params.filter.take() else {
        return Ok(Transformed::no(Expr::WindowFunction(window)));
    };
    if let Some(first) = window.params.args.first_mut() {
        *first = when(*filter, first.clone()).end()?;
    }
    Ok(Transformed::yes(Expr::WindowFunction(window)))
}

fn skips_nulls(window: &WindowFunction) -> bool {
    let WindowFunctionDefinition::AggregateUDF(function) = &window.fun else {
        return false;
    };
    !window.params.args.is_empty()
        && (SKIP_NULLS.contains(&function.name())
            || window.params.null_treatment == Some(NullTreatment::IgnoreNulls))
}
