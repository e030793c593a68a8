//! Finds a file's columns by field id.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::schema::FIELD_ID;

/// Makes adapters from a table's columns to a file's. Everything it needs is in the two schemas.
///
/// A column of the file whose id the table does not know is hidden, so that a new column of an old name never
/// shows a dropped one's values. A file without ids, which another engine wrote, is read by name.
#[derive(Debug)]
pub(super) struct FieldIds;

impl PhysicalExprAdapterFactory for FieldIds {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let fields = file.fields().iter().enumerate().map(|(position, field)| {
            let Some(id) = field.metadata().get(FIELD_ID) else {
                return Arc::clone(field);
            };
            let owner = table
                .fields()
                .iter()
                .find(|f| f.metadata().get(FIELD_ID) == Some(id));
            let name = owner.map_or_else(
                || format!("__no_longer_a_column_{position}"),
                |f| f.name().clone(),
            );
            Arc::new(field.as_ref().clone().with_name(name))
        });
        let renamed = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let by_name = DefaultPhysicalExprAdapterFactory.create(table, Arc::clone(&renamed))?;
        Ok(Arc::new(Adapter {
            by_name,
            renamed,
            file,
        }))
    }
}

#[derive(Debug)]
struct Adapter {
    by_name: Arc<dyn PhysicalExprAdapter>,
    /// The file's columns under the table's names.
    renamed: SchemaRef,
    file: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = self.by_name.rewrite(expr)?;
        let back = expr.transform(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            let position = self.renamed.index_of(column.name())?;
            let column = Column::new(self.file.field(position).name(), position);
            Ok(Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>))
        });
        back.data()
    }
}
