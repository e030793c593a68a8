//! Runs a job: pins what it reads, runs its models in order, and publishes all of their tables at once.
//!
//! ```text
//!  check   plan every model against the schemas of the ones before it: a bad last model fails the job here
//!    │
//!  attempt ── pin, list ── run models, independent ones side by side ── hold tests ── publish ──┬── published
//!    ▲         sources    write files on executors, stage metadata                      ▲       │
//!    │                                                                                  └───────┤ another engine
//!    └───────── another run published one of the tables first ──────────────────────────────────┘ changed a table
//! ```
//!
//! Nothing is visible to readers before publish, and everything is after it. A run that fails leaves data
//! files that no table refers to; their names start with the write ids that its failure names.

mod attempt;
mod audit;
mod check;
pub(crate) mod failures;
mod foreign;
mod inputs;
mod model;
pub mod relations;
mod spans;
pub(crate) mod views;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use retail_engine::Cluster;
use retail_lakehouse::{Lakehouse, LakehouseError, Lease};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::quality::StoredRows;
use retail_api::events::{EventKind, PlannedModel, PublishedTable};
use retail_api::job::TestCounts;
use retail_api::{Failure, FailureKind, JobId};
use retail_project::{ModelName, Project};

/// Where a job's facts go, in order.
pub type EventSink = mpsc::UnboundedSender<EventKind>;

/// Attempts before a job gives up on tables that others keep changing.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// Before the second attempt; twice that before the third.
pub(crate) const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The job's id, which is also the publish id of its snapshots.
    pub id: JobId,
    pub project: Arc<Project>,
    /// The models to run, in the order of the graph.
    pub selected: Vec<ModelName>,
    /// Fail when no executor is there after this long; none waits without end.
    pub executor_timeout: Option<Duration>,
    /// Only hold the tests of the selected models against what is published; nothing is written.
    pub tests_only: bool,
    /// Publish although source files are gone that the published tables were made of.
    pub allow_removed_files: bool,
    /// Stop instead of rebuilding tables that other engines changed; else they are named and what they wrote goes.
    pub keep_foreign_rows: bool,
}

/// What to run it with.
#[derive(Clone)]
pub struct JobContext {
    pub lake: Lakehouse,
    pub cluster: Arc<dyn Cluster>,
    /// What its publishes must still hold at their commit; none where nobody else runs jobs on the catalog.
    pub lease: Option<Lease>,
}

/// What a job did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobSummary {
    pub tables: Vec<PublishedTable>,
    pub tests: TestCounts,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub attempts: u32,
}

/// Runs a job to its end. Events say what happens meanwhile; the last one, `Finished`, is the caller's.
///
/// # Errors
/// A [`Failure`] that names the model, file and line where it can; of the run's tables nothing was published then. It
/// names the tables that keep failing rows of tests where they were replaced.
pub fn run_job<'a>(
    spec: &'a JobSpec,
    context: &'a JobContext,
    events: &'a EventSink,
    cancel: &'a CancellationToken,
) -> BoxFuture<'a, Result<JobSummary, Failure>> {
    // Boxed, so that callers can spawn it without proving Send for every lifetime inside.
    async move {
        let stored = StoredRows::default();
        let outcome = run(spec, context, events, cancel, &stored).await;
        outcome.map_err(|failure| {
            stored.told_in(match spec.tests_only {
                true => failure,
                false => says_what_became_of_the_tables(failure),
            })
        })
    }
    .boxed()
}

/// Whoever reads a failure at night asks this first. Failures of the publish itself say it in their own words.
fn says_what_became_of_the_tables(failure: Failure) -> Failure {
    let said = failure
        .notes
        .iter()
        .any(|note| note.starts_with("nothing was "));
    if said || failure.kind == FailureKind::Publish {
        return failure;
    }
    failure.note("nothing was published; the tables are as they were")
}

async fn run(
    spec: &JobSpec,
    context: &JobContext,
    events: &EventSink,
    cancel: &CancellationToken,
    stored: &StoredRows,
) -> Result<JobSummary, Failure> {
    let status = context.cluster.status().await;
    send(
        events,
        EventKind::Planned {
            project: spec.project.name.clone(),
            models: planned(spec),
            executors: status.executors.len() as u32,
            slots: status.slots(),
        },
    );
    for warning in &spec.project.warnings {
        send(
            events,
            EventKind::Warning {
                text: warning.text.clone(),
                path: warning.at.file.clone(),
                line: warning.at.line,
            },
        );
    }
    for model in spec
        .selected
        .iter()
        .filter_map(|name| spec.project.model(name))
    {
        if model.is_analysis {
            send(
                events,
                EventKind::Warning {
                    text: "an analysis is run, and its rows are written nowhere".to_string(),
                    path: model.path.clone(),
                    line: 0,
                },
            );
        }
    }
    if spec.tests_only {
        wait_for_executor(spec, context, events, cancel).await?;
        return audit::published(spec, context, events, cancel, stored).await;
    }
    let checked = check::check(spec, context).await?;
    let waited = wait_for_executor(spec, context, events, cancel).await?;
    // What was listed before a wait may be of yesterday.
    let mut inputs = (!waited).then_some(checked);
    let mut attempt = 1;
    loop {
        send(events, EventKind::AttemptStarted { attempt });
        let now = match inputs.take() {
            Some(inputs) => inputs,
            None => inputs::open(spec, context).await?,
        };
        match attempt::run(spec, context, &now, attempt, events, cancel, stored).await {
            Err(attempt::AttemptError::Conflict { error })
                if attempt < MAX_ATTEMPTS && !cancel.is_cancelled() =>
            {
                let reason = format!("{error}; running again on the tables as they are now");
                tracing::warn!(job = %spec.id, attempt, reason, "publish conflict");
                send(events, EventKind::Waiting { reason });
                tokio::time::sleep(CONFLICT_PAUSE * attempt).await;
                attempt += 1;
            }
            Err(attempt::AttemptError::Conflict { error }) => return Err(gave_up(&error, attempt)),
            Err(attempt::AttemptError::Failed(failure)) => return Err(*failure),
            Ok(mut summary) => {
                summary.attempts = attempt;
                return Ok(summary);
            }
        }
    }
}

fn planned(spec: &JobSpec) -> Vec<PlannedModel> {
    if spec.tests_only {
        return vec![];
    }
    let models = spec
        .selected
        .iter()
        .filter_map(|name| spec.project.model(name));
    models
        .map(|model| PlannedModel {
            model: model.table.to_string(),
            materialized: model.materialized.to_string(),
            path: model.path.clone(),
            depends_on: model
                .depends_on
                .iter()
                .filter_map(|name| spec.project.model(name))
                .map(|model| model.table.to_string())
                .collect(),
        })
        .collect()
}

/// Whether it had to wait.
async fn wait_for_executor(
    spec: &JobSpec,
    context: &JobContext,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<bool, Failure> {
    if context.cluster.status().await.slots() > 0 {
        return Ok(false);
    }
    let reason = "no executor has a free slot (0 of 0); start one with retail-executor".to_string();
    send(events, EventKind::Waiting { reason });
    tokio::select! {
        () = cancel.cancelled() => Err(failures::cancelled()),
        came = context.cluster.wait_for_executor(spec.executor_timeout) => {
            if came { Ok(true) } else { Err(failures::no_executor(spec.executor_timeout)) }
        }
    }
}

fn gave_up(error: &LakehouseError, attempts: u32) -> Failure {
    Failure::new(FailureKind::Publish, format!("cannot publish: {error}"))
        .note(format!(
            "other runs published first in {attempts} attempts; nothing was published"
        ))
        .note("run one job at a time over the same tables, or run this one again")
        .caused_by(error)
        .retryable(true)
}

/// Nobody listening is no reason to stop a job.
fn send(events: &EventSink, event: EventKind) {
    let _ = events.send(event);
}
