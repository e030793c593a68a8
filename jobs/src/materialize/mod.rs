//! Makes one model's relation: its SQL, to staged metadata that only this run reads.
//!
//! ```text
//!  table      SQL on the cluster ── data files ── staged table
//!  view       planned SQL ── staged view, with the sources and ephemeral models it reads
//!  ephemeral  planned SQL, which the models that read it contain
//! ```
//!
//! Each puts its relation into the run's catalog, where the models after it find it.

mod ephemeral;
mod outcome;
mod spans;
mod table;
mod view;

use std::sync::Arc;
use std::time::Instant;

use retail_api::Failure;
use retail_api::events::EventKind;
use retail_engine::PinnedCatalog;
use retail_lakehouse::SourceFiles;
use retail_project::{Materialized, Model};
use tracing::Instrument;

use crate::job::Attempt;
pub(crate) use outcome::Outcome;
pub(crate) use table::write_options;

/// What a model reads.
#[derive(Clone, Copy)]
pub(crate) struct Reads<'a> {
    /// The names that its SQL can use.
    pub catalog: &'a Arc<PinnedCatalog>,
    /// The source files it is made of.
    pub files: Option<&'a SourceFiles>,
}

/// Runs a model and puts its result where the models after it read it.
///
/// # Errors
/// What failed, with the model's file and, for SQL, its line and column.
pub(crate) async fn run(
    attempt: &Attempt<'_>,
    reads: Reads<'_>,
    model: &Model,
) -> Result<Outcome, Failure> {
    let span = spans::model(attempt, model);
    let outcome = materialize(attempt, reads, model)
        .instrument(span.clone())
        .await;
    spans::ended(&span, &outcome);
    outcome
}

async fn materialize(
    attempt: &Attempt<'_>,
    reads: Reads<'_>,
    model: &Model,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    attempt.send(EventKind::ModelStarted {
        model: model.table.to_string(),
        attempt: attempt.number,
    });
    let mut outcome = match model.materialized {
        Materialized::Ephemeral => ephemeral::plan(reads.catalog, model).await?,
        Materialized::View => view::stage(attempt, reads.catalog, model).await?,
        Materialized::Table => table::write(attempt, reads, model).await?,
    };
    outcome.elapsed_ms = started.elapsed().as_millis() as u64;
    attempt.send(EventKind::ModelStaged {
        model: model.table.to_string(),
        rows: outcome.rows,
        bytes: outcome.bytes,
        files: outcome.files,
        stages: outcome.stages,
        elapsed_ms: outcome.elapsed_ms,
    });
    Ok(outcome)
}
