//! What tasks did, as metrics.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_executor::execution_engine::QueryStageExecutor;
use ballista_executor::metrics::ExecutorMetricsCollector;
use retail_telemetry::metrics;

/// Counts finished tasks and logs their plans' metrics.
pub struct TaskMetrics;

impl ExecutorMetricsCollector for TaskMetrics {
    fn record_stage(
        &self,
        job_id: &JobId,
        stage: usize,
        task: usize,
        plan: Arc<dyn QueryStageExecutor>,
    ) {
        metrics()
            .tasks_total
            .with_label_values(&["succeeded"])
            .inc();
        tracing::debug!(query = %job_id, stage, task, %plan, "task finished");
    }
}
