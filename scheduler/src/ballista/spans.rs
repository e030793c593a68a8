//! Spans of queries and their stages.
//!
//! A query's span is open while it runs, and its context goes to executors with the tasks. Stages are Ballista's: what
//! is known about them is read once, from the query's graph, when the query has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ballista_core::JobId;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use datafusion::prelude::SessionContext;
use retail_engine::{QueryContext, QueryError, QueryProgress};
use retail_telemetry::trace::{self, Stage};
use retail_telemetry::{fields, trace::record_stage};
use tracing::Span;
use tracing::field::Empty;

use super::queries::Queries;

/// One run of a query.
pub(super) fn query() -> Span {
    tracing::info_span!(
        "query",
        query = Empty,
        stages = Empty,
        tasks_retried = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// The session with the query's context among the settings that its tasks get. The driver's own stays as it is.
pub(super) fn with_origin(session: &SessionContext, span: &Span) -> Arc<SessionContext> {
    let about = |name| span.in_scope(|| fields::current(name)).unwrap_or_default();
    let context = QueryContext {
        traceparent: trace::traceparent(span).unwrap_or_default(),
        job: about("job"),
        model: about("model"),
    };
    let mut state = session.state();
    state.config_mut().options_mut().extensions.insert(context);
    Arc::new(SessionContext::new_with_state(state))
}

/// What a query came to. Of an error only its kind: its text may quote SQL or data.
pub(super) fn ended(span: &Span, progress: &QueryProgress, error: Option<&QueryError>) {
    span.record("stages", progress.stages);
    span.record("tasks_retried", progress.tasks_retried);
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", error.kind.name());
    }
}

/// Sends the spans of a query's stages, if the query is traced.
pub(super) async fn stages(span: &Span, started: SystemTime, queries: &Queries, id: &JobId) {
    if trace::trace_id(span).is_none() {
        return;
    }
    let Some(query) = trace::traceparent(span) else {
        return;
    };
    match queries.find(id, |graph| of(graph, started)).await {
        Some(stages) => stages
            .into_iter()
            .for_each(|stage| record_stage(&query, stage)),
        None => tracing::debug!(query = %id, "the query's graph is gone; its trace has no stages"),
    }
}

/// The stages that were begun.
fn of(graph: &dyn ExecutionGraph, started: SystemTime) -> Vec<Stage> {
    let known = graph.stages().iter().filter_map(|(id, stage)| {
        let (tasks, attempt, partitions, failed): (&[TaskInfo], _, _, _) = match stage {
            ExecutionStage::Running(s) => (&s.task_infos, s.stage_attempt_num, s.partitions, false),
            ExecutionStage::Successful(s) => {
                (&s.task_infos, s.stage_attempt_num, s.partitions, false)
            }
            ExecutionStage::Failed(s) => (&s.task_infos, s.stage_attempt_num, s.partitions, true),
            // It ran, and lost what it had made.
            ExecutionStage::Resolved(s) if s.stage_attempt_num > 0 => {
                (&[], s.stage_attempt_num, s.partitions, false)
            }
            ExecutionStage::UnResolved(s) if s.stage_attempt_num > 0 => {
                (&[], s.stage_attempt_num, 0, false)
            }
            _ => return None,
        };
        let (rows, bytes) = output(tasks);
        let times = tasks.iter().filter_map(|task| {
            let begin = [task.scheduled_time, task.launch_time, task.start_exec_time];
            begin.into_iter().filter(|ms| *ms > 0).min()
        });
        let start = times.min().map_or(started, at);
        let over = tasks
            .iter()
            .map(|task| task.finish_time.max(task.end_exec_time));
        let all_over = tasks.iter().all(|task| task.finish_time > 0);
        let end = over.max().filter(|ms| *ms > 0 && all_over).map(at);
        Some(Stage {
            stage: *id,
            start,
            end: end.unwrap_or_else(SystemTime::now),
            failed,
            attributes: vec![
                ("attempt", attempt as i64 + 1),
                ("partitions", partitions as i64),
                ("tasks", tasks.len() as i64),
                ("rows", rows as i64),
                ("bytes", bytes as i64),
            ],
        })
    });
    known.collect()
}

/// Rows and bytes that finished tasks produced.
fn output(tasks: &[TaskInfo]) -> (u64, u64) {
    tasks
        .iter()
        .filter_map(|task| match &task.task_status {
            Status::Successful(task) => Some(&task.partitions),
            _ => None,
        })
        .flatten()
        .fold((0, 0), |(rows, bytes), partition| {
            (rows + partition.num_rows, bytes + partition.num_bytes)
        })
}

fn at(epoch_ms: u128) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(epoch_ms).unwrap_or_default())
}
