//! Arrow types to Iceberg types and back.

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::spec::Schema;

use crate::error::{LakehouseError, Result};
use crate::name::TableName;

/// The columns of an Iceberg schema as arrow, each with its field id.
pub(crate) fn arrow_schema(_schema: &Schema) -> Result<SchemaRef> {
    Err(not_yet())
}

/// Columns as an Iceberg schema of something new: field ids from 1, breadth first.
pub(crate) fn new_schema(_table: &TableName, _columns: &SchemaRef) -> Result<Schema> {
    Err(not_yet())
}

fn not_yet() -> LakehouseError {
    LakehouseError::PlanCodec {
        doing: "map",
        reason: "not written yet".to_owned(),
    }
}
