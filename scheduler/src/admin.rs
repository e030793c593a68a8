//! The scheduler's admin port: health, readiness, metrics with executors and tables as they are at each request, and `/work`.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use retail_api::cluster::ExecutorState;
use retail_api::demand::{Demand, ExecutorLoad};
use retail_engine::{Cluster, ClusterStatus};
use retail_lakehouse::Lakehouse;
use retail_telemetry::admin::OnScrape;
use retail_telemetry::{AdminServer, Readiness, TelemetryError, metrics, serve_admin_with};
use strum::IntoEnumIterator;

use crate::jobs::JobManager;
use crate::tables;

/// What the admin port reports on, once it has started.
pub(crate) struct Served {
    pub cluster: Arc<dyn Cluster>,
    pub jobs: Arc<JobManager>,
    pub lake: Lakehouse,
}

/// Serves the admin port; what it reports of executors and tables is read from cluster and catalog at each request. It is
/// open before they are: `served` is filled when the scheduler has started.
///
/// # Errors
/// The port cannot be used.
pub(crate) async fn serve(
    addr: SocketAddr,
    readiness: Readiness,
    served: Arc<OnceLock<Served>>,
) -> Result<AdminServer, TelemetryError> {
    let scraped = Arc::clone(&served);
    let on_scrape: OnScrape = Arc::new(move || {
        let served = Arc::clone(&scraped);
        Box::pin(async move {
            if let Some(served) = served.get() {
                scrape(served).await;
            }
        })
    });
    let state = readiness.clone();
    let work = get(move || {
        let (served, state) = (Arc::clone(&served), state.clone());
        async move {
            let Some(served) = served.get() else {
                let why = state.reason().unwrap_or_default();
                return Err((
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("not ready: {why}\n"),
                ));
            };
            let status = served.cluster.status().await;
            Ok(Json(demand(status, served.jobs.counts())))
        }
    });
    serve_admin_with(
        addr,
        readiness,
        on_scrape,
        Router::new().route("/work", work),
    )
    .await
}

async fn scrape(served: &Served) {
    tables::read(&served.lake).await;
    let status = served.cluster.status().await;
    for state in ExecutorState::iter() {
        let count = status.executors.iter().filter(|e| e.state == state).count();
        metrics()
            .executors
            .with_label_values(&[state.as_ref()])
            .set(count as i64);
    }
    metrics().tasks_queued.set(status.work.tasks_queued.into());
    metrics()
        .queries_waiting
        .set(status.work.queries_waiting.into());
    metrics().slots.set(status.slots().into());
    metrics().slots_free.set(status.slots_free().into());
}

fn demand(status: ClusterStatus, (jobs_running, jobs_queued): (u32, u32)) -> Demand {
    let executors = status.executors.into_iter().map(|executor| ExecutorLoad {
        id: executor.id.into(),
        host: executor.host,
        flight_port: executor.flight_port,
        state: executor.state,
        slots: executor.slots,
        tasks_running: executor.tasks_running,
    });
    Demand {
        jobs_running,
        jobs_queued,
        queries_waiting: status.work.queries_waiting,
        tasks_running: status.work.tasks_running,
        tasks_queued: status.work.tasks_queued,
        widest_stage: status.work.widest_stage,
        executors: executors.collect(),
    }
}
