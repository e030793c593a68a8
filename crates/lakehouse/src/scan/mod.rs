//! Reads tables: which files, which of their columns, and the scan that survives the plan codec.
//!
//! ```text
//!   FieldIdScanExec            restores on the executor what the wire drops; gives each file its adapter (source.rs)
//!     └─ DataSourceExec        DataFusion's own leaf, which Ballista narrows to a task's partitions
//!          └─ ParquetSource    columns found by field id (columns.rs decides, adapter.rs and reshape.rs do),
//!                              deleted rows left out
//! ```
//!
//! What is done with each rule of Iceberg's specification is a table in docs/iceberg.md.

mod adapter;
mod columns;
mod damage;
mod deletes;
mod field_id_scan;
mod footer;
mod provider;
mod prune;
mod reshape;
mod snapshot;
mod source;
mod values;

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use crate::error::Result;
use crate::lakehouse::Lakehouse;
use crate::table::LakeTable;

pub(crate) use adapter::FileColumns;
pub(crate) use columns::TableColumns;
pub use damage::DAMAGED_FILE;
pub use field_id_scan::scan_rule;
pub(crate) use field_id_scan::{DeletedRows, FieldIdScanExec, ScanFacts};

impl Lakehouse {
    /// The current snapshot of `table` as DataFusion reads it. Reads its manifests and delete files, not its rows.
    ///
    /// # Errors
    /// A manifest or a delete file cannot be read, or the table has something that would be read wrongly.
    pub async fn scan(&self, table: &LakeTable) -> Result<Arc<dyn TableProvider>> {
        let scan = provider::SnapshotScan::open(table, self.stores()).await?;
        Ok(Arc::new(scan))
    }
}
