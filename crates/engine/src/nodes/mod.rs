//! The engine's own plan nodes, and how each gets into a plan.

pub(crate) mod filter_barrier;
pub(crate) mod gather;
pub(crate) mod idle;
pub(crate) mod one_task;
pub(crate) mod planned_join;
pub(crate) mod unclaimed;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};

/// A node over other inputs.
pub(crate) fn over(
    node: Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.replace_children(inputs, recompute)
}
