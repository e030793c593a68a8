//! The node that carries a field-id scan to executors.
//!
//! datafusion-proto writes a Parquet scan without its expression adapter and without the row selections of its
//! files, and says nothing: a renamed column turns null and deleted rows come back. The marker stands above
//! the scan, travels as a node of ours, and puts both back where it is decoded.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use futures::TryStreamExt;

use super::adapter::FieldIds;
use super::deletes;
use crate::write::transient_as_io;

/// The dead rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadRows {
    /// Path in the object store, as the scan's files name it.
    pub(crate) path: String,
    /// Rows of the file, dead ones among them.
    pub(crate) rows: u64,
    /// Ascending.
    pub(crate) positions: Vec<u64>,
}

/// A Parquet scan whose columns are found by field id.
#[derive(Debug, Clone)]
pub(crate) struct FieldIdScanExec {
    scan: Arc<dyn ExecutionPlan>,
    dead: Arc<Vec<DeadRows>>,
}

impl FieldIdScanExec {
    /// Marks `scan` and gives it, in case the wire took them, its adapter and row selections.
    pub(crate) fn restore(scan: &Arc<dyn ExecutionPlan>, dead: Vec<DeadRows>) -> Result<Self> {
        let parquet = scan
            .downcast_ref::<DataSourceExec>()
            .and_then(|s| s.downcast_to_file_source::<ParquetSource>());
        let Some((config, _)) = parquet else {
            return Err(DataFusionError::Internal(format!(
                "a field-id scan stands over {}, not Parquet",
                scan.name()
            )));
        };
        let by_path: HashMap<&str, &DeadRows> = dead.iter().map(|d| (d.path.as_str(), d)).collect();
        let groups = config.file_groups.iter().map(|group| {
            let files = group.files().iter().map(|file| {
                match by_path.get(file.object_meta.location.as_ref()) {
                    Some(dead) => {
                        let living = deletes::living(dead.rows, &dead.positions);
                        file.clone()
                            .with_extension(ParquetRowSelection::new(living))
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
        let config = FileScanConfigBuilder::from(config.clone())
            .with_expr_adapter(Some(Arc::new(FieldIds)))
            .with_file_groups(groups)
            .build();
        Ok(Self {
            scan: DataSourceExec::from_data_source(config),
            dead: Arc::new(dead),
        })
    }

    pub(crate) fn dead(&self) -> &[DeadRows] {
        &self.dead
    }

    fn over(&self, scan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self {
            scan,
            dead: Arc::clone(&self.dead),
        })
    }
}

impl DisplayAs for FieldIdScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FieldIdScanExec")?;
        if !self.dead.is_empty() {
            write!(f, ": deletes in {} files", self.dead.len())?;
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

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    /// A sort must not be pushed between the marker and its scan, as it is below nodes that keep their input's order.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = children
            .pop()
            .ok_or_else(|| DataFusionError::Internal("a marker has one scan".to_string()))?;
        Ok(self.over(scan))
    }

    /// Splits the files further, unless some have dead rows: a selection counts from a file's start.
    fn repartitioned(
        &self,
        partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !self.dead.is_empty() {
            return Ok(None);
        }
        Ok(self
            .scan
            .repartitioned(partitions, config)?
            .map(|scan| self.over(scan)))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let swapped = self.scan.try_swapping_with_projection(projection)?;
        // Only where the projection went into the scan; otherwise it stays where it is.
        Ok(swapped
            .filter(|plan| plan.downcast_ref::<DataSourceExec>().is_some())
            .map(|scan| self.over(scan)))
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
        self.scan.with_fetch(limit).map(|scan| self.over(scan))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self
            .scan
            .execute(partition, context)
            .map_err(transient_as_io)?;
        let schema = rows.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            rows.map_err(transient_as_io),
        )))
    }
}

/// Puts the marker above every field-id scan. To be run last: rules know the scan better than the marker.
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
            let parquet = node
                .downcast_ref::<DataSourceExec>()
                .and_then(|s| s.downcast_to_file_source::<ParquetSource>());
            let Some((config, _)) =
                parquet.filter(|(config, _)| config.expr_adapter_factory.is_some())
            else {
                return Ok(Transformed::no(node));
            };
            let mut dead: Vec<DeadRows> = config
                .file_groups
                .iter()
                .flat_map(|group| group.files())
                .filter_map(|file| file.extension::<DeadRows>().cloned())
                .collect();
            // A file that is read in parts is in several groups.
            dead.sort_by(|a, b| a.path.cmp(&b.path));
            dead.dedup_by(|a, b| a.path == b.path);
            let marked: Arc<dyn ExecutionPlan> = Arc::new(FieldIdScanExec::restore(&node, dead)?);
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
