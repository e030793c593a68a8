//! One attempt at a job: pin, run the models, hold the tests, publish.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use retail_api::Failure;
use retail_api::events::EventKind;
use retail_engine::PinnedCatalog;
use retail_project::{Model, ModelName};

use super::inputs::{self, Inputs, Lineage};
use super::publish::{self, NotPublished};
use super::{audit, foreign};
use crate::failures;
use crate::job::{Attempt, JobSummary};
use crate::materialize::{self, Outcome, Reads};
use crate::quality::StoredRows;

/// Models that run side by side, at most; more would only share the same slots and memory.
const MAX_PARALLEL_MODELS: usize = 4;

/// Runs all models on the tables of one point in time and publishes their tables together.
pub(super) async fn run(
    attempt: &Attempt<'_>,
    inputs: &Inputs,
    stored: &StoredRows,
) -> Result<JobSummary, NotPublished> {
    let catalog = inputs.catalog(attempt.context);
    let lineage = Lineage::new(attempt.spec, attempt.context, inputs).await?;
    refuse_losses(attempt, inputs, &lineage).await?;
    let results = run_models(attempt, &catalog, &lineage).await?;
    let tests = audit::staged(attempt, &catalog, stored).await?;
    if attempt.cancel.is_cancelled() {
        return Err(failures::cancelled().into());
    }
    let mut summary = publish::publish(attempt, results).await?;
    summary.tests = tests;
    Ok(summary)
}

/// Nothing is computed that must not replace what is published.
async fn refuse_losses(
    attempt: &Attempt<'_>,
    inputs: &Inputs,
    lineage: &Lineage,
) -> Result<(), Failure> {
    let Attempt { spec, context, .. } = *attempt;
    let published = inputs::published(spec, context, inputs).await?;
    foreign::at_pin(attempt, &published)?;
    inputs::refuse_lost_files(spec, context, inputs, lineage, &published).await
}

/// Runs each model as soon as the ones it reads are staged. The first failure stops the others.
async fn run_models(
    attempt: &Attempt<'_>,
    catalog: &Arc<PinnedCatalog>,
    lineage: &Lineage,
) -> Result<Vec<(String, Outcome)>, Failure> {
    let models = attempt.spec.models_in_order();
    let ours: HashSet<&ModelName> = models.iter().map(|m| &m.name).collect();
    let mut results = Vec::with_capacity(models.len());
    let mut waiting: Vec<&Model> = models;
    let mut done: HashSet<&ModelName> = HashSet::new();
    let stop = attempt.cancel.child_token();
    let stoppable = Attempt {
        cancel: &stop,
        ..*attempt
    };
    let mut running = FuturesUnordered::new();
    loop {
        let mut still_waiting = vec![];
        for model in waiting {
            let ready = model
                .depends_on
                .iter()
                .all(|d| !ours.contains(d) || done.contains(d));
            if ready && running.len() < MAX_PARALLEL_MODELS {
                let reads = Reads {
                    catalog,
                    files: lineage.of(model),
                };
                let run = materialize::run(&stoppable, reads, model);
                running.push(async move { (model, run.await) }.boxed());
            } else {
                still_waiting.push(model);
            }
        }
        waiting = still_waiting;
        match running.next().await {
            None => return Ok(results),
            Some((model, Ok(result))) => {
                done.insert(&model.name);
                results.push((model.materialized.to_string(), result));
            }
            Some((model, Err(failure))) => {
                stop.cancel();
                // The others end by themselves: a task that still writes would outlive its job.
                while let Some((other, _)) = running.next().await {
                    waiting.push(other);
                }
                return Err(with_consequences(attempt, model, &waiting, failure));
            }
        }
    }
}

/// Adds which model failed, which were not run, and that nothing was published.
fn with_consequences(
    attempt: &Attempt<'_>,
    model: &Model,
    not_run: &[&Model],
    mut failure: Failure,
) -> Failure {
    if failure.kind != retail_api::FailureKind::Cancelled {
        let event = EventKind::ModelFailed {
            model: model.table.to_string(),
            failure: Box::new(failure.clone()),
        };
        attempt.send(event);
    }
    for other in not_run {
        let because = format!("{} failed", model.table);
        attempt.send(EventKind::ModelSkipped {
            model: other.table.to_string(),
            because,
        });
    }
    if !not_run.is_empty() {
        let names: Vec<_> = not_run.iter().map(|m| m.name.to_string()).collect();
        let (count, what) = (
            names.len(),
            if names.len() == 1 {
                "model was"
            } else {
                "models were"
            },
        );
        failure = failure.note(format!(
            "{count} more {what} not finished: {}",
            shorten(&names)
        ));
    }
    tracing::warn!(job = %attempt.spec.id, model = %model.table, failure = %failure, "model failed");
    failure
}

fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 4;
    match names.len() {
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}
