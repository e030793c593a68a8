//! A table over exactly these files, scanned by DataFusion's own nodes, which every executor knows.
//!
//! ```text
//! UnionExec                          only if files differ in layout
//!   ProjectionExec                   only if columns are put in order, missing or have null texts
//!     PackedScanExec                 only over gzip and zstd
//!       DataSourceExec               CSV, JSON or Parquet; files in as many groups as there are partitions
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CaseExpr, CastExpr, Column, Literal, in_list};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use retail_engine::packed::PackedScanExec;

/// The files of a source as one table.
pub struct FilesTable {
    pub schema: SchemaRef,
    pub url: ObjectStoreUrl,
    /// Columns that the paths say (`day=2`).
    pub path_columns: Vec<FieldRef>,
    pub groups: Vec<Layout>,
}

/// Files that are read the same way.
pub struct Layout {
    pub format: Arc<dyn FileFormat>,
    /// The columns as they stand in the files.
    pub file_schema: SchemaRef,
    pub files: Vec<PartitionedFile>,
    /// For each column of the table, how it comes about.
    pub columns: Vec<From>,
    /// gzip or zstd around CSV or JSON.
    pub packed: bool,
}

/// Where a column of the table comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// Column of the files, or after those one of the path columns.
    Index(usize),
    /// Column of the files, read as text: null if it is one of these texts, else cast to the table's type.
    Text { index: usize, nulls: Vec<String> },
    /// No file of this layout has it: null.
    Missing,
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.groups.iter().map(|g| g.files.len()).sum();
        write!(f, "FilesTable({files} files at {})", self.url.as_str())
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Row groups of Parquet are left out by filters when the physical plan is optimised; the filter stays above.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> = projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let limit = limit.filter(|_| filters.is_empty());
        let mut plans = vec![];
        for layout in &self.groups {
            plans.push(self.scan_layout(layout, state, &wanted, limit).await?);
        }
        match plans.len() {
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

impl FilesTable {
    /// Every file, as a person writes its path.
    pub fn files(&self) -> BTreeSet<String> {
        let root = match self.url.as_str() {
            url if url.starts_with("file:") => "/",
            url => url,
        };
        let files = self.groups.iter().flat_map(|layout| &layout.files);
        files
            .map(|file| format!("{root}{}", file.object_meta.location))
            .collect()
    }

    async fn scan_layout(
        &self,
        layout: &Layout,
        state: &dyn Session,
        wanted: &[usize],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table_schema = TableSchema::builder(Arc::clone(&layout.file_schema))
            .with_table_partition_cols(self.path_columns.clone())
            .build();
        let mut read: Vec<usize> = vec![];
        for from in wanted.iter().map(|i| &layout.columns[*i]) {
            if let From::Index(index) | From::Text { index, .. } = from
                && !read.contains(index)
            {
                read.push(*index);
            }
        }
        let group = FileGroup::new(layout.files.clone());
        let statistics = statistics(layout, table_schema.table_schema());
        let source = layout.format.file_source(table_schema);
        let config = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file_groups(group.split_files(state.config().target_partitions().max(1)))
            .with_statistics(statistics)
            .with_projection_indices(Some(read.clone()))?
            .with_limit(limit)
            .build();
        let mut scan = layout.format.create_physical_plan(state, config).await?;
        if layout.packed {
            scan = Arc::new(PackedScanExec::new(scan));
        }
        self.in_order(layout, wanted, &read, scan)
    }

    /// Puts the columns that were read in the table's order and adds those that are not in the files.
    fn in_order(
        &self,
        layout: &Layout,
        wanted: &[usize],
        read: &[usize],
        scan: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plain: Vec<Option<usize>> = wanted
            .iter()
            .map(|i| match &layout.columns[*i] {
                From::Index(index) => Some(*index),
                _ => None,
            })
            .collect();
        if plain.iter().copied().eq(read.iter().map(|i| Some(*i))) {
            return Ok(scan);
        }
        let schema = scan.schema();
        let column = |index: usize| -> Arc<dyn PhysicalExpr> {
            let position = read.iter().position(|i| *i == index).unwrap_or_default();
            Arc::new(Column::new(schema.field(position).name(), position))
        };
        let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = vec![];
        for target in wanted {
            let field = self.schema.field(*target);
            let from: Arc<dyn PhysicalExpr> = match &layout.columns[*target] {
                From::Index(index) => column(*index),
                From::Missing => Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?)),
                From::Text { index, nulls } => {
                    without(column(*index), nulls, field.data_type(), &schema)?
                }
            };
            columns.push((from, field.name().clone()));
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}

/// `CASE WHEN column IN (nulls) THEN NULL ELSE CAST(column) END`.
fn without(
    column: Arc<dyn PhysicalExpr>,
    nulls: &[String],
    target: &DataType,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>> {
    let text = column.data_type(schema)?;
    let list = nulls
        .iter()
        .map(|n| {
            let value = ScalarValue::Utf8(Some(n.clone())).cast_to(&text)?;
            Ok(Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>)
        })
        .collect::<Result<Vec<_>>>()?;
    let is_null = in_list(Arc::clone(&column), list, &false, schema)?;
    let value: Arc<dyn PhysicalExpr> = match text == *target {
        true => column,
        false => Arc::new(CastExpr::new(column, target.clone(), None)),
    };
    let null: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::try_from(target)?));
    Ok(Arc::new(CaseExpr::try_new(
        None,
        vec![(is_null, null)],
        Some(value),
    )?))
}

/// Rows and sizes as far as the files say without being read: joins are planned with them.
fn statistics(layout: &Layout, schema: &SchemaRef) -> Statistics {
    let known: Option<Vec<&Statistics>> = layout
        .files
        .iter()
        .map(|f| f.statistics.as_deref())
        .collect();
    if let Some(known) = known.filter(|k| !k.is_empty())
        && let Ok(merged) = Statistics::try_merge_iter(known, schema)
    {
        return merged;
    }
    let bytes: u64 = layout.files.iter().map(|f| f.object_meta.size).sum();
    let mut unknown = Statistics::new_unknown(schema);
    unknown.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    unknown
}
