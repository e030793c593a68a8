//! `retail.v1.Cluster`: the executors and what they are doing.

use std::sync::Arc;

use retail_engine::{Blockers, Cluster};
use retail_proto::v1;
use tonic::{Request, Response, Status};

use crate::codec;
use crate::queue::JobManager;

pub(super) struct ClusterService {
    jobs: Arc<JobManager>,
    cluster: Arc<dyn Cluster>,
    started_at_us: i64,
}

impl ClusterService {
    pub(super) fn new(jobs: Arc<JobManager>, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            jobs,
            cluster,
            started_at_us: chrono::Utc::now().timestamp_micros(),
        }
    }
}

#[tonic::async_trait]
impl v1::cluster_server::Cluster for ClusterService {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let mut status = codec::cluster_status(self.cluster.status().await);
        (status.jobs_running, status.jobs_queued) = self.jobs.counts();
        status.version = env!("CARGO_PKG_VERSION").to_owned();
        status.started_at_us = self.started_at_us;
        Ok(Response::new(status))
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
