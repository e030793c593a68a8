//! Keeps filters above columns that share a name.
//!
//! DataFusion 55 hands a filter down by the names of its columns (`FilterRemapper` of datafusion-physical-plan). Where two
//! columns of an input have one name, both become the first of them: `a.price IS DISTINCT FROM b.price` above a join of `a` and
//! `b` is looked for as `price IS DISTINCT FROM price`, below the join. While filters are handed down, a node that takes none
//! stands above each node with such columns: a [`FilterBarrierExec`].

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;

use super::{Rule, shielded};
use crate::nodes::filter_barrier::FilterBarrierExec;

/// A rule that hands filters down, kept above nodes whose columns share a name.
pub(crate) fn by_clear_names(rule: Rule) -> Rule {
    shielded(rule, with_barriers, without_barriers)
}

fn with_barriers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(match names_are_clear(&node) {
            true => Transformed::no(node),
            false => Transformed::yes(Arc::new(FilterBarrierExec::new(node)) as _),
        })
    })
    .data()
}

fn without_barriers(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(match node.downcast_ref::<FilterBarrierExec>() {
            Some(barrier) => Transformed::yes(Arc::clone(barrier.input())),
            None => Transformed::no(node),
        })
    })
    .data()
}

fn names_are_clear(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::new();
    schema
        .fields()
        .iter()
        .all(|field| names.insert(field.name()))
}

#[cfg(test)]
mod tests {
    use crate::testing::rows;

    #[tokio::test]
    async fn a_filter_of_columns_of_one_name_stays_above_their_join() {
        let old = "(values (1, 5, 1), (2, 6, 1), (9, 9, null)) as old(k, price, day)";
        let new = "(values (1, 9, 1), (2, 6, 1), (8, 8, null)) as new(k, price, day)";
        for condition in [
            "old.price is distinct from new.price",
            "old.price is not distinct from new.price",
            "coalesce(old.price, 0) < coalesce(new.price, 0)",
        ] {
            for join in ["full", "left", "right", "inner"] {
                let query = format!(
                    "select count(*) as n from {old} {join} join {new} on old.k = new.k
                     where new.day <= new.day and {condition} and nullif(old.day, 3) <= coalesce(old.day, 4)"
                );
                assert_eq!(rows(&query).await, ["1"], "{join}, {condition}");
            }
        }
    }

    #[tokio::test]
    async fn a_limit_by_one_of_two_columns_of_one_name_cuts_by_that_one() {
        let query = "select a.k as k from (values (1, 5), (2, 6), (3, 7)) as a(k, x)
             join (values (1, 9), (2, 8), (3, 7)) as b(k, x) on a.k = b.k order by b.x, a.x limit 1";
        assert_eq!(rows(query).await, ["3"]);
    }
}
