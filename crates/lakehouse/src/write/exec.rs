//! The operator that writes, and its planner.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::StreamExt;
use retail_storage::transient_as_io;
use retail_values::delegate_unary;

use super::node::WriteNode;
use super::result::{file_rows, write_result_schema};
use super::target::WriteSpec;
use super::writer::TableWriter;

/// Plans table writes.
#[derive(Debug)]
pub struct WritePlanner;

#[async_trait]
impl ExtensionPlanner for WritePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical: &[&LogicalPlan],
        physical: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [input]) = (node.as_any().downcast_ref::<WriteNode>(), physical) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(TableWriteExec::new(
            Arc::clone(&node.spec),
            Arc::clone(input),
        ))))
    }
}

/// Writes each partition of its input as data files and returns one row per file.
///
/// A unary operator with its input's partitions. Partition numbers are a task's own, so files are named at
/// random. An input without rows makes no file.
#[derive(Debug)]
pub(crate) struct TableWriteExec {
    spec: Arc<WriteSpec>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TableWriteExec {
    /// The same write over another input.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(Arc::clone(&self.spec), input)))
    }

    pub(crate) fn new(spec: Arc<WriteSpec>, input: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(write_result_schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            spec,
            input,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    pub(crate) fn spec(&self) -> &WriteSpec {
        &self.spec
    }
}

impl DisplayAs for TableWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "TableWriteExec: {}", self.spec.table)
    }
}

impl ExecutionPlan for TableWriteExec {
    fn name(&self) -> &str {
        "TableWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    delegate_unary!(input);

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let files_written = MetricBuilder::new(&self.metrics).counter("files_written", partition);
        let bytes_written = MetricBuilder::new(&self.metrics).counter("bytes_written", partition);
        let time = MetricBuilder::new(&self.metrics).elapsed_compute(partition);
        let mut input = self.input.execute(partition, Arc::clone(&context))?;
        let spec = Arc::clone(&self.spec);
        let written = async move {
            let mut writer = TableWriter::new(spec, partition, &context)?;
            while let Some(batch) = input.next().await {
                let batch = batch.map_err(transient_as_io)?;
                let _timer = time.timer();
                writer.write(&batch).await?;
            }
            let files = {
                let _timer = time.timer();
                writer.finish().await?
            };
            for file in &files {
                rows.add(file.rows as usize);
                bytes_written.add(file.bytes as usize);
            }
            files_written.add(files.len());
            file_rows(&files)
        };
        let stream = futures::stream::once(written);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            write_result_schema(),
            stream,
        )))
    }
}
