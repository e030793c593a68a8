//! Writes rows as data files: a logical node, the operator that executors run, and what it returns.
//!
//! ```text
//!   WriteNode                      rows of one table in, one row per data file out
//!     └─ Projection                columns in the table's order and types
//!          └─ the model's query
//! ```

mod exec;
mod metrics;
mod node;
mod result;
mod target;
mod writer;

pub(crate) use exec::TableWriteExec;
pub use exec::WritePlanner;
pub use node::write_plan;
pub use result::{DataFiles, data_files, write_result_schema};
pub(crate) use target::WriteSpec;
pub use target::WriteTarget;

/// Whether a node writes the rows of its one input as a table's data files.
pub fn is_table_write(node: &std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> bool {
    node.is::<TableWriteExec>()
}
