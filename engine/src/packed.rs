//! The node above a scan of packed files (gzip, zstd).
//!
//! datafusion-proto writes a scan without its compression and says nothing: an executor would take packed bytes for
//! text, and could find no rows in them. With this node above it, such a plan does not travel at all unless the
//! session's codec knows the node and restores the compression of the scan below ([`compression`] says which).

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A scan of packed files.
#[derive(Debug)]
pub struct PackedScanExec {
    scan: Arc<dyn ExecutionPlan>,
}

impl PackedScanExec {
    /// Marks a scan.
    pub fn new(scan: Arc<dyn ExecutionPlan>) -> Self {
        Self { scan }
    }

    /// Marks a scan that came over the wire and gives it its compression back.
    ///
    /// # Errors
    /// The input is no scan of files.
    pub fn restore(
        scan: &Arc<dyn ExecutionPlan>,
        compression: FileCompressionType,
    ) -> Result<Self> {
        let config = config(scan).ok_or_else(|| {
            DataFusionError::Internal(format!(
                "a packed scan stands over {}, not files",
                scan.name()
            ))
        })?;
        let config = FileScanConfigBuilder::from(config.clone())
            .with_file_compression_type(compression)
            .build();
        Ok(Self {
            scan: DataSourceExec::from_data_source(config),
        })
    }
}

/// The compression of a scan of files; none for any other node.
pub fn compression(scan: &Arc<dyn ExecutionPlan>) -> Option<FileCompressionType> {
    config(scan).map(|config| config.file_compression_type)
}

/// The name under which a marked scan's compression travels; none for any other node.
pub(crate) fn name_of_scan(node: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let marker = node.downcast_ref::<PackedScanExec>()?;
    let name = match compression(&marker.scan) {
        Some(FileCompressionType::GZIP) => "gzip",
        Some(FileCompressionType::ZSTD) => "zstd",
        Some(FileCompressionType::BZIP2) => "bzip2",
        Some(FileCompressionType::XZ) => "xz",
        _ => "",
    };
    Some(name.to_string())
}

/// The compression of a name that [`name_of_scan`] gave.
pub(crate) fn compression_named(name: &str) -> Result<FileCompressionType> {
    Ok(match name {
        "" => FileCompressionType::UNCOMPRESSED,
        "gzip" => FileCompressionType::GZIP,
        "zstd" => FileCompressionType::ZSTD,
        "bzip2" => FileCompressionType::BZIP2,
        "xz" => FileCompressionType::XZ,
        other => {
            return Err(DataFusionError::Plan(format!(
                "this executor cannot unpack {other}"
            )));
        }
    })
}

fn config(scan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    scan.downcast_ref::<DataSourceExec>()?
        .data_source()
        .downcast_ref::<FileScanConfig>()
}

impl DisplayAs for PackedScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "PackedScanExec")
    }
}

impl ExecutionPlan for PackedScanExec {
    fn name(&self) -> &'static str {
        "PackedScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    /// A sort must not be pushed between the marker and its scan.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    /// A packed file is read from its start: nothing below can be split.
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
            .ok_or_else(|| DataFusionError::Internal("a packed scan has one scan".to_string()))?;
        Ok(Arc::new(Self { scan }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.scan.execute(partition, context)
    }
}
