//! Reads tables: planning of files and the scan that survives the plan codec.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use crate::error::{LakehouseError, Result};
use crate::stores::ObjectStores;
use crate::table::LakeTable;

/// The table's current snapshot as DataFusion reads it.
pub(crate) async fn provider(
    table: &LakeTable,
    _stores: &ObjectStores,
) -> Result<Arc<dyn TableProvider>> {
    Err(LakehouseError::UnsupportedTable {
        table: table.name().clone(),
        feature: "reading".to_owned(),
    })
}
