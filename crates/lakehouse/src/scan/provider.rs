//! One snapshot of a table as a DataFusion table.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
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
use iceberg::spec::DEFAULT_SCHEMA_NAME_MAPPING;
use object_store::path::Path;
use tracing::debug;

use super::adapter::FieldIds;
use super::columns::TableColumns;
use super::deletes::{self, Deletes};
use super::field_id_scan::{DeletedRows, ScannedTable};
use super::prune::{FileMetrics, scalar};
use super::snapshot::{self, LiveFile};
use crate::error::{LakehouseError, Result};
use crate::table::LakeTable;
use crate::table::schema::{UTC, without_ids};
use futures::FutureExt;
use futures::future::BoxFuture;
use retail_storage::{ObjectStores, locate};

/// Guess for a text's width in a batch, in bytes.
const TEXT_WIDTH: usize = 24;

/// The live files of a snapshot.
#[derive(Debug)]
pub(super) struct SnapshotScan {
    table: LakeTable,
    schema: SchemaRef,
    columns: Arc<TableColumns>,
    files: Vec<LiveFile>,
    deletes: Deletes,
}

impl SnapshotScan {
    /// Reads the manifests and delete files, not the data files.
    pub(super) async fn open(table: &LakeTable, stores: &ObjectStores) -> Result<Self> {
        let live = snapshot::read(table).await?;
        let deletes = deletes::read(table, stores, &live.deletes).await?;
        let metadata = table.metadata();
        let mapping = metadata.properties().get(DEFAULT_SCHEMA_NAME_MAPPING);
        let mapping = mapping.map(|json| serde_json::from_str(json)).transpose();
        let mapping = mapping.map_err(|e| {
            let feature = format!("its {DEFAULT_SCHEMA_NAME_MAPPING}, which does not parse ({e}),");
            snapshot::unsupported(table, feature)
        })?;
        Ok(Self {
            table: table.clone(),
            schema: without_ids(&table.arrow_schema()),
            columns: Arc::new(TableColumns {
                table: table.name().clone(),
                schema: Arc::clone(metadata.current_schema()),
                mapping,
            }),
            files: live.files,
            deletes,
        })
    }

    /// The files that may hold a row for which the filters are true.
    fn matching(&self, session: &dyn Session, filters: &[Expr]) -> DfResult<Vec<&LiveFile>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(self.files.iter().collect());
        };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        let filter = session.create_physical_expr(filter, &schema)?;
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(filter)?;
        let metrics = FileMetrics {
            files: &self.files,
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

    /// What a file's columns hold. Bounds are never exact: text may be shortened, and rows be deleted.
    fn statistics(&self, live: &LiveFile, exact: bool) -> Statistics {
        let file = live.file();
        let schema = self.table.metadata().current_schema();
        let rows = file.record_count() as usize;
        let mut width = 0;
        let columns = self.schema.fields().iter().map(|column| {
            width += column.data_type().primitive_width().unwrap_or(TEXT_WIDTH);
            // What engines count in lists and structs differs.
            let field = schema.as_struct().field_by_name(column.name());
            let Some(id) = field.filter(|f| f.field_type.is_primitive()).map(|f| f.id) else {
                return ColumnStatistics::new_unknown();
            };
            let bound = |bound: Option<&iceberg::spec::Datum>| {
                let value = bound
                    .filter(|_| !column.data_type().is_floating())
                    .and_then(|b| scalar(b, column.data_type()));
                value.map_or(Precision::Absent, Precision::Inexact)
            };
            let nulls = file.null_value_counts().get(&id).map(|n| *n as usize);
            let mut statistics = ColumnStatistics::new_unknown();
            statistics.null_count = nulls.map_or(Precision::Absent, Precision::Exact);
            statistics.min_value = bound(file.lower_bounds().get(&id));
            statistics.max_value = bound(file.upper_bounds().get(&id));
            if let (Some(min), Some(max)) = (
                statistics.min_value.get_value(),
                statistics.max_value.get_value(),
            ) && min > max
            {
                // Whoever wrote them mixed them up: the planner takes them for an interval.
                (statistics.min_value, statistics.max_value) =
                    (Precision::Absent, Precision::Absent);
            }
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

    /// Refuses a query that reads a column which cannot be read.
    fn check_readable(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> Result<()> {
        let reads = |name: &str| {
            let position = self.schema.index_of(name).ok();
            let projected = match (projection, position) {
                (Some(columns), Some(position)) => columns.contains(&position),
                _ => true,
            };
            let mut filters = filters.iter().flat_map(Expr::column_refs);
            projected || filters.any(|column| column.name == name)
        };
        let mut unreadable = self.table.unreadable().columns.iter();
        match unreadable.find(|(name, _)| reads(name)) {
            None => Ok(()),
            Some((name, reason)) => {
                let feature = format!("column {name} ({reason}); leave it out of the query: it");
                Err(snapshot::unsupported(&self.table, feature))
            }
        }
    }

    fn partitioned(&self, live: &LiveFile) -> Result<(ObjectStoreUrl, PartitionedFile)> {
        let file = live.file();
        let (url, path) = locate(file.file_path())?;
        let (place, rows) = (deletes::place(file.file_path())?, file.record_count());
        let positions = deletes::deleted_rows(&self.deletes, &place, live.sequence, rows);
        let statistics = Arc::new(self.statistics(live, positions.is_empty()));
        let mut partitioned = PartitionedFile::new(String::new(), file.file_size_in_bytes())
            .with_statistics(statistics)
            .with_extension(ScannedTable(Arc::clone(&self.columns)));
        partitioned.object_meta.location = path.clone();
        if !live.columns.constants.is_empty() {
            partitioned = partitioned.with_extension(live.columns.clone());
        }
        if !positions.is_empty() {
            let live_rows = deletes::live_rows(rows, &positions);
            partitioned = partitioned
                .with_extension(ParquetRowSelection::new(live_rows))
                .with_extension(deleted_rows(path, rows, positions));
        }
        Ok((url, partitioned))
    }
}

fn deleted_rows(path: Path, rows: u64, positions: Vec<u64>) -> DeletedRows {
    DeletedRows {
        path: path.to_string(),
        rows,
        positions,
    }
}

impl SnapshotScan {
    fn plan_scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.check_readable(projection, filters)?;
        let mut store = None;
        let mut files = vec![];
        let mut has_constants = false;
        for live in self.matching(session, filters)? {
            has_constants |= !live.columns.constants.is_empty();
            let (url, file) = self.partitioned(live)?;
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
        let mut options = TableParquetOptions::default();
        // Spark's and Hive's old timestamps are instants, and some lie outside of what nanoseconds reach.
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some(UTC.to_owned());
        // Without a predicate: the optimizer brings it, from the filter that stands above.
        let source =
            ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(options);
        let groups = balanced(files, session.config().target_partitions());
        // Without the sum over all files the planner knows nothing about the table.
        let (groups, statistics) = summed(groups, &self.schema)?;
        let adapter = FieldIds::of_table(Arc::clone(&self.columns), has_constants);
        let config = FileScanConfigBuilder::new(store, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(projection.cloned())?
            .with_expr_adapter(Some(Arc::new(adapter)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn ready(
    scan: DfResult<Arc<dyn ExecutionPlan>>,
) -> BoxFuture<'static, DfResult<Arc<dyn ExecutionPlan>>> {
    std::future::ready(scan).boxed()
}

// Boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
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
        let rows = self.files.iter().map(|live| live.file().record_count());
        let rows: u64 = rows.sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = if self.deletes.is_empty() {
            Precision::Exact(rows as usize)
        } else {
            Precision::Inexact(rows as usize)
        };
        Some(statistics)
    }

    fn scan<'table, 'session, 'columns, 'filters, 'all>(
        &'table self,
        session: &'session dyn Session,
        projection: Option<&'columns Vec<usize>>,
        filters: &'filters [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'all, DfResult<Arc<dyn ExecutionPlan>>>
    where
        'table: 'all,
        'session: 'all,
        'columns: 'all,
        'filters: 'all,
        Self: 'all,
    {
        ready(self.plan_scan(session, projection, filters, limit))
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
