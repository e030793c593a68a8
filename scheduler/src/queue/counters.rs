//! Jobs and their events as metrics.

use std::collections::HashMap;

use retail_jobs::events::{EventKind, JobState};
use retail_jobs::failure::{Failure, FailureKind};
use retail_telemetry::metrics;

use super::admission::Admission;

/// How many jobs run and wait.
pub(super) fn admission(admission: &Admission) {
    metrics().jobs_running.set(admission.running() as i64);
    metrics().jobs_queued.set(admission.waiting() as i64);
}

/// A job that ended. A conflict that no further attempt followed is counted here.
pub(super) fn ended(state: JobState, failure: Option<&Failure>) {
    let m = metrics();
    m.jobs_total.with_label_values(&[label(state)]).inc();
    if failure.is_some_and(|f| f.kind == FailureKind::Publish) {
        m.publish_conflicts_total.inc();
    }
}

/// Counts what an event says. `retried` holds how many tasks of each model have run again so far.
pub(super) fn event(event: &EventKind, retried: &mut HashMap<String, u32>) {
    let m = metrics();
    let model = |outcome: &str| m.models_total.with_label_values(&[outcome]).inc();
    match event {
        EventKind::AttemptStarted { attempt, .. } => {
            retried.clear();
            m.publish_conflicts_total.inc_by(u64::from(*attempt > 1));
        }
        EventKind::StageProgress(progress) => {
            let before = retried
                .insert(progress.model.clone(), progress.tasks_retried)
                .unwrap_or(0);
            let failed = u64::from(progress.tasks_retried.saturating_sub(before));
            m.tasks_total.with_label_values(&["failed"]).inc_by(failed);
        }
        EventKind::ModelStaged { rows, bytes, .. } => {
            model("staged");
            m.rows_written_total.inc_by(*rows);
            m.bytes_written_total.inc_by(*bytes);
        }
        EventKind::ModelFailed { .. } => model("failed"),
        EventKind::ModelSkipped { .. } => model("skipped"),
        EventKind::Published { elapsed_ms, .. } => {
            m.publish_seconds.observe(*elapsed_ms as f64 / 1000.0)
        }
        _ => {}
    }
}

fn label(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Interrupted => "interrupted",
    }
}
