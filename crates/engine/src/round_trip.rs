//! Holds a physical plan to what executors will make of it.
//!
//! datafusion-proto silently drops what it cannot encode: IGNORE NULLS and FILTER of window functions, a scan's
//! expression adapter, whether a window was reversed. A plan is therefore encoded and decoded before it is sent, and what
//! comes back is compared with what went in, node by node: name, columns, partitions, display, expressions.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, WindowExpr};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;

use crate::codec::RetailPhysicalCodec;
use crate::nodes::one_task::OneTaskExec;

/// What of a plan does not reach executors as it is; none when all of it does.
pub fn lost_on_the_wire(plan: &Arc<dyn ExecutionPlan>, context: &TaskContext) -> Option<String> {
    let received = match sent(plan, context) {
        Ok(received) => received,
        Err(error) => return Some(error.strip_backtrace()),
    };
    difference(plan, &received).or_else(|| {
        let options = context.session_config().options();
        let checked = SanityCheckPlan::new().optimize(received, options);
        checked.err().map(|e| e.strip_backtrace())
    })
}

/// The plan as an executor decodes it.
pub(crate) fn sent(
    plan: &Arc<dyn ExecutionPlan>,
    context: &TaskContext,
) -> Result<Arc<dyn ExecutionPlan>> {
    let codec = RetailPhysicalCodec::default();
    let mut bytes = vec![];
    PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &codec)?.try_encode(&mut bytes)?;
    PhysicalPlanNode::try_decode(&bytes)?.try_into_physical_plan(context, &codec)
}

fn difference(ours: &Arc<dyn ExecutionPlan>, theirs: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let same_columns = same_columns(&ours.schema(), &theirs.schema());
    let (ours, theirs) = (&without_identity(ours), &without_identity(theirs));
    let differ = |what: &str, ours: &str, theirs: &str| {
        (ours != theirs).then(|| format!("{what} is {ours} here and {theirs} on an executor"))
    };
    if let Some(found) = differ("a plan node", ours.name(), theirs.name()) {
        return Some(found);
    }
    let name = ours.name();
    if let Some(found) = differ("a node", &display(ours), &display(theirs)) {
        return Some(found);
    }
    if !same_columns {
        return Some(format!("the columns of {name} are others on an executor"));
    }
    let partitions = |plan: &Arc<dyn ExecutionPlan>| plan.output_partitioning().partition_count();
    if partitions(ours) != partitions(theirs) {
        let (here, there) = (partitions(ours), partitions(theirs));
        return Some(format!(
            "{name} has {here} partitions here and {there} on an executor"
        ));
    }
    if let Some(found) = calls(ours, theirs) {
        return Some(found);
    }
    if expressions(ours) != expressions(theirs) {
        return Some(format!(
            "the expressions of {name} are others on an executor"
        ));
    }
    let (children, others) = (inner(ours), inner(theirs));
    if children.len() != others.len() {
        return Some(format!("{name} has other inputs on an executor"));
    }
    children
        .iter()
        .zip(others)
        .find_map(|(child, other)| difference(child, &other))
}

/// Whether names and types are the same. Whether a column may be null is worked out again where a plan is decoded: a
/// union widens the columns of its inputs here, and its stand-in there does so with their rows.
fn same_columns(ours: &Schema, theirs: &Schema) -> bool {
    ours.fields().len() == theirs.fields().len()
        && ours
            .fields()
            .iter()
            .zip(theirs.fields())
            .all(|(ours, theirs)| {
                ours.name() == theirs.name() && ours.data_type().equals_datatype(theirs.data_type())
            })
}

/// A node's own line. Whether an exchange happens to keep an order is not a part of it: what needs the order is checked
/// by [`SanityCheckPlan`].
fn display(plan: &Arc<dyn ExecutionPlan>) -> String {
    if plan.is::<OneTaskExec>() {
        return plan.name().to_string(); // its plan is compared as its input
    }
    let line = DisplayableExecutionPlan::new(plan.as_ref())
        .one_line()
        .to_string();
    line.trim_end().replace(", maintains_sort_order=true", "")
}

/// The plan below projections that hand on each column as it is. A union puts them over its inputs when it is decoded.
fn without_identity(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
        return Arc::clone(plan);
    };
    let input = projection.input();
    let columns = input.schema();
    let same = projection.expr().len() == columns.fields().len()
        && projection.expr().iter().enumerate().all(|(at, projected)| {
            let expr = match projected.expr.downcast_ref::<CastExpr>() {
                Some(cast) if cast.cast_type() == columns.field(at).data_type() => cast.expr(),
                Some(_) => return false,
                None => &projected.expr,
            };
            let column = expr.downcast_ref::<Column>();
            column.is_some_and(|c| c.index() == at) && projected.alias == *columns.field(at).name()
        });
    if same {
        without_identity(input)
    } else {
        Arc::clone(plan)
    }
}

fn inner(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<OneTaskExec>() {
        Some(task) => vec![Arc::clone(task.plan())],
        None => plan.children().into_iter().cloned().collect(),
    }
}

fn expressions(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn PhysicalExpr>> {
    let mut found = vec![];
    let walked = plan.apply_expressions(&mut |expr| {
        found.push(comparable(expr)?);
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "collecting expressions cannot fail");
    found
}

/// An expression without what is equal to itself only and decides no row: filters that other nodes narrow while they run,
/// and the name of a cast's column.
fn comparable(expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expr)
        .transform_down(|expr| {
            if expr.is::<DynamicFilterPhysicalExpr>() {
                return Ok(Transformed::yes(lit(true)));
            }
            let Some(cast) = expr.downcast_ref::<CastExpr>() else {
                return Ok(Transformed::no(expr));
            };
            let plain = CastExpr::new(
                Arc::clone(cast.expr()),
                cast.cast_type().clone(),
                Some(cast.cast_options().clone()),
            );
            Ok(Transformed::yes(Arc::new(plain)))
        })
        .data()
}

/// Calls in windows and aggregates show neither IGNORE NULLS nor FILTER nor whether they were reversed, except to
/// programmers.
fn calls(ours: &Arc<dyn ExecutionPlan>, theirs: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let (ours, theirs) = (described_calls(ours), described_calls(theirs));
    ours.iter()
        .zip(theirs)
        .find_map(|((call, ours), (_, theirs))| {
            let (here, there) = (flags(ours), flags(&theirs));
            (here != there).then(|| {
                format!(
                    "{call} loses {} on its way to an executor",
                    missing(&here, &there)
                )
            })
        })
}

/// Each call of a window or an aggregate, and how programmers see it.
fn described_calls(plan: &Arc<dyn ExecutionPlan>) -> Vec<(String, String)> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let calls = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
        let calls = calls.map(|(call, filter)| {
            let filter = filter.as_ref().map(ToString::to_string);
            (
                call.name().to_string(),
                format!("{call:?} filter: {filter:?}"),
            )
        });
        return calls.collect();
    }
    let windows = window_exprs(plan).unwrap_or_default().iter();
    windows
        .map(|call| (call.name().to_string(), format!("{call:?}")))
        .collect()
}

/// The calls of a window; none for other nodes.
pub(crate) fn window_exprs(plan: &Arc<dyn ExecutionPlan>) -> Option<&[Arc<dyn WindowExpr>]> {
    if let Some(window) = plan.downcast_ref::<WindowAggExec>() {
        return Some(window.window_expr());
    }
    Some(plan.downcast_ref::<BoundedWindowAggExec>()?.window_expr())
}

/// What a call has besides its arguments, out of its display to programmers: most of it is private.
fn flags(call: &str) -> Vec<(&'static str, usize)> {
    const FLAGS: [(&str, &str); 5] = [
        ("IGNORE NULLS", "ignore_nulls: true"),
        ("its reversal", "is_reversed: true"),
        ("DISTINCT", "is_distinct: true"),
        ("FILTER", "filter: Some("),
        ("ORDER BY", "PhysicalSortExpr {"),
    ];
    let count = |(name, needle): (&'static str, &str)| (name, call.matches(needle).count());
    FLAGS.map(count).into()
}

fn missing(here: &[(&'static str, usize)], there: &[(&'static str, usize)]) -> String {
    let lost = here.iter().zip(there).filter(|(h, t)| h != t);
    lost.map(|((name, _), _)| *name)
        .collect::<Vec<_>>()
        .join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn planned(sql: &str) -> (Arc<dyn ExecutionPlan>, Arc<TaskContext>) {
        let context = datafusion::prelude::SessionContext::new();
        let plan = context
            .sql(sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap();
        (plan, context.task_ctx())
    }

    #[tokio::test]
    async fn what_a_window_loses_is_named() {
        let rows = "(VALUES (1, 10), (2, NULL), (3, 30)) t(a, b)";
        let kept = planned(&format!("SELECT lag(b) OVER (ORDER BY a) FROM {rows}")).await;
        assert_eq!(lost_on_the_wire(&kept.0, &kept.1), None);
        let nulls = planned(&format!(
            "SELECT lag(b) IGNORE NULLS OVER (ORDER BY a) FROM {rows}"
        ))
        .await;
        let lost = lost_on_the_wire(&nulls.0, &nulls.1).unwrap();
        assert!(lost.contains("loses IGNORE NULLS"), "{lost}");
        let filter = planned(&format!(
            "SELECT sum(b) FILTER (WHERE a > 1) OVER (ORDER BY a) FROM {rows}"
        ))
        .await;
        let lost = lost_on_the_wire(&filter.0, &filter.1).unwrap();
        assert!(lost.contains("loses FILTER"), "{lost}");
    }
    #[tokio::test]
    async fn what_an_aggregate_would_lose_is_named() {
        async fn aggregate(call: &str) -> Arc<dyn ExecutionPlan> {
            let rows = "(VALUES (1, 10), (2, NULL)) t(a, b)";
            let mut node = planned(&format!("SELECT {call} FROM {rows}")).await.0;
            while !node.is::<AggregateExec>() {
                let child = Arc::clone(node.children()[0]);
                node = child;
            }
            node
        }
        let plain = aggregate("first_value(b ORDER BY a)").await;
        assert_eq!(calls(&plain, &plain), None);
        for (call, lost) in [
            ("first_value(b ORDER BY a) IGNORE NULLS", "IGNORE NULLS"),
            ("first_value(b ORDER BY a) FILTER (WHERE a > 1)", "FILTER"),
            ("first_value(b)", "ORDER BY"),
        ] {
            let found = calls(&aggregate(call).await, &plain).unwrap();
            assert!(found.contains(lost), "{found}");
        }
    }
}
