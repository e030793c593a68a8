//! A table over exactly these files.
//!
//! ```text
//! UnionExec                          only if files differ in layout
//!   TextScanExec                     CSV and JSON: reads by our rules
//!     DataSourceExec                   only names the files
//!   CheckedCastExec                  Parquet, only if a column is renamed, may not fit or holds floats
//!     DataSourceExec                   files in as many groups as there are partitions
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::CsvOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{CsvSource, FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::checked_cast::{CastColumn, CheckedCastExec};
use crate::text_scan::{TextScan, TextScanExec};
use futures::FutureExt;
use futures::future::BoxFuture;
use retail_values::has_float;

/// The files of a source as one table.
pub(super) struct FilesTable {
    pub schema: SchemaRef,
    pub url: ObjectStoreUrl,
    /// Columns that the paths say (`day=2`).
    pub path_columns: Vec<FieldRef>,
    pub groups: Vec<Layout>,
}

/// Files that are read the same way.
pub(super) enum Layout {
    Text(TextLayout),
    Parquet(ParquetLayout),
}

impl Layout {
    fn files(&self) -> &[PartitionedFile] {
        match self {
            Layout::Text(text) => &text.files,
            Layout::Parquet(parquet) => &parquet.files,
        }
    }
}

/// CSV or JSON files with the same columns in the same order.
pub(super) struct TextLayout {
    /// With all columns of the table.
    pub read: TextScan,
    pub files: Vec<PartitionedFile>,
}

/// Parquet files with the same columns of the same types.
pub(super) struct ParquetLayout {
    pub format: Arc<dyn FileFormat>,
    /// The columns as the files are read.
    pub file_schema: SchemaRef,
    /// For each column of the table, what becomes of those of the files (and of the path, which follow them).
    pub columns: Vec<CastColumn>,
    /// Row groups may be left out by their bounds.
    pub prunes: bool,
    pub files: Vec<PartitionedFile>,
}

impl fmt::Debug for FilesTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.groups.iter().map(|g| g.files().len()).sum();
        write!(f, "FilesTable({files} files at {})", self.url.as_str())
    }
}

// Boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
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

    fn scan<'table, 'session, 'columns, 'filters, 'all>(
        &'table self,
        session: &'session dyn Session,
        projection: Option<&'columns Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'all, Result<Arc<dyn ExecutionPlan>>>
    where
        'table: 'all,
        'session: 'all,
        'columns: 'all,
        'filters: 'all,
        Self: 'all,
    {
        let wanted = projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        self.scan_columns(session, wanted, limit.filter(|_| filters.is_empty()))
    }
}

impl FilesTable {
    /// Every file, as a person writes its path.
    pub(super) fn files(&self) -> BTreeSet<String> {
        let root = match self.url.as_str() {
            url if url.starts_with("file:") => "/",
            url => url,
        };
        let files = self.groups.iter().flat_map(Layout::files);
        files
            .map(|file| format!("{root}{}", file.object_meta.location))
            .collect()
    }

    /// Reads the columns `wanted` of all groups of files.
    fn scan_columns<'a>(
        &'a self,
        state: &'a dyn Session,
        wanted: Vec<usize>,
        limit: Option<usize>,
    ) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
        async move {
            let mut plans = vec![];
            for layout in &self.groups {
                plans.push(match layout {
                    Layout::Text(text) => self.scan_text(text, state, &wanted, limit)?,
                    Layout::Parquet(parquet) => {
                        self.scan_parquet(parquet, state, &wanted, limit).await?
                    }
                });
            }
            match plans.len() {
                // Files that hold neither a header nor a row.
                0 => {
                    let schema = self.schema.project(&wanted)?;
                    Ok(Arc::new(EmptyExec::new(Arc::new(schema))) as Arc<dyn ExecutionPlan>)
                }
                1 => Ok(plans.remove(0)),
                _ => UnionExec::try_new(plans),
            }
        }
        .boxed()
    }

    fn scan_text(
        &self,
        layout: &TextLayout,
        state: &dyn Session,
        wanted: &[usize],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // What is read of the files is said by the node above.
        let none = TableSchema::builder(Arc::new(Schema::empty()))
            .with_table_partition_cols(self.path_columns.clone())
            .build();
        let statistics = unknown(&layout.files, none.table_schema());
        let group = FileGroup::new(layout.files.clone());
        // The optimizer cuts big files into parts unless the stock scan refuses: those that are packed, or may have line
        // ends within values, are read from their start.
        let options = CsvOptions {
            newlines_in_values: Some(!layout.read.splits()),
            ..CsvOptions::default()
        };
        let source = Arc::new(CsvSource::new(none).with_csv_options(options));
        let config = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file_groups(group.split_files(state.config().target_partitions().max(1)))
            .with_statistics(statistics)
            .with_limit(limit)
            .build();
        let read = TextScan {
            columns: wanted
                .iter()
                .map(|index| layout.read.columns[*index].clone())
                .collect(),
            ..layout.read.clone()
        };
        let scan = DataSourceExec::from_data_source(config);
        Ok(Arc::new(TextScanExec::try_new(scan, Arc::new(read))?))
    }

    async fn scan_parquet(
        &self,
        layout: &ParquetLayout,
        state: &dyn Session,
        wanted: &[usize],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table_schema = TableSchema::builder(Arc::clone(&layout.file_schema))
            .with_table_partition_cols(self.path_columns.clone())
            .build();
        let mut columns: Vec<CastColumn> = wanted
            .iter()
            .map(|index| layout.columns[*index].clone())
            .collect();
        let mut read: Vec<usize> = vec![];
        for column in &mut columns {
            let Some(from) = column.from else { continue };
            let place = read.iter().position(|index| *index == from);
            column.from = Some(place.unwrap_or(read.len()));
            if place.is_none() {
                read.push(from);
            }
        }
        let statistics = statistics(&layout.files, table_schema.table_schema());
        let plain = columns.iter().zip(&read).all(|(column, index)| {
            let name = table_schema.table_schema().field(*index).name();
            !column.checked && column.name == *name && !has_float(&column.rule.data_type)
        });
        let group = FileGroup::new(layout.files.clone());
        let source = layout.format.file_source(table_schema);
        let config = FileScanConfigBuilder::new(self.url.clone(), source)
            .with_file_groups(group.split_files(state.config().target_partitions().max(1)))
            .with_statistics(statistics)
            .with_projection_indices(Some(read))?
            .with_limit(limit)
            .build();
        let scan = layout.format.create_physical_plan(state, config).await?;
        match plain {
            true => Ok(scan),
            false => Ok(Arc::new(CheckedCastExec::try_new(scan, Arc::new(columns))?)),
        }
    }
}

/// Rows and sizes as far as the files say without being read: joins are planned with them.
fn statistics(files: &[PartitionedFile], schema: &SchemaRef) -> Statistics {
    let known: Option<Vec<&Statistics>> = files.iter().map(|f| f.statistics.as_deref()).collect();
    if let Some(known) = known.filter(|k| !k.is_empty())
        && let Ok(merged) = Statistics::try_merge_iter(known, schema)
    {
        return merged;
    }
    unknown(files, schema)
}

fn unknown(files: &[PartitionedFile], schema: &SchemaRef) -> Statistics {
    let bytes: u64 = files.iter().map(|f| f.object_meta.size).sum();
    let mut unknown = Statistics::new_unknown(schema);
    unknown.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    unknown
}
