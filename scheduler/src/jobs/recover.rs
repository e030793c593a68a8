//! Ends the jobs of a previous process that stopped before they were done.

use crate::store::JobStore;
use retail_api::TableName;
use retail_api::job::{Job, JobState};
use retail_lakehouse::{Lakehouse, LakehouseError, PUBLISH_ID, Relation};

use super::counters;

/// Ends the jobs of the previous process: interrupted, or succeeded where the catalog shows their tables.
///
/// # Errors
/// The store or the catalog cannot be read or written.
pub(super) async fn recover(store: &JobStore, lake: &Lakehouse, now_us: i64) -> anyhow::Result<()> {
    for job in store.unfinished().await? {
        let published = job.is_published() || was_published(lake, &job).await?;
        if store.interrupt(&job, published, now_us).await?.is_none() {
            continue;
        }
        let state = match published {
            true => JobState::Succeeded,
            false => JobState::Interrupted,
        };
        counters::ended(state, None);
        tracing::warn!(job = %job.id, project = %job.project, published, "job of the previous process ended");
    }
    Ok(())
}

/// Whether the job's publish took place. Settled, not guessed: a commit may be under way whose answer nobody awaits.
async fn was_published(lake: &Lakehouse, job: &Job) -> Result<bool, LakehouseError> {
    let waits = |reason: String| tracing::warn!(job = %job.id, reason, "job cannot be settled yet");
    let published = lake.settle_publish(job.id.as_str(), &waits).await?;
    // A version before the ledger left its mark in the snapshots alone.
    Ok(published || published_in_catalog(lake, job).await?)
}

/// Whether a table of the job has a snapshot of it: then all have, since they were published at once.
///
/// A process may die between a job's publish and its event; only the catalog knows then.
async fn published_in_catalog(lake: &Lakehouse, job: &Job) -> Result<bool, LakehouseError> {
    let pin = lake.pin().await?;
    for model in &job.models {
        let Ok(name) = model.model.parse::<TableName>() else {
            continue;
        };
        let table = match lake.load(&pin, &name).await {
            Ok(Some(Relation::Table(table))) => table,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(job = %job.id, table = %name, %error, "table could not be read");
                continue;
            }
        };
        let ours = |s: &retail_lakehouse::SnapshotInfo| {
            // An id of four digits may have been given before, to a job that was forgotten.
            s.summary.get(PUBLISH_ID).map(String::as_str) == Some(job.id.as_str())
                && (job.id.is_unique() || s.committed_at_ms >= job.submitted_at_us / 1000)
        };
        if table.snapshots().iter().any(ours) {
            return Ok(true);
        }
    }
    Ok(false)
}
