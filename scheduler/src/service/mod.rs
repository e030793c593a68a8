//! The gRPC services of `retail.v1`, health and reflection.
//!
//! These files are the only ones here that name wire types.

mod cluster;
mod explain;
mod jobs;
mod query;
mod rows;
mod sql;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use retail_engine::Cluster;
use retail_lakehouse::Lakehouse;
use retail_proto::v1::cluster_server::ClusterServer;
use retail_proto::v1::jobs_server::JobsServer;
use retail_proto::v1::query_server::QueryServer;
use retail_proto::{DESCRIPTORS, MAX_MESSAGE_BYTES};
use retail_storage::Locations;
use tonic::service::RoutesBuilder;
use tonic::{Request, Status};

use crate::admission::Gate;
use crate::jobs::JobManager;

/// Adds the services of `retail.v1`, gRPC health and reflection to a port.
///
/// Health reports "not serving" as soon as the scheduler begins to stop.
///
/// # Errors
/// The embedded descriptors cannot be read.
pub(crate) async fn mount(
    routes: &mut RoutesBuilder,
    jobs: &Arc<JobManager>,
    lake: &Lakehouse,
    cluster: &Arc<dyn Cluster>,
    gate: &Gate,
    locations: Locations,
) -> anyhow::Result<()> {
    type Jobs = JobsServer<jobs::JobsService>;
    type Query = QueryServer<query::QueryService>;
    type Executors = ClusterServer<cluster::ClusterService>;
    macro_rules! limited {
        ($server:expr) => {
            $server
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<Jobs>().await;
    health.set_serving::<Query>().await;
    health.set_serving::<Executors>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    routes
        .add_service(limited!(Jobs::new(jobs::JobsService::new(
            jobs.clone(),
            lake.clone(),
            cluster.clone()
        ))))
        .add_service(limited!(Query::new(query::QueryService::new(
            lake.clone(),
            cluster.clone(),
            gate.clone()
        ))))
        .add_service(limited!(Executors::new(cluster::ClusterService::new(
            jobs.clone(),
            cluster.clone(),
            locations
        ))))
        .add_service(health_service)
        .add_service(reflection);
    let stopping = jobs.stopping();
    tokio::spawn(async move {
        stopping.cancelled_owned().await;
        health.set_not_serving::<Jobs>().await;
        health.set_not_serving::<Query>().await;
        health
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
    });
    Ok(())
}

/// The client's span, as W3C writes it.
fn traceparent<T>(request: &Request<T>) -> Option<String> {
    let text = request.metadata().get("traceparent")?;
    text.to_str().ok().map(str::to_owned)
}

/// A job store or catalog that does not answer, as a status. The chain of causes goes to the log.
fn unavailable(doing: &str, error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::error!(error, "cannot {doing}");
    let failure =
        retail_api::Failure::new(retail_api::FailureKind::Storage, format!("cannot {doing}"))
            .cause(retail_api::root_cause(error))
            .caused_by(error)
            .note(
                "the catalog's database keeps jobs and tables; does the scheduler reach it? Its admin port's /readyz shows why not",
            )
            .retryable(true);
    retail_api::codec::status_of(failure)
}
