//! Wire messages to the types the rest of this crate speaks. Nothing else here reads `retail_proto` answers.

use prost::Message;
use retail_api::events::{
    EventKind, JobEvent, JobState, ModelState, PlannedModel, PublishedTable, StageProgress,
    TestCounts, TestResult, TestState,
};
use retail_api::{Failure, FailureKind};
use retail_proto::v1;

use crate::facts;

/// The failure that a status carries in its details; `None` when it carries none.
pub fn failure_of_status(status: &tonic::Status) -> Option<Failure> {
    if status.details().is_empty() {
        return None;
    }
    v1::Failure::decode(status.details())
        .ok()
        .filter(|failure| !failure.message.is_empty())
        .map(failure)
}

/// A failure; an unknown kind counts as a defect of ours.
pub fn failure(wire: v1::Failure) -> Failure {
    let kind = match wire.kind() {
        v1::FailureKind::Project => FailureKind::Project,
        v1::FailureKind::Source => FailureKind::Source,
        v1::FailureKind::Execution => FailureKind::Execution,
        v1::FailureKind::Test => FailureKind::Test,
        v1::FailureKind::Publish => FailureKind::Publish,
        v1::FailureKind::Storage => FailureKind::Storage,
        v1::FailureKind::NoExecutor => FailureKind::NoExecutor,
        v1::FailureKind::Cancelled => FailureKind::Cancelled,
        v1::FailureKind::Internal | v1::FailureKind::Unspecified => FailureKind::Internal,
    };
    Failure {
        kind,
        message: wire.message,
        model: some(wire.model),
        file: some(wire.file),
        line: wire.line,
        column: wire.column,
        snippet: wire.snippet,
        cause: wire.cause,
        span: wire.span,
        stage: wire.stage,
        notes: wire.notes,
        chain: wire.chain,
        retryable: wire.retryable,
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn job_state(state: v1::JobState) -> JobState {
    match state {
        v1::JobState::Queued | v1::JobState::Unspecified => JobState::Queued,
        v1::JobState::Running => JobState::Running,
        v1::JobState::Succeeded => JobState::Succeeded,
        v1::JobState::Failed => JobState::Failed,
        v1::JobState::Cancelled => JobState::Cancelled,
        v1::JobState::Interrupted => JobState::Interrupted,
    }
}

/// The state a cancelled job is in.
pub fn cancelled(wire: &v1::CancelJobResponse) -> JobState {
    job_state(wire.state())
}

/// How far a query is.
pub fn stage_progress(wire: v1::StageProgress) -> StageProgress {
    StageProgress {
        model: wire.model,
        stage: wire.stage,
        stages: wire.stages,
        tasks_done: wire.tasks_done,
        tasks: wire.tasks,
        tasks_retried: wire.tasks_retried,
        rows: wire.rows,
        bytes: wire.bytes,
    }
}

/// An event; `None` for a kind that this client is too old to know.
pub fn event(wire: v1::JobEvent) -> Option<JobEvent> {
    use v1::job_event::Event;
    let boxed = |wire: Option<v1::Failure>| wire.map(|wire| Box::new(failure(wire)));
    let kind = match wire.event? {
        Event::Queued(e) => EventKind::Queued {
            project: e.project,
            position: e.position,
            trace_id: e.trace_id,
        },
        Event::Planned(e) => EventKind::Planned {
            project: e.project,
            models: e.models.into_iter().map(planned_model).collect(),
            executors: e.executors,
            slots: e.slots,
        },
        Event::Waiting(e) => EventKind::Waiting { reason: e.reason },
        Event::AttemptStarted(e) => EventKind::AttemptStarted {
            attempt: e.attempt,
            reason: e.reason,
        },
        Event::ModelStarted(e) => EventKind::ModelStarted {
            model: e.model,
            attempt: e.attempt,
        },
        Event::StageProgress(e) => EventKind::StageProgress(stage_progress(e)),
        Event::ModelStaged(e) => EventKind::ModelStaged {
            model: e.model,
            rows: e.rows,
            bytes: e.bytes,
            files: e.files,
            stages: e.stages,
            elapsed_ms: e.elapsed_ms,
            note: e.note,
        },
        Event::ModelFailed(e) => EventKind::ModelFailed {
            failure: boxed(e.failure).unwrap_or_else(|| {
                Box::new(Failure::new(
                    FailureKind::Internal,
                    format!("model {} failed", e.model),
                ))
            }),
            model: e.model,
        },
        Event::ModelSkipped(e) => EventKind::ModelSkipped {
            model: e.model,
            because: e.because,
        },
        Event::TestsStarted(e) => EventKind::TestsStarted {
            tests: e.tests,
            queries: e.queries,
        },
        Event::Tested(e) => EventKind::Tested {
            results: e.results.into_iter().map(test_result).collect(),
            elapsed_ms: e.elapsed_ms,
        },
        Event::Published(e) => EventKind::Published {
            tables: e.tables.into_iter().map(published_table).collect(),
            elapsed_ms: e.elapsed_ms,
        },
        Event::Finished(e) => EventKind::Finished {
            state: job_state(e.state()),
            elapsed_ms: e.elapsed_ms,
            failure: boxed(e.failure),
        },
        Event::QueryRestarted(e) => EventKind::QueryRestarted {
            model: e.model,
            run: e.run,
            reason: e.reason,
        },
        Event::Warning(e) => EventKind::Warning {
            text: e.text,
            path: e.path,
            line: e.line,
        },
        Event::ExecutorLost(e) => EventKind::ExecutorLost {
            executor_id: e.executor_id,
            reason: e.reason,
        },
    };
    Some(JobEvent {
        job_id: wire.job_id,
        seq: wire.seq,
        time_us: wire.time_us,
        kind,
    })
}

fn planned_model(wire: v1::PlannedModel) -> PlannedModel {
    PlannedModel {
        model: wire.model,
        materialized: wire.materialized,
        path: wire.path,
        depends_on: wire.depends_on,
    }
}

fn published_table(wire: v1::PublishedTable) -> PublishedTable {
    PublishedTable {
        table: wire.table,
        materialized: wire.materialized,
        rows: wire.rows,
        rows_before: wire.rows_before,
        snapshot_id: wire.snapshot_id,
        elapsed_ms: wire.elapsed_ms,
    }
}

/// A job of a list, or one with its models.
pub fn job(wire: v1::Job) -> facts::Job {
    facts::Job {
        state: job_state(wire.state()),
        id: wire.id,
        project: wire.project,
        submitted_by: wire.submitted_by,
        submitted_at_us: wire.submitted_at_us,
        started_at_us: wire.started_at_us,
        finished_at_us: wire.finished_at_us,
        attempts: wire.attempts,
        models_total: wire.models_total,
        models_done: wire.models_done,
        rows_written: wire.rows_written,
        bytes_written: wire.bytes_written,
        failure: wire.failure.map(failure),
        models: wire.models.into_iter().map(model_run).collect(),
        trace_id: wire.trace_id,
        test_counts: wire.test_counts.map(test_counts).unwrap_or_default(),
        tests: wire.tests.into_iter().map(test_result).collect(),
    }
}

fn test_counts(wire: v1::TestCounts) -> TestCounts {
    TestCounts {
        passed: wire.passed,
        warned: wire.warned,
        failed: wire.failed,
        skipped: wire.skipped,
    }
}

fn test_result(wire: v1::TestResult) -> TestResult {
    let state = match wire.state() {
        v1::TestState::Passed => TestState::Passed,
        v1::TestState::Warned => TestState::Warned,
        v1::TestState::Failed => TestState::Failed,
        v1::TestState::Skipped | v1::TestState::Unspecified => TestState::Skipped,
    };
    TestResult {
        test: wire.test,
        about: wire.about,
        column: some(wire.column),
        path: wire.path,
        line: wire.line,
        state,
        failures: wire.failures,
        elapsed_ms: wire.elapsed_ms,
        failure: wire.failure.map(|wire| Box::new(failure(wire))),
    }
}

fn model_run(wire: v1::ModelRun) -> facts::ModelRun {
    let state = match wire.state() {
        v1::ModelState::Waiting | v1::ModelState::Unspecified => ModelState::Waiting,
        v1::ModelState::Running => ModelState::Running,
        v1::ModelState::Staged => ModelState::Staged,
        v1::ModelState::Published => ModelState::Published,
        v1::ModelState::Failed => ModelState::Failed,
        v1::ModelState::Skipped => ModelState::Skipped,
    };
    facts::ModelRun {
        model: wire.model,
        state,
        rows: wire.rows,
        bytes: wire.bytes,
        files: wire.files,
        stages: wire.stages,
        started_at_us: wire.started_at_us,
        finished_at_us: wire.finished_at_us,
        snapshot_id: wire.snapshot_id,
    }
}

/// A published table or view.
pub fn table(wire: v1::Table) -> facts::Table {
    facts::Table {
        name: wire.name,
        kind: wire.kind,
        rows: wire.rows,
        bytes: wire.bytes,
        files: wire.files,
        snapshot_id: wire.snapshot_id,
        updated_at_us: wire.updated_at_us,
        location: wire.location,
        metadata_location: wire.metadata_location,
        partition_by: wire.partition_by,
        columns: wire
            .columns
            .into_iter()
            .map(|column| facts::Column {
                name: column.name,
                r#type: column.r#type,
                required: column.required,
            })
            .collect(),
    }
}

/// One state of a table.
pub fn snapshot(wire: v1::Snapshot) -> facts::Snapshot {
    facts::Snapshot {
        id: wire.id,
        parent_id: wire.parent_id,
        committed_at_us: wire.committed_at_us,
        operation: wire.operation,
        summary: wire.summary.into_iter().collect(),
    }
}

/// The executors and what they are doing.
pub fn cluster_status(wire: v1::ClusterStatus) -> facts::ClusterStatus {
    let executor = |wire: v1::Executor| facts::Executor {
        id: wire.id,
        host: wire.host,
        flight_port: wire.flight_port,
        grpc_port: wire.grpc_port,
        slots: wire.slots,
        slots_free: wire.slots_free,
        state: wire.state,
        last_heartbeat_us: wire.last_heartbeat_us,
        tasks_running: wire.tasks_running,
    };
    facts::ClusterStatus {
        executors: wire.executors.into_iter().map(executor).collect(),
        slots: wire.slots,
        slots_free: wire.slots_free,
        jobs_running: wire.jobs_running,
        jobs_queued: wire.jobs_queued,
        version: wire.version,
        started_at_us: wire.started_at_us,
    }
}

/// What a model would do if it ran now.
pub fn explanation(wire: v1::ModelExplanation) -> facts::Explanation {
    facts::Explanation {
        model: wire.model,
        path: wire.path,
        materialized: wire.materialized,
        rendered_sql: wire.rendered_sql,
        reads: wire.reads,
        logical_plan: wire.logical_plan,
        physical_plan: wire.physical_plan,
        writes: wire.writes,
        tests: wire.tests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_failure_in_the_details() {
        let wire = v1::Failure {
            kind: 1,
            message: "cannot plan".into(),
            file: "a.sql".into(),
            line: 3,
            ..Default::default()
        };
        let status = tonic::Status::with_details(
            tonic::Code::InvalidArgument,
            "cannot plan",
            wire.encode_to_vec().into(),
        );
        let failure = failure_of_status(&status).unwrap();
        assert_eq!(
            (failure.kind, failure.file.as_deref(), failure.line),
            (FailureKind::Project, Some("a.sql"), 3)
        );
        assert_eq!(failure_of_status(&tonic::Status::not_found("no job")), None);
    }

    #[test]
    fn an_event_of_a_newer_server_is_passed_over() {
        assert_eq!(
            event(v1::JobEvent {
                job_id: "7f3a".into(),
                seq: 4,
                time_us: 1,
                event: None
            }),
            None
        );
    }
}
