//! What this crate reports: observations to whoever counts them, and the outcome of a span.
//!
//! This crate knows no metrics: a process that has some gives an [`Observer`] when it opens its catalog
//! ([`crate::Lakehouse::open_observed`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Span;

use crate::error::{LakehouseError, Result};

/// Gets every observation, on the thread where it happens: it must not block.
pub type Observer = Arc<dyn Fn(Observation<'_>) + Send + Sync>;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation<'a> {
    /// A request to the catalog's database was answered.
    CatalogRequest {
        operation: CatalogOperation,
        outcome: CatalogOutcome,
        took: Duration,
    },
    /// A table's new metadata was written.
    Staged {
        /// Sizes of the data files that are new in it.
        file_bytes: &'a [u64],
        took: Duration,
    },
}

/// The kind of a request to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogOperation {
    Pin,
    Publish,
    Drop,
}

/// How a request to the catalog ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogOutcome {
    Ok,
    /// Somebody else published first: an answer, not an error.
    Conflict,
    Error,
}

impl CatalogOperation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Publish => "publish",
            Self::Drop => "drop",
        }
    }
}

/// A request to the catalog's database: reports its end and returns its answer.
pub(crate) fn catalog<T>(
    observer: Option<&Observer>,
    operation: CatalogOperation,
    began: Instant,
    answer: Result<T>,
) -> Result<T> {
    if let Some(observer) = observer {
        let outcome = match &answer {
            Ok(_) => CatalogOutcome::Ok,
            Err(LakehouseError::PublishConflict { .. }) => CatalogOutcome::Conflict,
            Err(_) => CatalogOutcome::Error,
        };
        observer(Observation::CatalogRequest {
            operation,
            outcome,
            took: began.elapsed(),
        });
    }
    answer
}

/// Returns an outcome, and marks `span` as failed if it is an error; the error's own text may hold more than a trace
/// should.
pub(crate) fn record_failure<T, E>(span: &Span, outcome: Result<T, E>) -> Result<T, E> {
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", "failed");
    }
    outcome
}
