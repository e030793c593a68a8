//! Our types as wire messages. Besides the service files, nothing else in this crate names prost types.

use crate::store::{Job, ModelRun};
use prost::Message;
use retail_api::events::{
    EventKind, JobEvent, JobState, ModelState, PlannedModel, PublishedTable, StageProgress,
    TestCounts, TestResult, TestState,
};
use retail_api::{Failure, FailureKind};
use retail_engine::{ClusterStatus, QueryProgress};
use retail_project::ProjectFile;
use retail_proto::v1;
use tonic::{Code, Status};

/// A failure as the status of a call, with the failure itself in the details.
pub fn status(code: Code, failure: Failure) -> Status {
    let text = failure.to_string();
    Status::with_details(code, text, self::failure(failure).encode_to_vec().into())
}

/// The status that fits a failure's kind.
pub fn status_of(failure: Failure) -> Status {
    let code = match failure.kind {
        FailureKind::Project => Code::InvalidArgument,
        FailureKind::Source => Code::FailedPrecondition,
        FailureKind::Test => Code::FailedPrecondition,
        FailureKind::Execution | FailureKind::Internal => Code::Internal,
        FailureKind::Publish => Code::Aborted,
        FailureKind::Storage | FailureKind::NoExecutor => Code::Unavailable,
        FailureKind::Cancelled => Code::Cancelled,
    };
    status(code, failure)
}

/// A project's files as they came.
pub fn project_files(files: Vec<v1::ProjectFile>) -> Vec<ProjectFile> {
    files
        .into_iter()
        .map(|file| ProjectFile {
            path: file.path,
            content: file.content,
        })
        .collect()
}

/// A failure.
pub fn failure(failure: Failure) -> v1::Failure {
    let kind = match failure.kind {
        FailureKind::Project => v1::FailureKind::Project,
        FailureKind::Source => v1::FailureKind::Source,
        FailureKind::Execution => v1::FailureKind::Execution,
        FailureKind::Test => v1::FailureKind::Test,
        FailureKind::Publish => v1::FailureKind::Publish,
        FailureKind::Storage => v1::FailureKind::Storage,
        FailureKind::NoExecutor => v1::FailureKind::NoExecutor,
        FailureKind::Cancelled => v1::FailureKind::Cancelled,
        FailureKind::Internal => v1::FailureKind::Internal,
    };
    v1::Failure {
        kind: kind.into(),
        message: failure.message,
        model: failure.model.unwrap_or_default(),
        file: failure.file.unwrap_or_default(),
        line: failure.line,
        column: failure.column,
        snippet: failure.snippet,
        cause: failure.cause,
        span: failure.span,
        stage: failure.stage,
        notes: failure.notes,
        chain: failure.chain,
        retryable: failure.retryable,
    }
}

/// Where a job is in its life.
pub fn job_state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Succeeded => v1::JobState::Succeeded,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
        JobState::Interrupted => v1::JobState::Interrupted,
    }
}

fn model_state(state: ModelState) -> v1::ModelState {
    match state {
        ModelState::Waiting => v1::ModelState::Waiting,
        ModelState::Running => v1::ModelState::Running,
        ModelState::Staged => v1::ModelState::Staged,
        ModelState::Published => v1::ModelState::Published,
        ModelState::Failed => v1::ModelState::Failed,
        ModelState::Skipped => v1::ModelState::Skipped,
    }
}

/// A job with its models.
pub fn job(job: Job) -> v1::Job {
    v1::Job {
        id: job.id,
        project: job.project,
        state: job_state(job.state).into(),
        submitted_by: job.submitted_by,
        submitted_at_us: job.submitted_at_us,
        started_at_us: job.started_at_us,
        finished_at_us: job.finished_at_us,
        attempts: job.attempts,
        models_total: job.models_total,
        models_done: job.models_done,
        rows_written: job.rows_written,
        bytes_written: job.bytes_written,
        failure: job.failure.map(failure),
        models: job.models.into_iter().map(model_run).collect(),
        trace_id: job.trace_id,
        test_counts: Some(test_counts(job.test_counts)),
        tests: job.tests.into_iter().map(test_result).collect(),
    }
}

fn test_counts(counts: TestCounts) -> v1::TestCounts {
    v1::TestCounts {
        passed: counts.passed,
        warned: counts.warned,
        failed: counts.failed,
        skipped: counts.skipped,
    }
}

fn test_result(result: TestResult) -> v1::TestResult {
    let state = match result.state {
        TestState::Passed => v1::TestState::Passed,
        TestState::Warned => v1::TestState::Warned,
        TestState::Failed => v1::TestState::Failed,
        TestState::Skipped => v1::TestState::Skipped,
    };
    v1::TestResult {
        test: result.test,
        about: result.about,
        column: result.column.unwrap_or_default(),
        path: result.path,
        line: result.line,
        state: state.into(),
        failures: result.failures,
        elapsed_ms: result.elapsed_ms,
        failure: result.failure.map(|f| failure(*f)),
    }
}

fn model_run(run: ModelRun) -> v1::ModelRun {
    v1::ModelRun {
        model: run.model,
        state: model_state(run.state).into(),
        rows: run.rows,
        bytes: run.bytes,
        files: run.files,
        stages: run.stages,
        started_at_us: run.started_at_us,
        finished_at_us: run.finished_at_us,
        snapshot_id: run.snapshot_id,
    }
}

/// One fact of a job.
pub fn event(event: JobEvent) -> v1::JobEvent {
    use v1::job_event::Event;
    let kind = match event.kind {
        EventKind::Queued {
            project,
            position,
            trace_id,
        } => Event::Queued(v1::JobQueued {
            project,
            position,
            trace_id,
        }),
        EventKind::Planned {
            project,
            models,
            executors,
            slots,
        } => Event::Planned(v1::JobPlanned {
            project,
            models: models.into_iter().map(planned_model).collect(),
            executors,
            slots,
        }),
        EventKind::Waiting { reason } => Event::Waiting(v1::Waiting { reason }),
        EventKind::AttemptStarted { attempt, reason } => {
            Event::AttemptStarted(v1::AttemptStarted { attempt, reason })
        }
        EventKind::ModelStarted { model, attempt } => {
            Event::ModelStarted(v1::ModelStarted { model, attempt })
        }
        EventKind::StageProgress(progress) => Event::StageProgress(stage_progress(progress)),
        EventKind::ModelStaged {
            model,
            rows,
            bytes,
            files,
            stages,
            elapsed_ms,
            note,
        } => Event::ModelStaged(v1::ModelStaged {
            model,
            rows,
            bytes,
            files,
            stages,
            elapsed_ms,
            note,
        }),
        EventKind::ModelFailed { model, failure } => Event::ModelFailed(v1::ModelFailed {
            model,
            failure: Some(self::failure(*failure)),
        }),
        EventKind::ModelSkipped { model, because } => {
            Event::ModelSkipped(v1::ModelSkipped { model, because })
        }
        EventKind::TestsStarted { tests, queries } => {
            Event::TestsStarted(v1::TestsStarted { tests, queries })
        }
        EventKind::Tested {
            results,
            elapsed_ms,
        } => Event::Tested(v1::Tested {
            results: results.into_iter().map(test_result).collect(),
            elapsed_ms,
        }),
        EventKind::Published { tables, elapsed_ms } => Event::Published(v1::Published {
            tables: tables.into_iter().map(published_table).collect(),
            elapsed_ms,
        }),
        EventKind::Finished {
            state,
            failure,
            elapsed_ms,
        } => Event::Finished(v1::JobFinished {
            state: job_state(state).into(),
            failure: failure.map(|f| self::failure(*f)),
            elapsed_ms,
        }),
        EventKind::QueryRestarted { model, run, reason } => {
            Event::QueryRestarted(v1::QueryRestarted { model, run, reason })
        }
        EventKind::Warning { text, path, line } => Event::Warning(v1::Warning { text, path, line }),
        EventKind::ExecutorLost {
            executor_id,
            reason,
        } => Event::ExecutorLost(v1::ExecutorLost {
            executor_id,
            reason,
        }),
    };
    v1::JobEvent {
        job_id: event.job_id,
        seq: event.seq,
        time_us: event.time_us,
        event: Some(kind),
    }
}

fn planned_model(model: PlannedModel) -> v1::PlannedModel {
    v1::PlannedModel {
        model: model.model,
        materialized: model.materialized,
        path: model.path,
        depends_on: model.depends_on,
    }
}

fn published_table(table: PublishedTable) -> v1::PublishedTable {
    v1::PublishedTable {
        table: table.table,
        rows: table.rows,
        rows_before: table.rows_before,
        snapshot_id: table.snapshot_id,
        elapsed_ms: table.elapsed_ms,
        materialized: table.materialized,
    }
}

fn stage_progress(progress: StageProgress) -> v1::StageProgress {
    v1::StageProgress {
        model: progress.model,
        stage: progress.stage,
        stages: progress.stages,
        tasks_done: progress.tasks_done,
        tasks: progress.tasks,
        tasks_retried: progress.tasks_retried,
        rows: progress.rows,
        bytes: progress.bytes,
    }
}

/// How far a query outside jobs is; it has no model.
pub fn query_progress(progress: &QueryProgress) -> v1::StageProgress {
    v1::StageProgress {
        model: String::new(),
        stage: progress.stage,
        stages: progress.stages,
        tasks_done: progress.tasks_done,
        tasks: progress.tasks,
        tasks_retried: progress.tasks_retried,
        rows: progress.rows,
        bytes: progress.bytes,
    }
}

/// The executors; the numbers of jobs, version and start are the caller's.
pub fn cluster_status(status: ClusterStatus) -> v1::ClusterStatus {
    let (slots, slots_free) = (status.slots(), status.slots_free());
    let executor = |executor: retail_engine::ExecutorStatus| v1::Executor {
        id: executor.id,
        host: executor.host,
        flight_port: executor.flight_port.into(),
        grpc_port: executor.grpc_port.into(),
        slots: executor.slots,
        slots_free: executor.slots_free,
        state: executor.state.as_str().to_owned(),
        last_heartbeat_us: executor.last_heartbeat_us,
        tasks_running: executor.tasks_running,
    };
    v1::ClusterStatus {
        executors: status.executors.into_iter().map(executor).collect(),
        slots,
        slots_free,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
