//! What tasks do, as metrics.
//!
//! Ballista reports to its collector that a task ended, not how: an engine around Ballista's own sees the outcome, the
//! rows and the plan.

pub(crate) mod gauges;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use ballista_executor::metrics::ExecutorMetricsCollector;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use retail_connect::text_scan::TextScanExec;
use retail_storage::{StoreObservation, StoreObserver};
use retail_telemetry::metrics;

/// Logs finished tasks with their plans' metrics. Counting is [`MeasuredEngine`]'s.
pub(crate) struct TaskLog;

impl ExecutorMetricsCollector for TaskLog {
    fn record_stage(
        &self,
        job_id: &JobId,
        stage: usize,
        task: usize,
        plan: Arc<dyn QueryStageExecutor>,
    ) {
        tracing::debug!(query = %job_id, stage, task, %plan, "task ended");
    }
}

/// Requests to object stores as metrics. What an executor reads from them, its tasks read.
pub(crate) fn observer() -> StoreObserver {
    Arc::new(|observation| match observation {
        StoreObservation::Request {
            operation,
            outcome,
            took,
        } => metrics().object_store_request(operation.as_str(), outcome.as_str(), took),
        StoreObservation::Read { bytes } => {
            metrics().object_store_bytes("read", bytes);
            metrics().bytes_read_total.inc_by(bytes);
        }
        StoreObservation::Written { bytes } => metrics().object_store_bytes("written", bytes),
    })
}

/// Ballista's engine; each task that it makes is counted when it runs.
#[derive(Default)]
pub(crate) struct MeasuredEngine {
    ballista: DefaultExecutionEngine,
}

impl ExecutionEngine for MeasuredEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        output_partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let scans = file_scans(&plan);
        let stage = self.ballista.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            output_partitions,
            plan,
            work_dir,
            config,
        )?;
        Ok(Arc::new(Measured { stage, scans }))
    }
}

/// The leaves that read files. Ballista replaces only the leaves that read shuffles, so these are those that run.
fn file_scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let mut scans = vec![];
    let walked = plan.apply(|node| {
        let source = node.downcast_ref::<DataSourceExec>();
        if source.is_some_and(|s| s.data_source().is::<FileScanConfig>())
            || node.is::<TextScanExec>()
        {
            scans.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match walked {
        Ok(_) => scans,
        Err(_) => vec![],
    }
}

#[derive(Debug)]
struct Measured {
    stage: Arc<dyn QueryStageExecutor>,
    scans: Vec<Arc<dyn ExecutionPlan>>,
}

impl Measured {
    /// Counts a successful task. A failed one is retried and counts when it succeeds.
    fn count(&self, produced: &[ShuffleWritePartition]) {
        let m = metrics();
        let sum = |of: fn(&MetricsSet) -> Option<usize>, sets: &[MetricsSet]| {
            sets.iter().filter_map(of).sum::<usize>() as u64
        };
        let scans: Vec<_> = self
            .scans
            .iter()
            .filter_map(|scan| scan.metrics())
            .collect();
        m.rows_read_total
            .inc_by(sum(MetricsSet::output_rows, &scans));
        let all = self.stage.collect_plan_metrics();
        m.spills_total.inc_by(sum(MetricsSet::spill_count, &all));
        m.rows_spilled_total
            .inc_by(sum(MetricsSet::spilled_rows, &all));
        m.bytes_spilled_total
            .inc_by(sum(MetricsSet::spilled_bytes, &all));
        m.rows_shuffled_total
            .inc_by(produced.iter().map(|p| p.num_rows).sum());
        m.bytes_shuffled_total
            .inc_by(produced.iter().map(|p| p.num_bytes).sum());
    }
}

/// A task that runs. One that is dropped before its end was cancelled.
struct Running {
    began: Instant,
    outcome: &'static str,
}

impl Running {
    fn begin() -> Self {
        metrics().tasks_running.inc();
        Self {
            began: Instant::now(),
            outcome: "cancelled",
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let m = metrics();
        m.tasks_running.dec();
        m.task_seconds.observe(self.began.elapsed().as_secs_f64());
        m.tasks_total.with_label_values(&[self.outcome]).inc();
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Measured {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let mut running = Running::begin();
        let result = self.stage.execute_query_stage(task_id, context).await;
        running.outcome = match &result {
            Ok(produced) => {
                self.count(produced);
                "succeeded"
            }
            Err(_) => "failed",
        };
        result
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.stage.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.stage.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.stage.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.stage.collect_column_stats()
    }
}
