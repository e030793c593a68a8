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

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Constraint, Constraints, JoinType, Statistics};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::SetMonotonicity;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};

use crate::planned_join::{PlannedJoinExec, over};

/// A rule that puts sorts in or takes them away, on plans without false claims.
#[derive(Debug)]
pub(crate) struct WithoutFalseClaims(pub Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for WithoutFalseClaims {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.0.optimize(believed_plan(plan)?, config)?;
        plan.transform_up(|node| {
            if let Some(unclaimed) = node.downcast_ref::<UnclaimedExec>() {
                Ok(Transformed::yes(Arc::clone(&unclaimed.input)))
            } else {
                merge_whole_order(node)
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
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

/// What a node claims falsely, whatever is above it.
fn false_claims(node: &Arc<dyn ExecutionPlan>) -> Option<Forget> {
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

fn groups_sets(node: &Arc<dyn ExecutionPlan>) -> bool {
    let aggregate = node.downcast_ref::<AggregateExec>();
    aggregate.is_some_and(|aggregate| !aggregate.group_expr().is_single())
}

/// Whether keys of a node's input come out at another position than the one they have, or twice.
fn moves_keys(node: &Arc<dyn ExecutionPlan>) -> bool {
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

fn over_unclaimed(node: Arc<dyn ExecutionPlan>, forget: Forget) -> Result<Arc<dyn ExecutionPlan>> {
    let children = node.children().into_iter();
    let unclaimed = children.map(|child| {
        Arc::new(UnclaimedExec::new(Arc::clone(child), forget)) as Arc<dyn ExecutionPlan>
    });
    let unclaimed = unclaimed.collect();
    over(node, unclaimed)
}

/// Merges by the longest order of the input that begins with the one asked for.
fn merge_whole_order(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() else {
        return Ok(Transformed::no(node));
    };
    let claims = merge.input().equivalence_properties();
    let Some(asked) = claims.normalize_sort_exprs(merge.expr().iter().cloned()) else {
        return Ok(Transformed::no(node));
    };
    let orders = claims.normalized_oeq_class();
    let longer = orders
        .iter()
        .filter(|order| order.len() > asked.len() && order.iter().zip(&asked).all(|(a, b)| a == b))
        .max_by_key(|order| order.len());
    let Some(longer) = longer else {
        return Ok(Transformed::no(node));
    };
    let rest = longer.iter().skip(asked.len()).cloned();
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

/// What is not believed of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// Which columns are unique.
    Keys,
    /// Which columns are constant within a partition only.
    OfPartitions,
    /// What a window claims besides what its input does.
    Windows,
    /// That, which orders the rows have, and which columns are constant or equal.
    All,
}

/// Its input, of which less is claimed.
#[derive(Debug)]
pub struct UnclaimedExec {
    input: Arc<dyn ExecutionPlan>,
    forget: Forget,
    properties: Arc<PlanProperties>,
}

impl UnclaimedExec {
    /// Claims less of `input`.
    pub fn new(input: Arc<dyn ExecutionPlan>, forget: Forget) -> Self {
        let properties = PlanProperties::clone(input.properties());
        let properties = match forget {
            Forget::Keys => properties.with_constraints(Constraints::default()),
            Forget::OfPartitions => {
                let mut claims = input.equivalence_properties().clone();
                claims.clear_per_partition_constants();
                properties.with_eq_properties(claims)
            }
            Forget::Windows => properties.with_eq_properties(of_windows_input(&input)),
            Forget::All => {
                let claims = EquivalenceProperties::new(input.schema());
                let properties = properties.with_eq_properties(claims);
                // A key by which the input is partitioned is NULL in the rows of other sets, in every partition.
                match groups_sets(&input) {
                    true => {
                        let partitions = input.output_partitioning().partition_count();
                        properties.with_partitioning(Partitioning::UnknownPartitioning(partitions))
                    }
                    false => properties,
                }
            }
        };
        Self {
            input,
            forget,
            properties: Arc::new(properties),
        }
    }

    /// What is not believed of its input.
    pub(crate) fn forget(&self) -> Forget {
        self.forget
    }
}

/// What a window's input claims; nothing, where its columns are not the first of the window's.
fn of_windows_input(window: &Arc<dyn ExecutionPlan>) -> EquivalenceProperties {
    if window.is::<UnclaimedExec>() {
        return window.equivalence_properties().clone();
    }
    let nothing = || EquivalenceProperties::new(window.schema());
    let Some(input) = window.children().first().copied() else {
        return nothing();
    };
    let claims = nothing().extend(input.equivalence_properties().clone());
    claims.unwrap_or_else(|_| nothing())
}

impl DisplayAs for UnclaimedExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UnclaimedExec")
    }
}

impl ExecutionPlan for UnclaimedExec {
    fn name(&self) -> &'static str {
        "UnclaimedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// A sort that is put below would be made of what the input claims.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.forget == Forget::Keys]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.forget)))
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

#[cfg(test)]
mod of_functions;

#[cfg(test)]
mod tests {
    use crate::testing::rows;

    const SALES: &str = "(values (4, 5), (1, 5), (2, 5), (3, 7), (6, 4)) as t(k, x)";

    #[tokio::test]
    async fn a_rank_that_ties_is_not_unique_because_a_key_below_is() {
        let query = format!(
            "select rank() over (order by max(x)) as r, -k as k from {SALES} group by k order by 1, 2"
        );
        assert_eq!(rows(&query).await, ["1-6", "2-4", "2-2", "2-1", "5-3"]);
    }

    #[tokio::test]
    async fn a_grouping_column_that_is_constant_below_is_sorted_with_its_nulls() {
        let query = format!(
            "select c, n from (select c, count(*) as n from (select 'all' as c from {SALES}) as s
             group by grouping sets ((c), ())) as g order by c desc nulls first"
        );
        assert_eq!(rows(&query).await, ["5", "all5"]);
    }

    #[tokio::test]
    async fn a_grouping_column_that_is_constant_below_groups_rows_as_they_come() {
        let query = format!(
            "select c, count(*) as n from (select c, k, sum(x) as s from (select 'all' as c, k, x from {SALES}) as t
             group by grouping sets ((c, k), (k), (c), ())) as g group by c order by 1 nulls first"
        );
        assert_eq!(rows(&query).await, ["6", "all6"]);
        let plan = rows(&format!("explain {query}")).await.concat();
        assert!(!plan.contains("ordering_mode"), "{plan}");
    }

    #[tokio::test]
    async fn a_constant_of_one_side_is_a_key_of_a_sort_above_an_outer_join() {
        for join in ["a.c = b.k and a.c < a.c", "a.c < b.k - 100"] {
            let query = format!(
                "select c, lag(k) over (order by c, k) as l from (select count(*) as c from {SALES}) as a
                 full join (select k from {SALES}) as b on {join} where k is null or k < 3 order by 1, 2"
            );
            assert_eq!(rows(&query).await, ["5", "1", ""], "{join}");
        }
        let grouped = format!(
            "explain select c, k, count(*) as n from (select count(*) as c from {SALES}) as a
             full join (select k from {SALES}) as b on a.c = b.k group by c, k"
        );
        let plan = rows(&grouped).await.concat();
        assert!(!plan.contains("ordering_mode"), "{plan}");
    }

    #[tokio::test]
    async fn values_of_windows_are_sorted() {
        let sales = "(values (1, null), (2, 3), (3, 8), (4, 5)) as t(k, x)";
        for (window, right) in [
            ("max(x) over (order by k)", ["3", "8", "8", ""]),
            (
                "min(x) over (order by k desc rows 1 preceding)",
                ["3", "3", "5", "5"],
            ),
            (
                "max(k) over (order by k desc rows 1 preceding)",
                ["2", "3", "4", "4"],
            ),
            (
                "count(x) over (order by x rows 1 preceding)",
                ["1", "1", "2", "2"],
            ),
        ] {
            let query = format!("select {window} as m from {sales} order by m");
            assert_eq!(rows(&query).await, right, "{window}");
            let query = format!(
                "select m, count(*) as n from (select {window} as m from {sales}) as s group by m"
            );
            let plan = rows(&format!("explain {query}")).await.concat();
            assert!(!plan.contains("ordering_mode"), "{plan}");
        }
    }

    #[tokio::test]
    async fn a_label_of_union_branches_is_a_key_of_the_sort_below_a_limit() {
        let query = format!(
            "explain select k, what from (select k, 'sale' as what from {SALES} where x > 0
             union all select x, 'return' from {SALES} where k > 0) as u order by what desc, k limit 2"
        );
        let plan = rows(&query).await.concat();
        assert!(
            plan.contains("TopK(fetch=2),expr=[what@1DESC,k@0"),
            "{plan}"
        );
    }

    #[tokio::test]
    async fn a_total_before_its_key_is_sorted_by_both() {
        let query = format!(
            "select n, k from (select k, max(x) as n from {SALES} group by k order by 2 limit 4) order by n, k"
        );
        let sorted = rows(&query).await;
        assert_eq!(sorted, ["46", "51", "52", "54"]);
    }
}
