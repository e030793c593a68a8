//! The node that carries a field-id scan to executors.
//!
//! datafusion-proto writes a Parquet scan without its expression adapter and without the row selections of its
//! files, without an error: a renamed column turns null and deleted rows come back. [`FieldIdScanExec`] stands above
//! the scan, travels as a node of ours, and restores both where it is decoded. It also gives each file an adapter
//! of its own, since what a file lacks may stand in its manifest.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use futures::TryStreamExt;
use retail_storage::transient_as_io;
use retail_values::delegate_unary;

use super::adapter::{FieldIds, FileColumns};
use super::columns::TableColumns;
use super::deletes;
use super::source::{FileAdapters, PerFile};

/// The deleted rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletedRows {
    /// Path in the object store, as the scan's files name it.
    pub(crate) path: String,
    /// Rows of the file, deleted ones among them.
    pub(crate) rows: u64,
    /// Ascending.
    pub(crate) positions: Vec<u64>,
}

/// The table of a scan, on each of its files.
#[derive(Debug, Clone)]
pub(super) struct ScannedTable(pub(super) Arc<TableColumns>);

/// What a scan's files have beside what is written in them.
#[derive(Debug, Clone)]
pub(crate) struct ScanFacts {
    pub(crate) table: Arc<TableColumns>,
    pub(crate) deleted: Vec<DeletedRows>,
    /// Only of files with constants.
    pub(crate) files: Vec<FileColumns>,
}

/// A Parquet scan whose columns are found by field id.
#[derive(Debug, Clone)]
pub(crate) struct FieldIdScanExec {
    scan: Arc<dyn ExecutionPlan>,
    facts: Arc<ScanFacts>,
    /// The scan with an adapter for each file: what is run.
    run: Arc<dyn ExecutionPlan>,
}

impl FieldIdScanExec {
    /// Marks `scan` and gives it, in case the wire took them, its adapters and row selections.
    pub(crate) fn restore(scan: &Arc<dyn ExecutionPlan>, facts: ScanFacts) -> Result<Self> {
        let (config, _) = parquet_scan(scan).ok_or_else(|| not_parquet(scan))?;
        let by_path: HashMap<&str, &DeletedRows> =
            facts.deleted.iter().map(|d| (d.path.as_str(), d)).collect();
        let groups = config.file_groups.iter().map(|group| {
            let files = group.files().iter().map(|file| {
                match by_path.get(file.object_meta.location.as_ref()) {
                    Some(deleted) => {
                        let live_rows = deletes::live_rows(deleted.rows, &deleted.positions);
                        file.clone()
                            .with_extension(ParquetRowSelection::new(live_rows))
                    }
                    None => file.clone(),
                }
            });
            let statistics = group.file_statistics(None).cloned();
            let files = FileGroup::new(files.collect());
            match statistics {
                Some(statistics) => files.with_statistics(Arc::new(statistics)),
                None => files,
            }
        });
        let groups = groups.collect();
        let adapter = FieldIds::of_table(Arc::clone(&facts.table), !facts.files.is_empty());
        let config = FileScanConfigBuilder::from(config.clone())
            .with_expr_adapter(Some(Arc::new(adapter)))
            .with_file_groups(groups)
            .build();
        Self::try_new(DataSourceExec::from_data_source(config), Arc::new(facts))
    }

    /// What the scan's own files have; a task has only some of a table's.
    pub(crate) fn facts(&self) -> ScanFacts {
        let files = parquet_scan(&self.scan).map_or(&[][..], |(config, _)| &config.file_groups);
        let files = files.iter().flat_map(FileGroup::iter);
        let paths: HashSet<&str> = files.map(|f| f.object_meta.location.as_ref()).collect();
        let deleted = self.facts.deleted.iter();
        let columns = self.facts.files.iter();
        ScanFacts {
            table: Arc::clone(&self.facts.table),
            deleted: deleted
                .filter(|d| paths.contains(d.path.as_str()))
                .cloned()
                .collect(),
            files: columns
                .filter(|f| paths.contains(f.path.as_str()))
                .cloned()
                .collect(),
        }
    }

    fn try_new(scan: Arc<dyn ExecutionPlan>, facts: Arc<ScanFacts>) -> Result<Self> {
        let (config, parquet) = parquet_scan(&scan).ok_or_else(|| not_parquet(&scan))?;
        let files = facts.files.iter().map(|f| (f.path.clone(), f.clone()));
        let adapters = FileAdapters {
            table: Arc::clone(&facts.table),
            files: files.collect(),
        };
        let source = PerFile::new(parquet, Arc::new(adapters));
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(Arc::new(source))
            .build();
        Ok(Self {
            scan,
            facts,
            run: DataSourceExec::from_data_source(config),
        })
    }

    fn over(&self, scan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(scan, Arc::clone(&self.facts))?))
    }
}

fn parquet_scan(scan: &Arc<dyn ExecutionPlan>) -> Option<(&FileScanConfig, &ParquetSource)> {
    let source = scan.downcast_ref::<DataSourceExec>()?;
    source.downcast_to_file_source::<ParquetSource>()
}

fn not_parquet(scan: &Arc<dyn ExecutionPlan>) -> DataFusionError {
    DataFusionError::Internal(format!(
        "a field-id scan stands over {}, not Parquet",
        scan.name()
    ))
}

impl DisplayAs for FieldIdScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FieldIdScanExec")?;
        if !self.facts.deleted.is_empty() {
            write!(f, ": deletes in {} files", self.facts.deleted.len())?;
        }
        Ok(())
    }
}

impl ExecutionPlan for FieldIdScanExec {
    fn name(&self) -> &str {
        "FieldIdScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    delegate_unary!(scan);

    /// A sort must not be pushed between this node and its scan, as it is below nodes that keep their input's order.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    /// Splits the files further, unless some have deleted rows: a selection counts from a file's start.
    fn repartitioned(
        &self,
        partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.facts.deleted.is_empty() {
            return Ok(None);
        }
        let scan = self.scan.repartitioned(partitions, config)?;
        scan.map(|scan| self.over(scan)).transpose()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let swapped = self.scan.try_swapping_with_projection(projection)?;
        // Only where the projection went into the scan; otherwise it stays where it is.
        swapped
            .filter(|plan| plan.downcast_ref::<DataSourceExec>().is_some())
            .map(|scan| self.over(scan))
            .transpose()
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        match inputs {
            [scan] => Ok(Arc::clone(scan)),
            _ => Ok(Arc::new(Statistics::new_unknown(&self.scan.schema()))),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.scan.supports_limit_pushdown()
    }

    fn fetch(&self) -> Option<usize> {
        self.scan.fetch()
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        self.over(self.scan.with_fetch(limit)?).ok()
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self
            .run
            .execute(partition, context)
            .map_err(transient_as_io)?;
        let schema = rows.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            rows.map_err(transient_as_io),
        )))
    }
}

/// Puts a `FieldIdScanExec` above every field-id scan. To be run last: rules know the scan better than this node.
pub fn scan_rule() -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(MarkFieldIdScans)
}

#[derive(Debug)]
struct MarkFieldIdScans;

impl PhysicalOptimizerRule for MarkFieldIdScans {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            if node.downcast_ref::<FieldIdScanExec>().is_some() {
                return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
            }
            let Some((config, _)) = parquet_scan(&node) else {
                return Ok(Transformed::no(node));
            };
            let files = || config.file_groups.iter().flat_map(FileGroup::iter);
            let table = files().find_map(|file| file.extension::<ScannedTable>());
            let Some(ScannedTable(table)) = table.cloned() else {
                return Ok(Transformed::no(node));
            };
            // A file that is read in parts is in several groups.
            let deleted = files().filter_map(|file| file.extension::<DeletedRows>().cloned());
            let mut deleted: Vec<_> = deleted.collect();
            deleted.sort_by(|a, b| a.path.cmp(&b.path));
            deleted.dedup_by(|a, b| a.path == b.path);
            let columns = files().filter_map(|file| file.extension::<FileColumns>().cloned());
            let mut columns: Vec<_> = columns.collect();
            columns.sort_by(|a, b| a.path.cmp(&b.path));
            columns.dedup_by(|a, b| a.path == b.path);
            let facts = ScanFacts {
                table,
                deleted,
                files: columns,
            };
            let marked: Arc<dyn ExecutionPlan> = Arc::new(FieldIdScanExec::restore(&node, facts)?);
            Ok(Transformed::new(marked, true, TreeNodeRecursion::Jump))
        })
        .data()
    }

    fn name(&self) -> &str {
        "mark_field_id_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
