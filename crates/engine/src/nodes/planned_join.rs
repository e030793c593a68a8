//! Joins that run as they were planned.
//!
//! Ballista 55 changes joins after planning: it turns a join that collects its left side into a partitioned one and back,
//! and swaps the sides of a join when a stage's inputs are known. Nothing above the join is planned again, so a sort,
//! limit, window or aggregate that was planned for one partition, or for rows in the order of the probed side, gives wrong
//! rows. It finds joins by their type. So joins are decided before exchanges and sorts are put in ([`JoinModes`]), and
//! hidden from Ballista behind [`PlannedJoinExec`] when the plan is complete ([`seal_joins`]).
//!
//! ```text
//!   HashJoinExec mode=CollectLeft join_type=Full         rows of the left side that match nothing come out of
//!     left                                        =>     each task: HashJoinExec mode=Partitioned
//!     right, many partitions
//!
//!   HashJoinExec mode=CollectLeft, null-aware            one task reads both sides:
//!     left                                        =>     PlannedJoinExec one_task
//!     right, many partitions                               HashJoinExec's inputs, one partition each
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Statistics};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, OrderingRequirements, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties,
};

use super::over;

/// A join behind which Ballista does not look.
#[derive(Debug)]
pub(crate) struct PlannedJoinExec {
    join: Arc<dyn ExecutionPlan>,
    one_task: bool,
}

impl PlannedJoinExec {
    /// `join`: any node with two inputs. `one_task`: both inputs are read whole, by one task.
    pub(crate) fn new(join: Arc<dyn ExecutionPlan>, one_task: bool) -> Self {
        Self { join, one_task }
    }

    /// The join as DataFusion planned it.
    pub(crate) fn join(&self) -> &Arc<dyn ExecutionPlan> {
        &self.join
    }

    /// Whether both inputs are read whole, by one task.
    pub(crate) fn one_task(&self) -> bool {
        self.one_task
    }
}

impl DisplayAs for PlannedJoinExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.join.fmt_as(format, f)?;
        if self.one_task {
            write!(f, ", one_task")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for PlannedJoinExec {
    fn name(&self) -> &'static str {
        "PlannedJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        if self.one_task {
            InputDistributionRequirements::new(vec![
                Distribution::SinglePartition;
                self.children().len()
            ])
        } else {
            self.join.input_distribution_requirements()
        }
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.join.required_input_ordering()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.join.maintains_input_order()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        if self.one_task {
            vec![false; self.children().len()]
        } else {
            self.join.benefits_from_input_partitioning()
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let join = over(Arc::clone(&self.join), children)?;
        Ok(Arc::new(Self::new(join, self.one_task)))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let join = Arc::clone(&self.join).reset_state()?;
        Ok(Arc::new(Self::new(join, self.one_task)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.join.metrics()
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.join.statistics_from_inputs(inputs, args)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.join.child_stats_requests(partition)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.join.execute(partition, context)
    }
}

/// Decides how joins are distributed, after their sides and modes were chosen and before exchanges and sorts are put in.
#[derive(Debug)]
pub(crate) struct JoinModes;

impl PhysicalOptimizerRule for JoinModes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(decided).data()
    }

    fn name(&self) -> &str {
        "join_modes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn decided(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        // Rows of the left side are held back until the whole right side was seen, and one NULL on the right is enough to
        // hold back all of them.
        if join.null_aware {
            return Ok(Transformed::yes(Arc::new(PlannedJoinExec::new(node, true))));
        }
        if *join.partition_mode() == PartitionMode::CollectLeft && !right_decides(*join.join_type())
        {
            let partitioned = join
                .builder()
                .with_partition_mode(PartitionMode::Partitioned)
                .build_exec()?;
            return Ok(Transformed::yes(partitioned));
        }
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && !right_decides(*join.join_type())
    {
        return Ok(Transformed::yes(Arc::new(PlannedJoinExec::new(node, true))));
    }
    Ok(Transformed::no(node))
}

/// Whether each row of a join comes from one row of its right side. Then tasks that each read a part of the right side and
/// all of the left give every row once; otherwise rows of the left side come out of every task.
fn right_decides(join_type: JoinType) -> bool {
    matches!(
        join_type,
        JoinType::Inner
            | JoinType::Right
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark
    )
}

/// Hides the joins of a complete plan from Ballista, and gives a left side that every task reads a stage of its own when it
/// is more than a scan.
///
/// # Errors
/// A join cannot be built again over its inputs.
pub(crate) fn seal_joins(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let is_join = node.is::<HashJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<CrossJoinExec>();
        if !is_join {
            return Ok(Transformed::no(node));
        }
        let node = computed_once(node)?;
        Ok(Transformed::yes(
            Arc::new(PlannedJoinExec::new(node, false)) as Arc<dyn ExecutionPlan>,
        ))
    })
    .data()
}

fn computed_once(join: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let collects_left = join
        .input_distribution_requirements()
        .per_child_distributions()
        .next()
        .is_some_and(|d| matches!(d, Distribution::SinglePartition));
    let children: Vec<_> = join.children().into_iter().cloned().collect();
    let [left, right] = children.as_slice() else {
        return Ok(join);
    };
    if !collects_left
        || right.output_partitioning().partition_count() <= 1
        || left.is::<CoalescePartitionsExec>()
        || is_scan(left)
    {
        return Ok(join);
    }
    let left = Arc::new(CoalescePartitionsExec::new(Arc::clone(left)));
    over(join, vec![left, Arc::clone(right)])
}

/// A scan, perhaps filtered: cheaper to read in each task than to hand on.
fn is_scan(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<DataSourceExec>() || plan.name() == "TextScanExec" {
        return true;
    }
    const PASSING: [&str; 5] = [
        "CheckedCastExec",
        "CooperativeExec",
        "FieldIdScanExec",
        "FilterExec",
        "ProjectionExec",
    ];
    PASSING.contains(&plan.name()) && plan.children().into_iter().all(is_scan)
}
