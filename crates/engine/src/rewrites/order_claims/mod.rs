//! Keeps false claims of order and uniqueness from taking sorts away.
//!
//! DataFusion 55 leaves a sort out where its input claims the order: while it plans, and again when a `SortExec` starts.
//! Six claims are false:
//!
//! * **Keys that moved.** The keys of an aggregate are noted as unique, and rows in the order of a prefix that holds such
//!   keys need no further sort. Where a projection or another aggregate moves the columns, the keys are looked up by their
//!   position above instead of below (`EquivalenceProperties::projected_constraints`), so another column passes for unique:
//!
//!   ```text
//!     SortExec: n, k                    left out: "n is unique"
//!       ProjectionExec: n@1, k@0        key: column 0, which is n here
//!         AggregateExec: gby=[k]        key: column 0, which is k
//!   ```
//!
//! * **Constants of grouping sets.** A grouping column that is constant in the input, or equal to another one, is claimed to
//!   be so in the output, where it is NULL in the rows of other sets.
//! * **Constants of an outer join's inputs.** They are claimed of its output, where they are NULL in rows without a match.
//! * **Constants of union branches.** A column that is another constant in each branch is left out of the keys of a sort
//!   below a merge. With a limit, the sort's partitions share the bound above which they drop rows, which then compares
//!   rows of different branches by the rest of the keys.
//! * **Values of windows.** What `max` gives over a frame that grows is claimed to ascend with NULLs last, though it is NULL until
//!   a value comes; over frames of a few rows it is claimed to ascend where the rows descend.
//! * **Merges by less.** `SortPreservingMergeExec` by `n` claims every order of its input, `n, k` among them, and only
//!   keeps `n`. It is made to merge by the whole order.
//!
//! While sorts are put in, a node that claims less stands below projections that move keys and above grouping sets, outer
//! joins, windows and unions; a sort that stays in the plan and would be left out keeps one below it.

mod false_claims;
#[cfg(test)]
mod of_functions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use self::false_claims::{false_claims, moves_keys};
use super::{Rule, shielded};
use crate::nodes::over;
use crate::nodes::unclaimed::{Forget, UnclaimedExec};

/// A rule that puts sorts in or takes them away, on plans without false claims.
pub(crate) fn without_false_claims(rule: Rule) -> Rule {
    shielded(rule, believed_plan, with_whole_merges)
}

/// A plan in which every claim that is believed while sorts are put in is a node's own: what is not believed of a node stands
/// below an `UnclaimedExec`. For tests, which hold the claims against the rows.
///
/// # Errors
/// A node cannot be built again.
pub fn believed_plan(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(forget_claims).data()
}

fn forget_claims(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let above = match false_claims(&node) {
        None => node.is::<UnionExec>().then_some(Forget::OfPartitions),
        claims => claims,
    };
    let moved = moves_keys(&node);
    let node = match moved {
        true => over_unclaimed(node, Forget::Keys)?,
        false => node,
    };
    Ok(match (above, moved) {
        (Some(forget), _) => Transformed::yes(Arc::new(UnclaimedExec::new(node, forget))),
        (None, true) => Transformed::yes(node),
        (None, false) => Transformed::no(node),
    })
}

/// The plan without the nodes of [`believed_plan`], and with merges that keep the order they claim.
fn with_whole_merges(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| match node.downcast_ref::<UnclaimedExec>() {
        Some(unclaimed) => Ok(Transformed::yes(Arc::clone(unclaimed.input()))),
        None => merge_whole_order(node),
    })
    .data()
}

fn over_unclaimed(node: Arc<dyn ExecutionPlan>, forget: Forget) -> Result<Arc<dyn ExecutionPlan>> {
    let children = node.children().into_iter();
    let unclaimed = children.map(|child| {
        Arc::new(UnclaimedExec::new(Arc::clone(child), forget)) as Arc<dyn ExecutionPlan>
    });
    let unclaimed = unclaimed.collect();
    over(node, unclaimed)
}

/// Merges by the longest order of the input that begins with the required one.
fn merge_whole_order(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() else {
        return Ok(Transformed::no(node));
    };
    let claims = merge.input().equivalence_properties();
    let Some(required) = claims.normalize_sort_exprs(merge.expr().iter().cloned()) else {
        return Ok(Transformed::no(node));
    };
    let orders = claims.normalized_oeq_class();
    let longer = orders
        .iter()
        .filter(|order| {
            order.len() > required.len() && order.iter().zip(&required).all(|(a, b)| a == b)
        })
        .max_by_key(|order| order.len());
    let Some(longer) = longer else {
        return Ok(Transformed::no(node));
    };
    let rest = longer.iter().skip(required.len()).cloned();
    let Some(whole) = LexOrdering::new(merge.expr().iter().cloned().chain(rest)) else {
        return Ok(Transformed::no(node));
    };
    let whole = SortPreservingMergeExec::new(whole, Arc::clone(merge.input()));
    Ok(Transformed::yes(Arc::new(whole.with_fetch(merge.fetch()))))
}

/// A complete plan whose sorts are all done: one that its input's claims would make it leave out when it starts reads from
/// an input that claims nothing. Grouping sets, outer joins and windows do not make their false claims either: what groups
/// their rows takes them as they come.
///
/// # Errors
/// A node cannot be built again.
pub(crate) fn do_sorts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        if let Some(forget) = false_claims(&node) {
            return Ok(Transformed::yes(
                Arc::new(UnclaimedExec::new(node, forget)) as _
            ));
        }
        let left_out = match node.downcast_ref::<SortExec>() {
            Some(sort) => {
                let claims = sort.input().equivalence_properties();
                claims.ordering_satisfy(sort.expr().clone())?
            }
            None => false,
        };
        Ok(match left_out {
            true => Transformed::yes(over_unclaimed(node, Forget::All)?),
            false => Transformed::no(node),
        })
    })
    .data()
}
