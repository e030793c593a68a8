//! The span of a job, from its acceptance to its last event.

use retail_api::Failure;
use retail_api::job::{Job, JobState};
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
    span.record("state", state.as_ref());
    if state != JobState::Succeeded {
        span.record("otel.status_code", "ERROR");
        let why = failure.map_or(state.as_ref(), |failure| failure.kind.as_ref());
        span.record("otel.status_description", why);
    }
}
