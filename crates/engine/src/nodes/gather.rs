//! A union whose branches cannot be split between tasks.
//!
//! Ballista narrows a task's plan to its partitions, and of a union to the branches these lie in. A branch that
//! collects its input (a global aggregate, a scalar subquery's join, a limit) cannot be narrowed to nothing: every
//! task of the stage would run it, and its rows would appear once per task. Such a union is gathered: one
//! partition, hence one task, that reads all branches.
//!
//! ```text
//!   UnionExec                          GatherExec                one partition
//!     AggregateExec mode=Final   =>      AggregateExec           read whole
//!     AggregateExec mode=Final           AggregateExec           read whole
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

/// Reads its inputs one after the other into one partition.
#[derive(Debug)]
pub(crate) struct GatherExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl GatherExec {
    /// Gathers inputs of one schema.
    ///
    /// # Errors
    /// The inputs' columns differ.
    pub(crate) fn try_new(inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Self> {
        let schema = UnionExec::try_new(inputs.clone())?.schema();
        Ok(Self::with_schema(inputs, schema))
    }

    fn with_schema(inputs: Vec<Arc<dyn ExecutionPlan>>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            inputs,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for GatherExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "GatherExec")
    }
}

impl ExecutionPlan for GatherExec {
    fn name(&self) -> &str {
        "GatherExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    /// One partition of each input: what has more gets an exchange below.
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.inputs.len()])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::with_schema(children, self.schema())))
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut streams = vec![];
        for input in &self.inputs {
            for partition in 0..input.output_partitioning().partition_count() {
                streams.push(input.execute(partition, Arc::clone(&context))?);
            }
        }
        // Branches may differ in nullability and metadata; the union's schema is the widest of them.
        let schema = self.schema();
        let rows = futures::stream::iter(streams).flatten();
        let rows = rows.and_then(move |batch| {
            let schema = Arc::clone(&schema);
            async move {
                // Rows are counted where nobody reads a column of them.
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let columns = batch.columns().to_vec();
                Ok(RecordBatch::try_new_with_options(
                    schema, columns, &options,
                )?)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Gathers every union with a branch that cannot be narrowed. For plans without exchanges yet.
///
/// # Errors
/// A union's branches do not fit, which its own construction would have refused.
pub(crate) fn gather_unions(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(union) = node.downcast_ref::<UnionExec>() else {
            return Ok(Transformed::no(node));
        };
        if !union.inputs().iter().any(cannot_be_narrowed) {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(
            Arc::new(GatherExec::try_new(union.inputs().clone())?) as Arc<dyn ExecutionPlan>,
        ))
    })
    .data()
}

/// Whether the plan has partitions even when its leaves are narrowed to none: some node collects its input.
fn cannot_be_narrowed(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>() {
        return true;
    }
    let children = plan.children();
    let required = plan.input_distribution_requirements();
    let collected: Vec<bool> = required
        .per_child_distributions()
        .map(|d| matches!(d, Distribution::SinglePartition))
        .collect();
    if !children.is_empty() && collected.len() == children.len() && collected.iter().all(|c| *c) {
        return true;
    }
    children
        .iter()
        .zip(collected.iter().chain(std::iter::repeat(&false)))
        .any(|(child, c)| !c && cannot_be_narrowed(child))
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn planned(sql: &str) -> String {
        let context = SessionContext::new();
        context
            .sql("CREATE TABLE t AS VALUES (1, 'a'), (2, 'b')")
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let plan = context
            .sql(sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap();
        displayable(gather_unions(plan).unwrap().as_ref())
            .indent(false)
            .to_string()
    }

    #[tokio::test]
    async fn a_union_of_totals_is_gathered() {
        let plan = planned(
            "SELECT MAX(column1) FROM t UNION ALL SELECT MIN(column1) FROM t WHERE column1 > 1",
        )
        .await;
        assert!(
            plan.contains("GatherExec") && !plan.contains("UnionExec"),
            "{plan}"
        );
    }

    #[tokio::test]
    async fn a_union_of_rows_stays_a_union() {
        let plan = planned("SELECT column1 FROM t UNION ALL SELECT column1 + 1 FROM t").await;
        assert!(
            plan.contains("UnionExec") && !plan.contains("GatherExec"),
            "{plan}"
        );
    }

    #[tokio::test]
    async fn a_gathered_union_gives_each_row_once() {
        let context = SessionContext::new();
        let sql = "SELECT MAX(a) AS n FROM (VALUES (1), (2)) t(a) UNION ALL SELECT COUNT(a) FROM (VALUES (7)) t(a)";
        let plan = context
            .sql(sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap();
        let plan = gather_unions(plan).unwrap();
        let batches = datafusion::physical_plan::collect(plan, context.task_ctx())
            .await
            .unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    }
}
