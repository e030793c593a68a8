//! The scheduler's admin port: health, readiness, metrics with the executors as they are when asked, and `/work`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use retail_engine::{Cluster, ClusterStatus, ExecutorState};
use retail_telemetry::admin::OnScrape;
use retail_telemetry::{AdminServer, Readiness, TelemetryError, metrics, serve_admin_with};
use serde::Serialize;

use crate::queue::JobManager;

/// Serves the admin port; what it tells of executors is read from the cluster at each request.
///
/// # Errors
/// The port cannot be used.
pub async fn serve(
    addr: SocketAddr,
    readiness: Readiness,
    cluster: Arc<dyn Cluster>,
    jobs: Arc<JobManager>,
) -> Result<AdminServer, TelemetryError> {
    let scraped = Arc::clone(&cluster);
    let on_scrape: OnScrape = Arc::new(move || {
        let cluster = Arc::clone(&scraped);
        Box::pin(async move {
            let status = cluster.status().await;
            let active = status
                .executors
                .iter()
                .filter(|e| e.state == ExecutorState::Active)
                .count();
            metrics().executors.set(active as i64);
            metrics().slots.set(status.slots().into());
            metrics().slots_free.set(status.slots_free().into());
        })
    });
    let work = get(move || {
        let (cluster, jobs) = (Arc::clone(&cluster), Arc::clone(&jobs));
        async move { Json(Work::new(cluster.status().await, jobs.counts())) }
    });
    serve_admin_with(
        addr,
        readiness,
        on_scrape,
        Router::new().route("/work", work),
    )
    .await
}

/// `GET /work`: what runs and waits, for whoever decides how many executors there should be.
#[derive(Debug, Serialize)]
struct Work {
    jobs_running: u32,
    jobs_queued: u32,
    /// Jobs and queries that wait because there is no executor.
    queries_waiting: u32,
    tasks_running: u32,
    /// Partitions that no task has been made of yet; one task may take several.
    tasks_queued: u32,
    /// Most slots that one stage could use at once.
    widest_stage: u32,
    executors: Vec<Executor>,
}

#[derive(Debug, Serialize)]
struct Executor {
    id: String,
    host: String,
    flight_port: u16,
    state: &'static str,
    slots: u32,
    tasks_running: u32,
}

impl Work {
    fn new(status: ClusterStatus, (jobs_running, jobs_queued): (u32, u32)) -> Self {
        let executors = status.executors.into_iter().map(|executor| Executor {
            id: executor.id,
            host: executor.host,
            flight_port: executor.flight_port,
            state: executor.state.as_str(),
            slots: executor.slots,
            tasks_running: executor.tasks_running,
        });
        Self {
            jobs_running,
            jobs_queued,
            queries_waiting: status.work.queries_waiting,
            tasks_running: status.work.tasks_running,
            tasks_queued: status.work.tasks_queued,
            widest_stage: status.work.widest_stage,
            executors: executors.collect(),
        }
    }
}
