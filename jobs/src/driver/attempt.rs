//! One attempt at a job: pin, run the models, publish.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use retail_lakehouse::{LakehouseError, Publish, Staged};
use tokio_util::sync::CancellationToken;

use super::check::in_order;
use super::inputs::{self, Inputs, Lineage};
use super::model::{self, ModelResult};
use super::relations::Relations;
use super::{EventSink, JobContext, JobSpec, JobSummary, audit, failures, foreign, send};
use crate::quality::StoredRows;
use retail_api::Failure;
use retail_api::events::{EventKind, PublishedTable};
use retail_project::{Model, ModelName};

/// Models that run side by side, at most; more would only share the same slots and memory.
const MAX_PARALLEL_MODELS: usize = 4;
/// How often staged tables are put onto what other engines wrote meanwhile. Each time takes as long as writing one
/// table's metadata, so that only a writer faster than that can win them all.
const MAX_REBASES: u32 = 50;

/// Why an attempt did not publish.
pub(super) enum AttemptError {
    /// Somebody else published one of the tables first: another attempt may succeed.
    Conflict {
        error: LakehouseError,
    },
    Failed(Box<Failure>),
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Runs all models on the tables of one point in time and publishes their tables together.
pub(super) async fn run(
    spec: &JobSpec,
    context: &JobContext,
    inputs: &Inputs,
    attempt: u32,
    events: &EventSink,
    cancel: &CancellationToken,
    stored: &StoredRows,
) -> Result<JobSummary, AttemptError> {
    let relations = Relations::of(context, inputs);
    let lineage = Lineage::new(spec, context, inputs).await?;
    refuse_losses(spec, context, inputs, &lineage, events).await?;
    let run = run_models(spec, context, &relations, &lineage, attempt, events, cancel);
    let results = run.await?;
    let tests = audit::staged(spec, context, &relations, events, cancel, stored).await?;
    if cancel.is_cancelled() {
        return Err(failures::cancelled().into());
    }
    let mut summary = publish(spec, context, results, events, cancel).await?;
    summary.tests = tests;
    Ok(summary)
}

/// Nothing is computed that must not replace what is published.
async fn refuse_losses(
    spec: &JobSpec,
    context: &JobContext,
    inputs: &Inputs,
    lineage: &Lineage,
    events: &EventSink,
) -> Result<(), Failure> {
    let published = inputs::published(spec, context, inputs).await?;
    foreign::at_pin(spec, &published, events)?;
    inputs::refuse_lost_files(spec, context, inputs, lineage, &published).await
}

/// Runs each model as soon as the ones it reads are staged. The first failure stops the others.
async fn run_models(
    spec: &JobSpec,
    context: &JobContext,
    relations: &Arc<Relations>,
    lineage: &Lineage,
    attempt: u32,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Vec<(String, ModelResult)>, Failure> {
    let models = in_order(spec);
    let ours: HashSet<&ModelName> = models.iter().map(|m| &m.name).collect();
    let mut waiting: Vec<&Model> = models.clone();
    let mut done: HashMap<&ModelName, ()> = HashMap::new();
    let mut results = Vec::with_capacity(models.len());
    let mut running = FuturesUnordered::new();
    let stop = cancel.child_token();
    loop {
        let mut still_waiting = vec![];
        for model in waiting {
            let ready = model
                .depends_on
                .iter()
                .all(|d| !ours.contains(d) || done.contains_key(d));
            if ready && running.len() < MAX_PARALLEL_MODELS {
                let stop = stop.clone();
                let reads = model::Reads {
                    relations,
                    sources: lineage.of(model),
                };
                let run = async move {
                    let run = model::run(spec, context, reads, model, attempt, events, &stop);
                    (model, run.await)
                };
                running.push(run.boxed());
            } else {
                still_waiting.push(model);
            }
        }
        waiting = still_waiting;
        match running.next().await {
            None => return Ok(results),
            Some((model, Ok(result))) => {
                done.insert(&model.name, ());
                results.push((model.materialized.to_string(), result));
            }
            Some((model, Err(failure))) => {
                stop.cancel();
                // The others end by themselves: a task that still writes would outlive its job.
                while let Some((other, _)) = running.next().await {
                    waiting.push(other);
                }
                return Err(with_consequences(spec, model, &waiting, failure, events));
            }
        }
    }
}

/// Says which model failed, which were not run, and that nothing was published.
fn with_consequences(
    spec: &JobSpec,
    model: &Model,
    not_run: &[&Model],
    mut failure: Failure,
    events: &EventSink,
) -> Failure {
    if failure.kind != retail_api::FailureKind::Cancelled {
        let event = EventKind::ModelFailed {
            model: model.table.to_string(),
            failure: Box::new(failure.clone()),
        };
        send(events, event);
    }
    for other in not_run {
        let because = format!("{} failed", model.table);
        send(
            events,
            EventKind::ModelSkipped {
                model: other.table.to_string(),
                because,
            },
        );
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
    tracing::warn!(job = %spec.id, model = %model.table, failure = %failure, "model failed");
    failure
}

fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 4;
    match names.len() {
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

async fn publish(
    spec: &JobSpec,
    context: &JobContext,
    results: Vec<(String, ModelResult)>,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<JobSummary, AttemptError> {
    let started = Instant::now();
    let mut summary = JobSummary::default();
    let mut staged: Vec<Staged> = vec![];
    let mut seconds: HashMap<String, (String, u64)> = HashMap::new();
    for (materialized, result) in results {
        summary.rows_written += result.rows;
        summary.bytes_written += result.bytes;
        if let Some(relation) = result.staged {
            seconds.insert(
                relation.name().to_string(),
                (materialized, result.elapsed_ms),
            );
            staged.push(relation);
        }
    }
    let published = make_visible(spec, context, &mut staged, events, cancel).await?;
    let tables = published.into_iter().map(|table| {
        let (materialized, elapsed_ms) =
            seconds.remove(&table.table.to_string()).unwrap_or_default();
        PublishedTable {
            table: table.table.to_string(),
            materialized,
            rows: table.rows,
            rows_before: table.rows_before,
            snapshot_id: Some(table.snapshot_id.into()),
            elapsed_ms,
        }
    });
    summary.tables = tables.collect();
    let views = staged.iter().filter(|s| matches!(s, Staged::View(_)));
    summary.tables.extend(views.map(|view| {
        let (materialized, elapsed_ms) =
            seconds.remove(&view.name().to_string()).unwrap_or_default();
        PublishedTable {
            table: view.name().to_string(),
            materialized,
            rows: 0,
            rows_before: (!view.is_new()).then_some(0),
            snapshot_id: None,
            elapsed_ms,
        }
    }));
    let elapsed_ms = started.elapsed().as_millis() as u64;
    tracing::info!(job = %spec.id, tables = summary.tables.len(), rows = summary.rows_written, "published");
    send(
        events,
        EventKind::Published {
            tables: summary.tables.clone(),
            elapsed_ms,
        },
    );
    Ok(summary)
}

/// Publishes what was staged; stages it again on tables that other engines changed meanwhile, and publishes that.
async fn make_visible(
    spec: &JobSpec,
    context: &JobContext,
    staged: &mut [Staged],
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<Vec<retail_lakehouse::PublishedTable>, AttemptError> {
    let mut rebased = 0;
    let is_cancelled = || cancel.is_cancelled();
    let waiting = |reason| send(events, EventKind::Waiting { reason });
    let publish = Publish {
        id: spec.id.as_str(),
        lease: context.lease,
        is_cancelled: &is_cancelled,
        waiting: &waiting,
    };
    loop {
        match context.lake.publish_as(&publish, staged).await {
            Ok(published) => return Ok(published),
            Err(error @ LakehouseError::PublishConflict { .. }) => {
                if cancel.is_cancelled() {
                    return Err(failures::cancelled().into());
                }
                let may = rebased < MAX_REBASES;
                if !may || !foreign::rebase(spec, context, staged, events).await? {
                    return Err(AttemptError::Conflict { error });
                }
                rebased += 1;
                tracing::info!(job = %spec.id, rebased, "staged again on tables that another engine changed");
            }
            Err(LakehouseError::PublishCancelled { .. }) => {
                return Err(failures::cancelled().into());
            }
            Err(error) => return Err(failures::lakehouse("cannot publish", &error).into()),
        }
    }
}
