//! The catalog at the start and later on: while it does not answer, the scheduler is not ready, and reports why.

use std::time::{Duration, Instant};

use retail_lakehouse::{CatalogConfig, Lakehouse, LakehouseError};
use retail_storage::ObjectStores;
use retail_telemetry::Readiness;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::observe::catalog_observer;

/// Between two attempts to reach a catalog that does not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Between two checks of one that does.
const WATCH_PAUSE: Duration = Duration::from_secs(2);
/// How often waiting is logged.
const NOTICE: Duration = Duration::from_secs(10);

/// What a scheduler does that finds no catalog when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutCatalog {
    /// It ends with an error: somebody waits for the answer.
    Fail,
    /// It waits: a database may start later than we do.
    Wait,
}

/// Opens the catalog, or waits for its database to answer.
///
/// # Errors
/// The catalog cannot be opened however long one waits: a wrong password, a folder that cannot be written to.
pub(crate) async fn open(
    config: &CatalogConfig,
    stores: &ObjectStores,
    without: WithoutCatalog,
    readiness: &Readiness,
) -> Result<Lakehouse, LakehouseError> {
    let mut noticed: Option<Instant> = None;
    loop {
        match Lakehouse::open_observed(config, stores.clone(), catalog_observer()).await {
            Err(error) if error.retryable() && without == WithoutCatalog::Wait => {
                readiness.not_ready(error.to_string());
                if noticed.is_none_or(|at| at.elapsed() >= NOTICE) {
                    tracing::warn!(%error, "waiting for the catalog");
                    noticed = Some(Instant::now());
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Keeps `readiness` in step with the catalog, until it is aborted or the ownership is lost for good.
pub(crate) fn watch(
    lake: Lakehouse,
    readiness: Readiness,
    lost: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !lost.is_cancelled() {
            let answers = lake.ping().await;
            match (answers, readiness.reason()) {
                (Ok(()), None) => {}
                (Ok(()), Some(_)) => {
                    tracing::info!("the catalog answers again");
                    readiness.ready();
                }
                (Err(error), before) => {
                    if before.is_none() {
                        tracing::warn!(%error, "not ready: the catalog does not answer");
                    }
                    readiness.not_ready(error.to_string());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(WATCH_PAUSE) => {}
                () = lost.cancelled() => {}
            }
        }
        readiness.not_ready("another scheduler has taken over the catalog");
    })
}
