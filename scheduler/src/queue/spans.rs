//! The span of a job, from its acceptance to its last event.

use crate::store::Job;
use retail_api::Failure;
use retail_api::events::JobState;
use retail_telemetry::trace;
use tracing::Span;
use tracing::field::Empty;

/// A job's span, under its client's where the client traces.
pub(super) fn job(job: &Job, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "job",
        otel.kind = "server",
        job = %job.id,
        project = %job.project,
        models = job.models_total,
        state = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    if let Some(client) = traceparent {
        trace::follow(&span, client);
    }
    span
}

/// What the current span's job came to. Of a failure only its kind: its text may quote SQL or data.
pub(super) fn ended(state: JobState, failure: Option<&Failure>) {
    let span = Span::current();
    let name = match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Interrupted => "interrupted",
    };
    span.record("state", name);
    if state != JobState::Succeeded {
        span.record("otel.status_code", "ERROR");
        let why = failure.map_or(name, |failure| failure.kind.name());
        span.record("otel.status_description", why);
    }
}
