//! What tasks do, as metrics.

pub(crate) mod gauges;

use std::sync::Arc;
use std::time::Instant;

use ballista_core::JobId;
use ballista_core::serde::protobuf::ShuffleWritePartition;
use ballista_executor::execution_engine::QueryStageExecutor;
use ballista_executor::metrics::ExecutorMetricsCollector;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use retail_storage::{StoreObservation, StoreObserver};
use retail_telemetry::metrics;

/// Logs finished tasks with their plans' metrics. Ballista reports here that a task ended, not how: [`RunningTask`] counts.
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

/// A task that runs. One that is dropped before its end was cancelled.
pub(crate) struct RunningTask {
    began: Instant,
    outcome: &'static str,
}

impl RunningTask {
    pub(crate) fn begin() -> Self {
        metrics().tasks_running.inc();
        Self {
            began: Instant::now(),
            outcome: "cancelled",
        }
    }

    /// Counts a successful task: what its file scans read, what its operators spilled, what it wrote. A failed one is
    /// retried and counts when it succeeds.
    pub(crate) fn succeeded(
        &mut self,
        scans: &[Arc<dyn ExecutionPlan>],
        operators: &[MetricsSet],
        produced: &[ShuffleWritePartition],
    ) {
        self.outcome = "succeeded";
        let m = metrics();
        let sum = |of: fn(&MetricsSet) -> Option<usize>, sets: &[MetricsSet]| {
            sets.iter().filter_map(of).sum::<usize>() as u64
        };
        let scans: Vec<_> = scans.iter().filter_map(|scan| scan.metrics()).collect();
        m.rows_read_total
            .inc_by(sum(MetricsSet::output_rows, &scans));
        m.spills_total
            .inc_by(sum(MetricsSet::spill_count, operators));
        m.rows_spilled_total
            .inc_by(sum(MetricsSet::spilled_rows, operators));
        m.bytes_spilled_total
            .inc_by(sum(MetricsSet::spilled_bytes, operators));
        m.rows_shuffled_total
            .inc_by(produced.iter().map(|p| p.num_rows).sum());
        m.bytes_shuffled_total
            .inc_by(produced.iter().map(|p| p.num_bytes).sum());
    }

    pub(crate) fn failed(&mut self) {
        self.outcome = "failed";
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        let m = metrics();
        m.tasks_running.dec();
        m.task_seconds.observe(self.began.elapsed().as_secs_f64());
        m.tasks_total.with_label_values(&[self.outcome]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since the counts are the process's.
    #[test]
    fn a_task_counts_once_by_how_it_ended_and_one_that_is_dropped_was_cancelled() {
        let m = metrics();
        let ended = |outcome: &str| m.tasks_total.with_label_values(&[outcome]).get();
        let (running, bytes) = (m.tasks_running.get(), m.bytes_shuffled_total.get());
        let dropped = RunningTask::begin();
        let mut failed = RunningTask::begin();
        let mut succeeded = RunningTask::begin();
        assert_eq!(m.tasks_running.get(), running + 3);
        drop(dropped);
        failed.failed();
        drop(failed);
        let produced = |num_rows, num_bytes| ShuffleWritePartition {
            num_rows,
            num_bytes,
            ..ShuffleWritePartition::default()
        };
        succeeded.succeeded(&[], &[], &[produced(2, 10), produced(3, 20)]);
        assert_eq!(ended("succeeded"), 0, "not before its end");
        drop(succeeded);
        for outcome in ["cancelled", "failed", "succeeded"] {
            assert_eq!(ended(outcome), 1, "{outcome}");
        }
        assert_eq!(m.tasks_running.get(), running);
        assert_eq!(m.bytes_shuffled_total.get(), bytes + 30);
        assert_eq!(m.rows_shuffled_total.get(), 5);
    }
}
