//! Task plans as executors decode them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;

use crate::nodes::idle::IdleExec;
use crate::panics::catch_panic;

/// A task's plan on the wire: DataFusion's encoding, with what would panic taken out when it is decoded.
///
/// Ballista narrows a plan to a task's partitions. Of a union that leaves branches without any partition, and a
/// sort in such a branch panics where its state is reset (DataFusion 55 sets up a filter for zero partitions).
/// An idle node stands in for it. The branch itself stays, because the scheduler compares the metrics of
/// a task with those of its stage node by node.
#[derive(Debug, Clone)]
pub struct TaskPlan(PhysicalPlanNode);

impl AsExecutionPlan for TaskPlan {
    fn try_decode(buf: &[u8]) -> Result<Self> {
        PhysicalPlanNode::try_decode(buf).map(Self)
    }

    fn try_encode<B: bytes::BufMut>(&self, buf: &mut B) -> Result<()> {
        self.0.try_encode(buf)
    }

    fn try_into_physical_plan(
        &self,
        ctx: &TaskContext,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        catch_panic("a task cannot be decoded", || {
            without_idle_sorts(self.0.try_into_physical_plan(ctx, codec)?)
        })
    }

    fn try_from_physical_plan(
        plan: Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<Self> {
        PhysicalPlanNode::try_from_physical_plan(plan, codec).map(Self)
    }
}

fn without_idle_sorts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(sort) = node
            .downcast_ref::<SortExec>()
            .filter(|_| partitions(&node) == 0)
        else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(IdleExec::new(Arc::clone(
            sort.input(),
        )))))
    })
    .data()
}

fn partitions(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::PhysicalSortExpr;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::union::UnionExec;

    use super::*;

    #[test]
    fn a_sort_without_partitions_is_gone_before_its_state_is_reset() {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let leaf = |partitions: usize| {
            MemorySourceConfig::try_new_exec(&vec![vec![]; partitions], Arc::clone(&schema), None)
                .unwrap()
        };
        let order = PhysicalSortExpr::new_default(col("id", &schema).unwrap());
        let sorted = SortExec::new([order].into(), leaf(0)).with_preserve_partitioning(true);
        let plan = UnionExec::try_new(vec![Arc::new(sorted) as _, leaf(2)]).unwrap();

        let plan = without_idle_sorts(plan).unwrap();

        assert_eq!(partitions(&plan), 2);
        let branch = Arc::clone(plan.children()[0]);
        assert!(
            branch.metrics().is_some(),
            "the stage expects metrics of every node"
        );
        branch.reset_state().unwrap();
    }
}
