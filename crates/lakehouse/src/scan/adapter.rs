//! Rewrites expressions on a table's columns to ones on a file's.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use iceberg::spec::NestedFieldRef;

use super::columns::{self, Names, Step, TableColumns, Unreadable};
use super::reshape::{Origin, Reshape};
use retail_values::has_float;

/// What the manifest has of a file's columns and the file has not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileColumns {
    /// Path in the object store, as the scan's files name it.
    pub(crate) path: String,
    /// Values of identity partition fields, by the id of the column, where the column may not be in the file.
    pub(crate) constants: Vec<(i32, ScalarValue)>,
}

/// Makes adapters from a table's columns to those of one file, by the rules of [`columns`].
///
/// A column of the file whose id the table does not know is hidden, so that a new column of an old name never
/// shows a dropped one's values.
#[derive(Debug)]
pub(super) struct FieldIds {
    table: Arc<TableColumns>,
    file: FileColumns,
    /// Files of the scan have constants, and it is not known which file this is.
    lacks_constants: bool,
}

impl FieldIds {
    pub(super) fn new(table: Arc<TableColumns>, file: FileColumns) -> Self {
        Self {
            table,
            file,
            lacks_constants: false,
        }
    }

    /// For a scan without a [`super::FieldIdScanExec`]: it knows the table, not the file. Where that is not enough, nothing
    /// can be read.
    pub(super) fn of_table(table: Arc<TableColumns>, has_constants: bool) -> Self {
        let file = FileColumns {
            path: format!("of {}", table.table),
            constants: vec![],
        };
        Self {
            table,
            file,
            lacks_constants: has_constants,
        }
    }
}

impl PhysicalExprAdapterFactory for FieldIds {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        if self.lacks_constants {
            return Err(DataFusionError::Internal(format!(
                "a scan of {} whose files need their partition's values is run without its FieldIdScanExec",
                self.table.table
            )));
        }
        let adapter = Adapter {
            columns: Arc::clone(&self.table),
            wanted: table,
            found: HashMap::new(),
            file_columns: self.file.clone(),
            file,
        };
        let names = Names::of(self.table.mapping.as_ref());
        let fields = adapter.file.fields();
        if self.table.mapping.is_none() && !fields.is_empty() && !columns::has_ids(fields) {
            let reason = "the file's columns have no field ids and the table has no name mapping; set the table's \
                          property schema.name-mapping.default, as PyIceberg's and Spark's add_files do";
            return Err(adapter.origin("*").unreadable(reason));
        }
        let found = columns::by_id(fields, &names);
        let found = found.map_err(|e| adapter.unreadable(e))?;
        Ok(Arc::new(Adapter { found, ..adapter }))
    }
}

#[derive(Debug)]
struct Adapter {
    columns: Arc<TableColumns>,
    /// The table's columns as arrow's.
    wanted: SchemaRef,
    file: SchemaRef,
    /// Positions of the file's columns by field id.
    found: HashMap<i32, usize>,
    file_columns: FileColumns,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        // Children first, so that the columns of the file that come out are not taken for the table's again.
        let rewritten = expr.transform_up(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            Ok(Transformed::yes(self.column(column.name())?))
        });
        rewritten.data()
    }
}

impl Adapter {
    /// The expression on the file for a column of the table.
    fn column(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = self.wanted.field_with_name(name)?;
        let Some(field) = self.columns.schema.as_struct().field_by_name(name) else {
            // What the reader adds, such as a row's number, is in both schemas and no column of the table.
            return Ok(Arc::new(Column::new_with_schema(name, &self.file)?));
        };
        let Some(position) = self.found.get(&field.id) else {
            let value = self.value_of_missing(field, wanted)?;
            let metadata = Some(FieldMetadata::from(wanted));
            return Ok(Arc::new(Literal::new_with_metadata(value, metadata)));
        };
        let have = self.file.field(*position);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(have.name(), *position));
        let names = Names::of(self.columns.mapping.as_ref());
        let (wanted_type, constants) = (wanted.data_type(), &self.file_columns.constants);
        let step = columns::step(field, wanted_type, have.data_type(), &names, constants);
        let step = step.map_err(|e| self.unreadable(e))?;
        Ok(match step {
            Step::Same if !has_float(wanted.data_type()) => column,
            Step::Cast(_) if keeps_order(wanted.data_type(), have.data_type()) => {
                let target: FieldRef = Arc::new(wanted.clone());
                Arc::new(CastExpr::new_with_target_field(column, target, None))
            }
            // Of floats too: they become canonical, and Parquet's bounds leave out NaN, which is above all numbers.
            step => Arc::new(Reshape::new(
                column,
                step,
                Arc::new(wanted.clone()),
                self.origin(name),
            )),
        })
    }

    fn value_of_missing(&self, field: &NestedFieldRef, wanted: &Field) -> Result<ScalarValue> {
        let constants = &self.file_columns.constants;
        columns::missing(field, wanted.data_type(), constants).map_err(|e| self.unreadable(e))
    }

    fn origin(&self, column: &str) -> Origin {
        Origin {
            table: self.columns.table.clone(),
            column: column.to_owned(),
            file: self.file_columns.path.clone(),
        }
    }

    fn unreadable(&self, error: Unreadable) -> DataFusionError {
        self.origin(&error.column).unreadable(error.reason)
    }
}

/// Casts through which a comparison may be moved to the file's column, for leaving out row groups.
fn keeps_order(wanted: &DataType, have: &DataType) -> bool {
    match (wanted, have) {
        (_, DataType::Dictionary(..)) => false,
        (DataType::Int32 | DataType::Int64 | DataType::Decimal128(..), _) => true,
        (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View) => true,
        // Two names of UTC. Of other units a literal would be rounded.
        (DataType::Timestamp(unit, _), DataType::Timestamp(other, _)) => unit == other,
        _ => false,
    }
}
