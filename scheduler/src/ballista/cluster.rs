//! Queries on executors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, executor_status, job_status};
use ballista_scheduler::cluster::ClusterStateEvent;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use retail_engine::{
    Cluster, ClusterStatus, EngineConfig, ExecutorState, ExecutorStatus, Query, QueryError,
    QueryRun, session_config, session_state,
};
use tokio::sync::mpsc;

use super::{Server, fetch, progress};

/// How often a running query's stages are read, for people and for the retry count.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Runs queries as Ballista jobs on the registered executors.
pub struct ClusterOnExecutors {
    server: Server,
    engine: EngineConfig,
    runtime: Arc<RuntimeEnv>,
}

impl ClusterOnExecutors {
    pub(super) fn new(server: Server, engine: EngineConfig, runtime: Arc<RuntimeEnv>) -> Self {
        Self {
            server,
            engine,
            runtime,
        }
    }

    /// Follows the query's status until it ends; cancels it when asked to.
    async fn follow(
        &self,
        id: &JobId,
        query: &Query,
        mut statuses: mpsc::Receiver<JobStatus>,
    ) -> Result<Vec<ballista_core::serde::protobuf::PartitionLocation>, QueryError> {
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                status = statuses.recv() => match status.and_then(|s| s.status) {
                    Some(job_status::Status::Successful(done)) => {
                        self.report(id, query).await;
                        return Ok(done.partition_location);
                    }
                    Some(job_status::Status::Failed(failed)) => {
                        return Err(if query.cancel.is_cancelled() {
                            QueryError::cancelled()
                        } else {
                            QueryError::from_text(&failed.error)
                        });
                    }
                    Some(_) => {}
                    None => return Err(QueryError::from_text("the scheduler stopped before the query ended")),
                },
                _ = ticks.tick() => self.report(id, query).await,
                () = query.cancel.cancelled() => {
                    if let Err(error) = self.server.cancel_job(id.clone()).await {
                        tracing::warn!(query = %id, %error, "query could not be cancelled");
                    }
                    return Err(QueryError::cancelled());
                }
            }
        }
    }

    async fn report(&self, id: &JobId, query: &Query) {
        let running = self.server.state.task_manager.get_running_job_cache();
        let Some(job) = running.get(id) else { return };
        let now = progress::of(job.execution_graph.read().await.as_ref());
        query.progress.send_if_modified(|last| {
            let changed = *last != now;
            *last = now;
            changed
        });
    }

    /// Slots in use, by executor.
    async fn busy(&self) -> HashMap<String, u32> {
        let mut busy = HashMap::new();
        for job in self
            .server
            .state
            .task_manager
            .get_running_job_cache()
            .values()
        {
            let graph = job.execution_graph.read().await;
            for stage in graph.stages().values() {
                let ExecutionStage::Running(stage) = stage else {
                    continue;
                };
                for task in &stage.task_infos {
                    if let ballista_core::serde::protobuf::task_status::Status::Running(running) =
                        &task.task_status
                    {
                        *busy.entry(running.executor_id.clone()).or_default() +=
                            task.vcores_consumed;
                    }
                }
            }
        }
        busy
    }
}

#[async_trait]
impl Cluster for ClusterOnExecutors {
    fn session(&self) -> Result<SessionContext, QueryError> {
        // The slots are filled in when the query runs: executors may come and go until then.
        let config = session_config(&self.engine, 1);
        Ok(SessionContext::new_with_state(session_state(
            config,
            Arc::clone(&self.runtime),
            self.engine.keep_first,
        )))
    }

    async fn execute(&self, query: Query) -> Result<QueryRun, QueryError> {
        let schema = Arc::new(query.plan.schema().as_arrow().clone());
        if self.engine.target_partitions == 0 {
            let slots = self.status().await.slots().max(1) as usize;
            query
                .session
                .state_ref()
                .write()
                .config_mut()
                .options_mut()
                .execution
                .target_partitions = slots;
        }
        let (subscriber, statuses) = mpsc::channel(64);
        let id = self
            .server
            .submit_job(
                &query.label,
                Arc::clone(&query.session),
                &query.plan,
                Some(subscriber),
            )
            .await
            .map_err(|e| QueryError::from_text(&e.to_string()))?;
        let locations = self.follow(&id, &query, statuses).await?;
        let rows = fetch::rows(schema, locations).await?;
        let stages = query.progress.borrow().stages;
        Ok(QueryRun {
            query_id: id.to_string(),
            rows,
            stages,
        })
    }

    async fn status(&self) -> ClusterStatus {
        let busy = self.busy().await;
        let manager = &self.server.state.executor_manager;
        let timeout_s = self.server.state.config.executor_timeout_seconds;
        let now_s = chrono::Utc::now().timestamp().max(0) as u64;
        let registered = manager.get_executors_state().await.unwrap_or_default();
        let mut executors: Vec<_> = registered
            .into_iter()
            .map(|(executor, last, _)| {
                let status = manager
                    .get_executor_hearbeat(&executor.id)
                    .and_then(|h| h.status)
                    .and_then(|s| s.status);
                let last_s = last.map_or(0, |d| d.as_secs());
                let state = match status {
                    Some(executor_status::Status::Terminating(_)) => ExecutorState::Draining,
                    Some(executor_status::Status::Dead(_)) => ExecutorState::Lost,
                    _ if last_s + timeout_s < now_s => ExecutorState::Lost,
                    _ => ExecutorState::Active,
                };
                let slots = executor.specification.vcores;
                ExecutorStatus {
                    slots: if state == ExecutorState::Active {
                        slots
                    } else {
                        0
                    },
                    slots_free: if state == ExecutorState::Active {
                        slots.saturating_sub(busy.get(&executor.id).copied().unwrap_or(0))
                    } else {
                        0
                    },
                    host: executor.host,
                    flight_port: executor.port,
                    grpc_port: executor.grpc_port,
                    state,
                    last_heartbeat_us: last_s as i64 * 1_000_000,
                    id: executor.id,
                }
            })
            .collect();
        executors.sort_by(|a, b| a.id.cmp(&b.id));
        ClusterStatus { executors }
    }

    async fn wait_for_executor(&self, timeout: Option<Duration>) -> bool {
        let wait = async {
            // Subscribe first, so that an executor that registers in between is not missed.
            let mut events = match self.server.cluster_state_events().await {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!(%error, "cluster events cannot be followed");
                    return;
                }
            };
            while self.status().await.slots() == 0 {
                match tokio::time::timeout(Duration::from_secs(1), events.next()).await {
                    Ok(Some(ClusterStateEvent::RegisteredExecutor { executor_id })) => {
                        tracing::info!(executor = %executor_id, "executor came");
                    }
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => return,
                }
            }
        };
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, wait).await.is_ok(),
            None => {
                wait.await;
                true
            }
        }
    }
}
