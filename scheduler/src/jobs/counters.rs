//! Jobs and their events as metrics.

use std::collections::HashMap;
use std::time::Duration;

use retail_api::events::EventKind;
use retail_api::job::JobState;
use retail_telemetry::metrics;

/// A job whose turn came after it had waited so long.
pub(super) fn started(waited: Duration) {
    metrics().job_queue_seconds.observe(waited.as_secs_f64());
}

/// A job that ended, after it had run so long; `None` for a job that never ran here.
pub(super) fn ended(state: JobState, ran: Option<Duration>) {
    let m = metrics();
    m.jobs_total.with_label_values(&[state.as_ref()]).inc();
    if let Some(ran) = ran {
        m.job_seconds
            .with_label_values(&[state.as_ref()])
            .observe(ran.as_secs_f64());
    }
}

/// Counts an event. `retried` holds how many tasks of each model were retried so far.
pub(super) fn event(event: &EventKind, retried: &mut HashMap<String, u32>) {
    let m = metrics();
    let retried_by = |what: &str, by| m.retries_total.with_label_values(&[what]).inc_by(by);
    let model = |outcome: &str| m.models_total.with_label_values(&[outcome]).inc();
    match event {
        EventKind::AttemptStarted { attempt } => {
            retried.clear();
            retried_by("attempt", u64::from(*attempt > 1));
        }
        EventKind::QueryRestarted { .. } => retried_by("query", 1),
        EventKind::StageProgress(progress) => {
            let before = retried
                .insert(progress.model.clone(), progress.tasks_retried)
                .unwrap_or(0);
            let more = progress.tasks_retried.saturating_sub(before);
            retried_by("task", u64::from(more));
        }
        EventKind::ModelStaged {
            model: name,
            rows,
            bytes,
            stages,
            elapsed_ms,
            ..
        } => {
            model("staged");
            let seconds = *elapsed_ms as f64 / 1000.0;
            m.model_seconds.observe(seconds);
            m.model_last_seconds.set(name, seconds);
            m.stages_total.inc_by(u64::from(*stages));
            m.rows_written_total.inc_by(*rows);
            m.bytes_written_total.inc_by(*bytes);
        }
        EventKind::ModelFailed { .. } => model("failed"),
        EventKind::ModelSkipped { .. } => model("skipped"),
        EventKind::Tested {
            results,
            elapsed_ms,
        } => {
            m.test_seconds.observe(*elapsed_ms as f64 / 1000.0);
            for result in results {
                m.tests_total
                    .with_label_values(&[result.state.as_ref()])
                    .inc();
            }
        }
        // A view has no snapshot.
        EventKind::Published { tables, .. } => {
            let snapshots = tables.iter().filter(|table| table.snapshot_id.is_some());
            m.snapshots_total.inc_by(snapshots.count() as u64);
        }
        _ => {}
    }
}
