//! Makes the staged tables and views of an attempt visible together.

use std::collections::HashMap;
use std::time::Instant;

use retail_api::Failure;
use retail_api::events::{EventKind, PublishedTable};
use retail_lakehouse::{LakehouseError, Publish, Staged};

use super::foreign;
use crate::failures;
use crate::job::{Attempt, JobSummary};
use crate::materialize::Outcome;

/// How often staged tables are put onto what other engines wrote meanwhile. Each time takes as long as writing one
/// table's metadata, so that only a writer faster than that can win them all.
const MAX_REBASES: u32 = 50;

/// Why an attempt did not publish.
pub(super) enum NotPublished {
    /// Somebody else published one of the tables first: another attempt may succeed.
    Conflict {
        error: LakehouseError,
    },
    Failed(Box<Failure>),
}

impl From<Failure> for NotPublished {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Publishes what the models produced, each with how it is materialized.
pub(super) async fn publish(
    attempt: &Attempt<'_>,
    results: Vec<(String, Outcome)>,
) -> Result<JobSummary, NotPublished> {
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
    let published = make_visible(attempt, &mut staged).await?;
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
    tracing::info!(job = %attempt.spec.id, tables = summary.tables.len(), rows = summary.rows_written, "published");
    attempt.send(EventKind::Published {
        tables: summary.tables.clone(),
        elapsed_ms,
    });
    Ok(summary)
}

/// Publishes what was staged; stages it again on tables that other engines changed meanwhile, and publishes that.
async fn make_visible(
    attempt: &Attempt<'_>,
    staged: &mut [Staged],
) -> Result<Vec<retail_lakehouse::PublishedTable>, NotPublished> {
    let mut rebased = 0;
    let is_cancelled = || attempt.cancel.is_cancelled();
    let waiting = |reason| attempt.send(EventKind::Waiting { reason });
    let publish = Publish {
        id: attempt.spec.id.as_str(),
        lease: attempt.context.lease,
        is_cancelled: &is_cancelled,
        waiting: &waiting,
    };
    loop {
        match attempt.context.lake.publish_as(&publish, staged).await {
            Ok(published) => return Ok(published),
            Err(error @ LakehouseError::PublishConflict { .. }) => {
                if attempt.cancel.is_cancelled() {
                    return Err(failures::cancelled().into());
                }
                let may = rebased < MAX_REBASES;
                if !may || !foreign::rebase(attempt, staged).await? {
                    return Err(NotPublished::Conflict { error });
                }
                rebased += 1;
                tracing::info!(job = %attempt.spec.id, rebased, "staged again on tables that another engine changed");
            }
            Err(LakehouseError::PublishCancelled { .. }) => {
                return Err(failures::cancelled().into());
            }
            Err(error) => return Err(error.to_failure("cannot publish").into()),
        }
    }
}
