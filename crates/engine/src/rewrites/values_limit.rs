//! Limits of rows that are written in a statement.
//!
//! DataFusion keeps the limit in the source of the rows: `DataSourceExec: …, fetch=1`. Ballista gives a task its partitions of
//! such rows without it (`select_output_partitions` in its task builder), so `values (1), (2) limit 1` was two rows. Here the
//! limit becomes a node above the rows.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::LocalLimitExec;

/// The plan with a node for each such limit.
///
/// # Errors
/// A node cannot be built again.
pub(crate) fn limits_above_values(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(scan) = node.downcast_ref::<DataSourceExec>() else {
            return Ok(Transformed::no(node));
        };
        let source: &dyn Any = scan.data_source().as_ref();
        let Some((values, limit)) =
            source
                .downcast_ref::<MemorySourceConfig>()
                .and_then(|values| {
                    Some((values.clone().with_limit(None), scan.data_source().fetch()?))
                })
        else {
            return Ok(Transformed::no(node));
        };
        let values = DataSourceExec::from_data_source(values);
        Ok(Transformed::yes(
            Arc::new(LocalLimitExec::new(values, limit)) as _,
        ))
    })
    .data()
}
