//! Reads tables: which files, which of their columns, and the scan that survives the plan codec.
//!
//! ```text
//!   FieldIdScanExec            restores on the executor what the wire drops
//!     └─ DataSourceExec        DataFusion's own leaf, which Ballista narrows to a task's partitions
//!          └─ ParquetSource    columns found by field id, rows of position deletes left out
//! ```

mod adapter;
mod deletes;
mod marker;
mod provider;
mod prune;

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use crate::error::Result;
use crate::stores::ObjectStores;
use crate::table::LakeTable;

pub use marker::scan_rule;
pub(crate) use marker::{DeadRows, FieldIdScanExec};

/// The table's current snapshot as DataFusion reads it.
pub(crate) async fn provider(
    table: &LakeTable,
    stores: &ObjectStores,
) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(provider::SnapshotScan::open(table, stores).await?))
}
