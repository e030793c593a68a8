//! Which nodes claim what is false.

use std::sync::Arc;

use datafusion::common::{Constraint, Constraints, JoinType};
use datafusion::logical_expr::SetMonotonicity;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::nodes::planned_join::PlannedJoinExec;
use crate::nodes::unclaimed::{Forget, groups_sets};

/// What a node claims falsely, whatever is above it.
pub(super) fn false_claims(node: &Arc<dyn ExecutionPlan>) -> Option<Forget> {
    if fills_with_null(node) {
        Some(Forget::All)
    } else {
        orders_windows(node).then_some(Forget::Windows)
    }
}

/// Whether the values of a window are claimed to be in an order that NULLs, or rows that leave the frame, break.
fn orders_windows(node: &Arc<dyn ExecutionPlan>) -> bool {
    let exprs = if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        window.window_expr()
    } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        window.window_expr()
    } else {
        return false;
    };
    exprs.iter().any(|expr| {
        let expr = expr.as_any();
        let (aggregate, grows) =
            if let Some(plain) = expr.downcast_ref::<PlainAggregateWindowExpr>() {
                (plain.get_aggregate_expr(), true)
            } else if let Some(sliding) = expr.downcast_ref::<SlidingAggregateWindowExpr>() {
                (sliding.get_aggregate_expr(), false)
            } else {
                return false;
            };
        let is_claimed = aggregate.set_monotonicity() != SetMonotonicity::NotMonotonic;
        is_claimed && (!grows || aggregate.field().is_nullable())
    })
}

/// Whether columns of the input are NULL in some rows that come out: above an outer join, or grouping sets.
fn fills_with_null(node: &Arc<dyn ExecutionPlan>) -> bool {
    let join_type = if node.is::<AggregateExec>() {
        return groups_sets(node);
    } else if let Some(planned) = node.downcast_ref::<PlannedJoinExec>() {
        return fills_with_null(planned.join());
    } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        *join.join_type()
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        *join.join_type()
    } else if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        join.join_type()
    } else {
        return false;
    };
    matches!(join_type, JoinType::Left | JoinType::Right | JoinType::Full)
}

/// Whether keys of a node's input come out at another position than the one they have, or twice.
pub(super) fn moves_keys(node: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let exprs: Vec<_> = projection.expr().iter().map(|e| &e.expr).collect();
        moves(&exprs, keys(projection.input()))
    } else if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let exprs: Vec<_> = aggregate.group_expr().expr().iter().map(|e| &e.0).collect();
        moves(&exprs, keys(aggregate.input()))
    } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
        filter.projection().is_some() && !keys(filter.input()).is_empty()
    } else {
        false
    }
}

fn keys(input: &Arc<dyn ExecutionPlan>) -> &Constraints {
    input.equivalence_properties().constraints()
}

/// Whether a key comes out of `exprs` at another position than the one it has, or twice.
fn moves(exprs: &[&Arc<dyn PhysicalExpr>], keys: &Constraints) -> bool {
    let stays = |column: usize| {
        let is_column = |e: &Arc<dyn PhysicalExpr>| {
            (e.downcast_ref::<Column>()).is_some_and(|c| c.index() == column)
        };
        let mut at = (0..exprs.len()).filter(|i| is_column(exprs[*i]));
        at.next() == Some(column) && at.next().is_none()
    };
    keys.iter().any(|key| {
        let (Constraint::PrimaryKey(columns) | Constraint::Unique(columns)) = key;
        // The position of a key is found by counting, so all columns before it must stay as well.
        let last = columns.iter().max();
        last.is_some_and(|last| *last < exprs.len() && !(0..=*last).all(stays))
    })
}
