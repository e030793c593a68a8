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
mod foreign;
mod inputs;
mod publish;

use futures::FutureExt;
use futures::future::BoxFuture;
use retail_api::events::{EventKind, PlannedModel};
use retail_api::{Failure, FailureKind, Unpublished};
use retail_engine::ExecutorWait;
use retail_lakehouse::LakehouseError;
use tokio_util::sync::CancellationToken;

use crate::failures;
use crate::job::{
    Attempt, CONFLICT_PAUSE, EventSink, JobContext, JobSpec, JobSummary, MAX_ATTEMPTS,
};
use crate::quality::StoredRows;

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
        let first = Attempt {
            spec,
            context,
            number: 1,
            events,
            cancel,
        };
        let outcome = run(first, &stored).await;
        outcome.map_err(|failure| {
            stored.added_to(match spec.tests_only {
                true => failure,
                false => with_what_is_unpublished(failure),
            })
        })
    }
    .boxed()
}

/// Failures of the publish itself state what became of the tables, or that it is not known.
fn with_what_is_unpublished(mut failure: Failure) -> Failure {
    if failure.kind != FailureKind::Publish {
        failure.unpublished.get_or_insert(Unpublished::Everything);
    }
    failure
}

async fn run(mut attempt: Attempt<'_>, stored: &StoredRows) -> Result<JobSummary, Failure> {
    let Attempt { spec, context, .. } = attempt;
    let status = context.cluster.status().await;
    attempt.send(EventKind::Planned {
        project: spec.project.name.clone(),
        models: planned(spec),
        executors: status.executors.len() as u32,
        slots: status.slots(),
    });
    warn(&attempt);
    if spec.tests_only {
        wait_for_executor(&attempt).await?;
        return audit::published(&attempt, stored).await;
    }
    let checked = check::check(spec, context).await?;
    let waited = wait_for_executor(&attempt).await?;
    // What was listed before a wait may be of yesterday.
    let mut inputs = (!waited).then_some(checked);
    loop {
        let number = attempt.number;
        attempt.send(EventKind::AttemptStarted { attempt: number });
        let now = match inputs.take() {
            Some(inputs) => inputs,
            None => inputs::open(spec, context).await?,
        };
        match attempt::run(&attempt, &now, stored).await {
            Err(publish::NotPublished::Conflict { error })
                if number < MAX_ATTEMPTS && !attempt.cancel.is_cancelled() =>
            {
                let reason = format!("{error}; running again on the tables as they are now");
                tracing::warn!(job = %spec.id, attempt = number, reason, "publish conflict");
                attempt.send(EventKind::Waiting { reason });
                tokio::time::sleep(CONFLICT_PAUSE * number).await;
                attempt.number += 1;
            }
            Err(publish::NotPublished::Conflict { error }) => return Err(gave_up(&error, number)),
            Err(publish::NotPublished::Failed(failure)) => return Err(*failure),
            Ok(mut summary) => {
                summary.attempts = number;
                return Ok(summary);
            }
        }
    }
}

/// What is odd about the project and the selection, and stops nothing.
fn warn(attempt: &Attempt<'_>) {
    let spec = attempt.spec;
    for warning in &spec.project.warnings {
        attempt.send(EventKind::Warning {
            text: warning.text.clone(),
            path: warning.at.file.clone(),
            line: warning.at.line,
        });
    }
    for model in spec.selected_models().filter(|model| model.is_analysis) {
        attempt.send(EventKind::Warning {
            text: "an analysis is run, and its rows are written nowhere".to_string(),
            path: model.path.clone(),
            line: 0,
        });
    }
}

fn planned(spec: &JobSpec) -> Vec<PlannedModel> {
    if spec.tests_only {
        return vec![];
    }
    spec.selected_models()
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
async fn wait_for_executor(attempt: &Attempt<'_>) -> Result<bool, Failure> {
    let (cluster, timeout) = (&attempt.context.cluster, attempt.spec.executor_timeout);
    let on_wait = |reason| attempt.send(EventKind::Waiting { reason });
    match retail_engine::wait_for_executor(cluster.as_ref(), timeout, attempt.cancel, on_wait).await
    {
        ExecutorWait::NotNeeded => Ok(false),
        ExecutorWait::Came => Ok(true),
        ExecutorWait::TimedOut => Err(failures::no_executor(timeout)),
        ExecutorWait::Cancelled => Err(failures::cancelled()),
    }
}

fn gave_up(error: &LakehouseError, attempts: u32) -> Failure {
    Failure::new(FailureKind::Publish, format!("cannot publish: {error}"))
        .note(format!("other runs published first in {attempts} attempts"))
        .note("run one job at a time over the same tables, or run this one again")
        .unpublished(Unpublished::Everything)
        .caused_by(error)
        .retryable(true)
}
