//! Spans of a job's models, for traces and for log lines.

use tracing::Span;
use tracing::field::Empty;

use retail_api::Failure;
use retail_project::Model;

use super::outcome::Outcome;
use crate::job::Attempt;

/// A model in one attempt of a job.
pub(super) fn model(attempt: &Attempt<'_>, model: &Model) -> Span {
    tracing::info_span!(
        "model",
        job = %attempt.spec.id,
        model = %model.table,
        materialized = %model.materialized,
        attempt = attempt.number,
        rows = Empty,
        bytes = Empty,
        files = Empty,
        stages = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// How a model ended. Of a failure only its kind: its text may quote SQL or data.
pub(super) fn ended(span: &Span, outcome: &Result<Outcome, Failure>) {
    match outcome {
        Ok(result) => {
            span.record("rows", result.rows);
            span.record("bytes", result.bytes);
            span.record("files", result.files);
            span.record("stages", result.stages);
        }
        Err(failure) => {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", failure.kind.as_ref());
        }
    }
}
