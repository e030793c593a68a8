//! The scheduler's admin port: health, readiness, and metrics with the executors as they are when asked.

use std::net::SocketAddr;
use std::sync::Arc;

use retail_engine::{Cluster, ExecutorState};
use retail_telemetry::admin::OnScrape;
use retail_telemetry::{AdminServer, Readiness, TelemetryError, metrics, serve_admin_with};

/// Serves the admin port; gauges of executors and slots are read from the cluster at each scrape.
///
/// # Errors
/// The port cannot be used.
pub async fn serve(
    addr: SocketAddr,
    readiness: Readiness,
    cluster: Arc<dyn Cluster>,
) -> Result<AdminServer, TelemetryError> {
    let on_scrape: OnScrape = Arc::new(move || {
        let cluster = Arc::clone(&cluster);
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
    serve_admin_with(addr, readiness, on_scrape).await
}
