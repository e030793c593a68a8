//! Keeps conditions that name no column above aggregates that give a row for no rows.
//!
//! DataFusion 55 pushes a condition below an aggregate when every column of it is a key of the groups, which is true of a
//! condition without columns as well. A label that a filter compares becomes such a condition:
//!
//! ```text
//! Filter: what = 'web'                      Union
//!   Union                                     Aggregate: count(*)      ◀ one row: 'all', 0
//!     Projection: 'all' as what, n     ─▶       Filter: 'all' = 'web'
//!       Aggregate: count(*) as n              Aggregate: count(*)
//!     …                                         …
//! ```
//!
//! An aggregate without keys, or over sets of keys of which one is empty, gives that row though nothing is read of it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::empty_branches::NamedBranches;
use crate::join_guard::{hide_keys, show_keys};

/// DataFusion's rules, with two of them in our keeping: filters that name no column, and unions with empty branches.
pub fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 2] = [
        Arc::new(PushDownColumnFilters::default()),
        Arc::new(NamedBranches::default()),
    ];
    let mut rules = Optimizer::new().rules;
    for rule in &mut rules {
        if let Some(ours) = ours.iter().find(|ours| ours.name() == rule.name()) {
            *rule = Arc::clone(ours);
        }
    }
    rules
}

/// [`PushDownFilter`], but what names no column stays above an aggregate that gives a row for no rows.
#[derive(Debug, Default)]
struct PushDownColumnFilters {
    theirs: PushDownFilter,
}

impl OptimizerRule for PushDownColumnFilters {
    fn name(&self) -> &str {
        self.theirs.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.theirs.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        // What can fail is not copied to the other side of a join.
        let (plan, hidden) = hide_keys(plan)?;
        if hidden {
            let pushed = self.theirs.rewrite(plan, config)?;
            return pushed.map_data(show_keys);
        }
        let LogicalPlan::Filter(filter) = plan else {
            return self.theirs.rewrite(plan, config);
        };
        // Their rule merges filters and goes on below them in one step.
        if let LogicalPlan::Filter(below) = filter.input.as_ref() {
            let both = below.predicate.clone().and(filter.predicate);
            let merged = Filter::try_new(both, Arc::clone(&below.input))?;
            let pushed = self.rewrite(LogicalPlan::Filter(merged), config)?;
            return Ok(Transformed::yes(pushed.data));
        }
        if !matches!(filter.input.as_ref(), LogicalPlan::Aggregate(a) if gives_a_row_for_none(a)) {
            return self.theirs.rewrite(LogicalPlan::Filter(filter), config);
        }
        let (constant, rest): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(filter.predicate.clone())
                .into_iter()
                .partition(|condition| condition.column_refs().is_empty());
        let Some(constant) = conjunction(constant) else {
            return self.theirs.rewrite(LogicalPlan::Filter(filter), config);
        };
        let Some(rest) = conjunction(rest) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        let below = LogicalPlan::Filter(Filter::try_new(rest, filter.input)?);
        let pushed = self.theirs.rewrite(below, config)?;
        let above = Filter::try_new(constant, Arc::new(pushed.data))?;
        // What was put together from the same conditions is no change.
        Ok(match pushed.transformed {
            true => Transformed::yes(LogicalPlan::Filter(above)),
            false => Transformed::no(LogicalPlan::Filter(filter_again(above)?)),
        })
    }
}

/// The two filters over each other as the one that they were.
fn filter_again(above: Filter) -> Result<Filter> {
    match Arc::unwrap_or_clone(above.input) {
        LogicalPlan::Filter(below) => {
            Filter::try_new(below.predicate.and(above.predicate), below.input)
        }
        other => Filter::try_new(above.predicate, Arc::new(other)),
    }
}

/// Whether an aggregate without input still has a group.
fn gives_a_row_for_none(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.is_empty()
        || aggregate
            .group_expr
            .iter()
            .any(|key| matches!(key, Expr::GroupingSet(_)))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use retail_storage::{ObjectStores, StorageConfig};

    use retail_engine::{EngineConfig, session};

    async fn rows(sql: &str) -> String {
        let stores = ObjectStores::new(StorageConfig::default());
        let session = session(&EngineConfig::default(), 2, &stores).unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    const SALES: &str = "with sales(channel, n) as (values ('web', 1), ('web', 2), ('shop', 4))";

    #[tokio::test]
    async fn a_total_that_its_label_leaves_out_is_no_row() {
        let sql = format!(
            "{SALES} select what, total from (
               select 'all' as what, sum(n) as total from sales
               union all select 'web', sum(n) from sales where channel = 'web') as totals
             where what = 'web' and total > 0"
        );
        let found = rows(&sql).await;
        assert!(found.contains("| web  | 3 "), "{found}");
        assert_eq!(found.lines().count(), 5, "{found}");
    }

    #[tokio::test]
    async fn a_total_that_having_and_its_label_leave_out_is_no_row() {
        let sql = format!(
            "{SALES}, q as (select max(channel) as c from sales where n = 1 having count(*) < 1)
             select c from (select 1 as half, c from q union all select 2, c from q) as twice where half = 2"
        );
        let found = rows(&sql).await;
        assert_eq!(found, "++\n++", "{found}");
    }

    #[tokio::test]
    async fn a_grand_total_that_its_label_leaves_out_is_no_row() {
        let sql = format!(
            "{SALES} select what, count(*) as n from (
               select 1 as what, channel from sales group by rollup (channel)
               union all select 2, channel from sales group by channel) as totals
             where what = 2 group by what"
        );
        let found = rows(&sql).await;
        assert!(found.contains("| 2    | 2 |"), "{found}");
    }

    #[tokio::test]
    async fn what_does_not_hold_for_a_total_leaves_no_row() {
        let sql = format!(
            "{SALES} select * from (select count(*) as n from sales) as t where 1 = 2 and n > 0"
        );
        assert_eq!(rows(&sql).await.lines().count(), 2);
    }
}
