//! A span around each task, under its stage in the trace of its job.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::serde::protobuf::ShuffleWritePartition;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use retail_engine::QueryContext;
use retail_storage::stores_within;
use retail_telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

/// The span of a task, under its stage's.
pub(crate) fn task(
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
        job = some(|c| &c.job),
        model = some(|c| &c.model),
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
pub(crate) fn ended<T>(span: &Span, outcome: Result<T>, done: impl FnOnce(&T)) -> Result<T> {
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
pub(crate) fn within(span: &Span, context: Arc<TaskContext>) -> Result<Arc<TaskContext>> {
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

/// What a task wrote, in its span and in the log.
pub(crate) fn produced(span: &Span, partitions: &[ShuffleWritePartition]) {
    let rows = partitions.iter().map(|p| p.num_rows).sum::<u64>();
    let bytes = partitions.iter().map(|p| p.num_bytes).sum::<u64>();
    span.record("rows", rows);
    span.record("bytes", bytes);
    span.in_scope(|| tracing::debug!(rows, bytes, "task ended"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_names_the_kind_of_an_error_and_none_of_its_text() {
        let exhausted = DataFusionError::ResourcesExhausted("rows of marts.a".to_owned());
        let wrapped = exhausted.context("while it sorted marts.a");
        assert_eq!(kind(wrapped.find_root()), "memory did not suffice");
        let io = DataFusionError::IoError(std::io::Error::other("/data/marts"));
        assert_eq!(kind(&io), "io");
        let execution = DataFusionError::Execution("cell 'x' of marts.a".to_owned());
        assert_eq!(kind(&execution), "execution");
    }

    #[test]
    fn stores_of_a_task_that_is_not_recorded_stay_as_they_are() {
        let context = Arc::new(TaskContext::default());
        let same = within(&Span::none(), Arc::clone(&context)).unwrap();
        assert!(Arc::ptr_eq(&context, &same));
    }
}
