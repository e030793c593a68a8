//! One snapshot of a table as a DataFusion table.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DfResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use iceberg::spec::{DataFileFormat, ManifestContentType, ManifestEntryRef};
use object_store::path::Path;
use tracing::debug;

use super::adapter::FieldIds;
use super::deletes::{self, Deletes};
use super::marker::DeadRows;
use super::prune::{FileMetrics, scalar};
use crate::error::{LakehouseError, Result};
use crate::stores::{ObjectStores, locate};
use crate::table::LakeTable;

/// Guess for a text's width in a batch, in bytes.
const TEXT_WIDTH: usize = 24;

/// The living files of a snapshot.
#[derive(Debug)]
pub(super) struct SnapshotScan {
    table: LakeTable,
    schema: SchemaRef,
    /// In the order of their paths, so that a plan over the same snapshot is the same plan.
    files: Vec<ManifestEntryRef>,
    deletes: Deletes,
}

impl SnapshotScan {
    /// Reads the manifests, not the files.
    pub(super) async fn open(table: &LakeTable, stores: &ObjectStores) -> Result<Self> {
        let deletes = deletes::read(table, stores).await?;
        let mut files = vec![];
        if let Some(snapshot) = table.metadata().current_snapshot() {
            let unreadable = || LakehouseError::metadata(table.name(), "read the manifests");
            let list = table
                .iceberg()
                .manifest_list_reader(snapshot)
                .load()
                .await
                .map_err(unreadable())?;
            for manifest in list
                .entries()
                .iter()
                .filter(|m| m.content == ManifestContentType::Data)
            {
                let manifest = manifest
                    .load_manifest(table.iceberg().file_io())
                    .await
                    .map_err(unreadable())?;
                files.extend(manifest.entries().iter().filter(|e| e.is_alive()).cloned());
            }
        }
        if let Some(other) = files
            .iter()
            .find(|e| e.data_file().file_format() != DataFileFormat::Parquet)
        {
            let feature = format!("a data file that is not Parquet ({})", other.file_path());
            return Err(LakehouseError::UnsupportedTable {
                table: table.name().clone(),
                feature,
            });
        }
        files.sort_by(|a, b| a.file_path().cmp(b.file_path()));
        Ok(Self {
            table: table.clone(),
            schema: table.arrow_schema(),
            files,
            deletes,
        })
    }

    /// The files that may hold a row for which the filters are true.
    fn matching(
        &self,
        session: &dyn Session,
        filters: &[Expr],
    ) -> DfResult<Vec<&ManifestEntryRef>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(self.files.iter().collect());
        };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        let filter = session.create_physical_expr(filter, &schema)?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(filter)?;
        let metrics = FileMetrics {
            files: self.files.iter().map(|e| e.data_file()).collect(),
            schema: self.table.metadata().current_schema(),
            arrow: Arc::clone(&self.schema),
        };
        let keep = predicate.prune(&metrics)?;
        let kept: Vec<_> = self
            .files
            .iter()
            .zip(keep)
            .filter_map(|(file, keep)| keep.then_some(file))
            .collect();
        debug!(table = %self.table.name(), kept = kept.len(), files = self.files.len(), "files pruned");
        Ok(kept)
    }

    fn statistics(&self, entry: &ManifestEntryRef, exact: bool) -> Statistics {
        let file = entry.data_file();
        let schema = self.table.metadata().current_schema();
        let rows = file.record_count() as usize;
        let mut width = 0;
        let columns = self.schema.fields().iter().map(|column| {
            width += column.data_type().primitive_width().unwrap_or(TEXT_WIDTH);
            let Some(id) = schema.field_by_name(column.name()).map(|f| f.id) else {
                return ColumnStatistics::new_unknown();
            };
            let bound = |bound: Option<&iceberg::spec::Datum>| {
                let value = bound
                    .filter(|_| !column.data_type().is_floating())
                    .and_then(|b| scalar(b, column.data_type()));
                // Text bounds may be shortened; they order files, they do not answer queries.
                value.map_or(Precision::Absent, Precision::Inexact)
            };
            let nulls = file.null_value_counts().get(&id).map(|n| *n as usize);
            let mut statistics = ColumnStatistics::new_unknown();
            statistics.null_count = nulls.map_or(Precision::Absent, Precision::Exact);
            statistics.min_value = bound(file.lower_bounds().get(&id));
            statistics.max_value = bound(file.upper_bounds().get(&id));
            statistics
        });
        let column_statistics = columns.collect();
        let statistics = Statistics {
            num_rows: Precision::Exact(rows),
            total_byte_size: Precision::Inexact(rows * width.max(1)),
            column_statistics,
        };
        if exact {
            statistics
        } else {
            statistics.to_inexact()
        }
    }

    fn partitioned(&self, entry: &ManifestEntryRef) -> Result<(ObjectStoreUrl, PartitionedFile)> {
        let file = entry.data_file();
        let (url, path) = locate(file.file_path())?;
        let sequence = entry.sequence_number().unwrap_or(0);
        let positions =
            deletes::dead_rows(&self.deletes, &deletes::place(file.file_path())?, sequence);
        let statistics = Arc::new(self.statistics(entry, positions.is_empty()));
        let mut partitioned = PartitionedFile::new(String::new(), file.file_size_in_bytes())
            .with_statistics(statistics);
        partitioned.object_meta.location = path.clone();
        if !positions.is_empty() {
            let living = deletes::living(file.record_count(), &positions);
            partitioned = partitioned
                .with_extension(ParquetRowSelection::new(living))
                .with_extension(dead_rows(path, file.record_count(), positions));
        }
        Ok((url, partitioned))
    }
}

fn dead_rows(path: Path, rows: u64, positions: Vec<u64>) -> DeadRows {
    DeadRows {
        path: path.to_string(),
        rows,
        positions,
    }
}

#[async_trait]
impl TableProvider for SnapshotScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let rows: u64 = self
            .files
            .iter()
            .map(|e| e.data_file().record_count())
            .sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = if self.deletes.is_empty() {
            Precision::Exact(rows as usize)
        } else {
            Precision::Inexact(rows as usize)
        };
        Some(statistics)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut store = None;
        let mut files = vec![];
        for entry in self.matching(session, filters)? {
            let (url, file) = self.partitioned(entry)?;
            if *store.get_or_insert_with(|| url.clone()) != url {
                let feature = "files in more than one bucket".to_owned();
                return Err(LakehouseError::UnsupportedTable {
                    table: self.table.name().clone(),
                    feature,
                }
                .into());
            }
            files.push(file);
        }
        let Some(store) = store else {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        let mut source = ParquetSource::new(Arc::clone(&self.schema));
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
            source = source.with_predicate(session.create_physical_expr(filter, &schema)?);
        }
        let groups = balanced(files, session.config().target_partitions());
        // Without the sum over all files the planner knows nothing about the table.
        let (groups, statistics) = summed(groups, &self.schema)?;
        let config = FileScanConfigBuilder::new(store, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(projection.cloned())?
            .with_expr_adapter(Some(Arc::new(FieldIds)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Adds up the statistics of the files, for each group and for all.
fn summed(groups: Vec<FileGroup>, schema: &SchemaRef) -> DfResult<(Vec<FileGroup>, Statistics)> {
    let files = groups
        .iter()
        .flat_map(FileGroup::iter)
        .filter_map(|file| file.statistics.as_deref());
    let all = Statistics::try_merge_iter(files, schema)?;
    let groups = groups.into_iter().map(|group| {
        let files = group.iter().filter_map(|file| file.statistics.as_deref());
        let sum = Statistics::try_merge_iter(files, schema)?;
        Ok(group.with_statistics(Arc::new(sum)))
    });
    Ok((groups.collect::<DfResult<_>>()?, all))
}

/// At most `groups` groups of about equal bytes: each file, largest first, to the group that has least.
fn balanced(mut files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    files.sort_by(|a, b| {
        b.object_meta
            .size
            .cmp(&a.object_meta.size)
            .then_with(|| a.object_meta.location.cmp(&b.object_meta.location))
    });
    let count = groups.max(1).min(files.len());
    let mut sizes = vec![0u64; count];
    let mut grouped: Vec<Vec<PartitionedFile>> = vec![vec![]; count];
    for file in files {
        let smallest = (0..count).min_by_key(|i| sizes[*i]).unwrap_or(0);
        sizes[smallest] += file.object_meta.size;
        grouped[smallest].push(file);
    }
    grouped.into_iter().map(FileGroup::new).collect()
}
