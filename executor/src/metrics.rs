//! What tasks did, as metrics.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_executor::execution_engine::QueryStageExecutor;
use ballista_executor::metrics::ExecutorMetricsCollector;

/// Logs each finished task with its plan's metrics.
pub struct TaskMetrics;

impl ExecutorMetricsCollector for TaskMetrics {
    fn record_stage(&self, job_id: &JobId, stage: usize, task: usize, plan: Arc<dyn QueryStageExecutor>) {
        tracing::debug!(query = %job_id, stage, task, %plan, "task finished");
    }
}
