//! `retail.v1.Cluster`: the executors and what they are doing.

use std::sync::Arc;

use retail_api::clock::now_us;
use retail_api::cluster::{ClusterStatus, Executor};
use retail_engine::{Blockers, Cluster, ExecutorStatus};
use retail_proto::v1;
use retail_storage::Locations;
use tonic::{Request, Response, Status};

use crate::jobs::JobManager;

pub(super) struct ClusterService {
    jobs: Arc<JobManager>,
    cluster: Arc<dyn Cluster>,
    locations: Locations,
    started_at_us: i64,
}

impl ClusterService {
    pub(super) fn new(
        jobs: Arc<JobManager>,
        cluster: Arc<dyn Cluster>,
        locations: Locations,
    ) -> Self {
        Self {
            jobs,
            cluster,
            locations,
            started_at_us: now_us(),
        }
    }
}

#[tonic::async_trait]
impl v1::cluster_server::Cluster for ClusterService {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let status = self.cluster.status().await;
        let (jobs_running, jobs_queued) = self.jobs.counts();
        let status = ClusterStatus {
            slots: status.slots(),
            slots_free: status.slots_free(),
            executors: status.executors.into_iter().map(executor).collect(),
            jobs_running,
            jobs_queued,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_us: self.started_at_us,
        };
        Ok(Response::new(status.into()))
    }

    async fn get_locations(
        &self,
        _: Request<v1::GetLocationsRequest>,
    ) -> Result<Response<v1::Locations>, Status> {
        let denied = self.locations.denied();
        Ok(Response::new(v1::Locations {
            allowed: self.locations.allowed().to_vec(),
            denied: denied.map(|path| path.display().to_string()).collect(),
        }))
    }

    async fn request_removal(
        &self,
        request: Request<v1::RequestRemovalRequest>,
    ) -> Result<Response<v1::RequestRemovalResponse>, Status> {
        let executor = request.into_inner().executor_id;
        let Blockers { tasks, queries } = self.cluster.request_removal(&executor).await;
        Ok(Response::new(v1::RequestRemovalResponse { tasks, queries }))
    }
}

fn executor(status: ExecutorStatus) -> Executor {
    Executor {
        id: status.id.into(),
        host: status.host,
        flight_port: status.flight_port,
        grpc_port: status.grpc_port,
        slots: status.slots,
        slots_free: status.slots_free,
        state: status.state,
        tasks_running: status.tasks_running,
        last_heartbeat_us: Some(status.last_heartbeat_us).filter(|us| *us > 0),
    }
}
