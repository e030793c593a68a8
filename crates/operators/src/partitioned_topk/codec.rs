//! The node as it travels from the scheduler to executors.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use retail_proto::v1;

use super::exec::HashTopKExec;
use super::spec::{Mode, OrderColumn, Spec};

/// The message of a `HashTopKExec`; `None` for any other node. Its child travels beside it.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> Option<v1::PartitionedTopK> {
    let node = node.downcast_ref::<HashTopKExec>()?;
    let spec = node.spec();
    let sort_column = |order: &OrderColumn| v1::SortColumn {
        column: order.column as u32,
        descending: order.options.descending,
        nulls_first: order.options.nulls_first,
    };
    Some(v1::PartitionedTopK {
        keys: spec.keys.iter().map(|key| *key as u32).collect(),
        order_by: spec.order_by.iter().map(sort_column).collect(),
        limit: spec.limit as u64,
        partial: node.mode() == Mode::Partial,
    })
}

/// The node of a message, over `input`.
///
/// # Errors
/// The message does not fit the input, see `Spec::check`.
pub fn decode(
    message: &v1::PartitionedTopK,
    input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let order_column = |sort: &v1::SortColumn| OrderColumn {
        column: sort.column as usize,
        options: SortOptions {
            descending: sort.descending,
            nulls_first: sort.nulls_first,
        },
    };
    let spec = Spec {
        keys: message.keys.iter().map(|key| *key as usize).collect(),
        order_by: message.order_by.iter().map(order_column).collect(),
        limit: usize::try_from(message.limit).unwrap_or(usize::MAX),
    };
    let mode = if message.partial {
        Mode::Partial
    } else {
        Mode::Final
    };
    Ok(Arc::new(HashTopKExec::try_new(input, spec, mode)?))
}
