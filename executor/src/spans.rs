//! A span around each task, under its stage in the trace of its job.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;
use retail_engine::QueryContext;
use retail_storage::stores_within;
use retail_telemetry::trace;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// An engine whose tasks run in spans.
pub(crate) struct TracedEngine<E>(pub E);

impl<E: ExecutionEngine> ExecutionEngine for TracedEngine<E> {
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
        let span = task(&job_id, stage_id, task_id, output_partitions.len(), config);
        let stage = self.0.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            output_partitions,
            plan,
            work_dir,
            config,
        );
        let stage = ended(&span, stage, |_| {})?;
        Ok(Arc::new(Traced {
            stage,
            span: Mutex::new(Some(span)),
        }))
    }
}

fn task(
    query: &JobId,
    stage: usize,
    task: usize,
    partitions: usize,
    config: &SessionConfig,
) -> Span {
    let context = config.options().extensions.get::<QueryContext>();
    let some = |of: fn(&QueryContext) -> &String| context.map(of).filter(|text| !text.is_empty());
    let span = tracing::info_span!(
        parent: None,
        "task",
        job = some(|o| &o.job),
        model = some(|o| &o.model),
        query = %query,
        stage,
        task,
        partitions,
        rows = Empty,
        bytes = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    if let Some(parent) = context.and_then(|c| trace::stage_parent(&c.traceparent, stage)) {
        trace::follow(&span, &parent);
    }
    span
}

/// What a task came to. Of an error only its kind: its text may quote SQL or data.
fn ended<T>(span: &Span, outcome: Result<T>, done: impl FnOnce(&T)) -> Result<T> {
    match &outcome {
        Ok(made) => done(made),
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", kind(error.find_root()));
        }
    }
    outcome
}

fn kind(error: &DataFusionError) -> &'static str {
    match error {
        DataFusionError::ResourcesExhausted(_) => "memory did not suffice",
        DataFusionError::IoError(_) => "io",
        DataFusionError::ObjectStore(_) => "object store",
        DataFusionError::ArrowError(..) => "arrow",
        DataFusionError::ParquetError(_) => "parquet",
        DataFusionError::Internal(_) => "internal",
        _ => "execution",
    }
}

/// The context with stores that know which task uses them: Ballista runs a task's partitions on tasks of the runtime's
/// own. Costs nothing where the task is not recorded.
fn within(span: &Span, context: Arc<TaskContext>) -> Result<Arc<TaskContext>> {
    if trace::trace_id(span).is_none() {
        return Ok(context);
    }
    let runtime = context.runtime_env();
    let stores = stores_within(Arc::clone(&runtime.object_store_registry), span.clone());
    let runtime = RuntimeEnvBuilder::from_runtime_env(&runtime)
        .with_object_store_registry(stores)
        .build_arc()?;
    Ok(Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone(),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        runtime,
    )))
}

/// A task in its span. The span is let go of when the task ends; Ballista keeps the rest for its metrics.
#[derive(Debug)]
struct Traced {
    stage: Arc<dyn QueryStageExecutor>,
    span: Mutex<Option<Span>>,
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Traced {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let span = self.span.lock().take().unwrap_or_else(Span::none);
        let context = within(&span, context)?;
        let run = self.stage.execute_query_stage(task_id, context);
        let outcome = run.instrument(span.clone()).await;
        ended(&span, outcome, |written| {
            let rows = written.iter().map(|p| p.num_rows).sum::<u64>();
            let bytes = written.iter().map(|p| p.num_bytes).sum::<u64>();
            span.record("rows", rows);
            span.record("bytes", bytes);
            span.in_scope(|| tracing::debug!(rows, bytes, "task ended"));
        })
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
