//! Queries on executors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, executor_status, job_status};
use ballista_scheduler::cluster::ClusterStateEvent;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use retail_api::cause::RESULT_LOST;
use retail_api::cluster::ExecutorState;
use retail_engine::{
    Blockers, Cluster, ClusterStatus, EngineConfig, Execution, ExecutorLoss, ExecutorStatus, Query,
    QueryError, QueryProgress, QueryRun, Work, session_config, session_state,
};
use tokio::sync::{broadcast, mpsc};
use tracing::{Instrument, Span};

use super::executor_loss::LossWatch;
use super::queries::Queries;
use super::{Server, fetch, progress, row_accounting, spans, stage_check};

/// How often a running query's stages are read, for people and for the retry count.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Runs queries as Ballista jobs on the registered executors.
pub(crate) struct ClusterOnExecutors {
    server: Server,
    engine: EngineConfig,
    runtime: Arc<RuntimeEnv>,
    queries: Queries,
    losses: LossWatch,
    waiting: AtomicU32,
}

impl ClusterOnExecutors {
    pub(super) fn new(
        server: Server,
        engine: EngineConfig,
        runtime: Arc<RuntimeEnv>,
        queries: Queries,
        losses: LossWatch,
    ) -> Self {
        Self {
            server,
            engine,
            runtime,
            queries,
            losses,
            waiting: AtomicU32::new(0),
        }
    }

    /// Follows the query's status until it ends; cancels it when its token is cancelled.
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
                        // Without its graph it cannot be verified that no rows were lost.
                        let ended = |graph: &dyn ExecutionGraph| (progress::of(graph), row_accounting::find_violation(graph));
                        return match self.queries.find(id, ended).await {
                            Some((now, None)) => {
                                report(query, now);
                                Ok(done.partition_location)
                            }
                            Some((_, Some(violation))) => Err(rows_lost(&violation)),
                            None => Err(rows_lost("its graph is gone")),
                        };
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
                _ = ticks.tick() => {
                    let Some((now, restarted)) = self.queries.read(id, inspect).await else {
                        continue;
                    };
                    report(query, now);
                    if let Some(stage) = restarted {
                        self.cancel(id).await;
                        return Err(rows_lost(&format!("stage {stage} was begun again")));
                    }
                }
                () = query.cancel.cancelled() => {
                    self.cancel(id).await;
                    return Err(QueryError::cancelled());
                }
            }
        }
    }

    async fn plan(&self, query: &Query) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let state = query.session.state();
        let planned = stage_check::plan(&query.plan, &state, self.engine.partitioned_topk).await?;
        if let Some(reason) = planned.one_task_because {
            tracing::info!(query = query.label, reason, "the query runs as one task");
        }
        Ok(planned.plan)
    }

    async fn cancel(&self, id: &JobId) {
        if let Err(error) = self.server.cancel_job(id.clone()).await {
            tracing::warn!(query = %id, %error, "query could not be cancelled");
        }
    }

    /// Runs a query inside the current span.
    async fn run(&self, query: Query) -> Result<QueryRun, QueryError> {
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
        let physical = self.plan(&query).await?;
        let (subscriber, statuses) = mpsc::channel(64);
        let id = self
            .server
            .submit_physical_plan(
                &query.label,
                spans::with_origin(&query.session, &Span::current()),
                physical,
                Some(subscriber),
            )
            .await
            .map_err(|e| QueryError::from_text(&e.to_string()))?;
        Span::current().record("query", id.as_ref());
        let started = SystemTime::now();
        let active = self.queries.enter(id.clone());
        let ended = self.follow(&id, &query, statuses).await;
        spans::stages(&Span::current(), started, &self.queries, &id).await;
        let rows = active.until_read(fetch::rows(schema, ended?).await?);
        let stages = query.progress.borrow().stages;
        Ok(QueryRun {
            query_id: id.to_string(),
            rows,
            stages,
        })
    }

    async fn run_traced(&self, query: Query) -> Result<QueryRun, QueryError> {
        let span = spans::query();
        let progress = query.progress.subscribe();
        let outcome = self.run(query).instrument(span.clone()).await;
        spans::ended(&span, &progress.borrow(), outcome.as_ref().err());
        outcome
    }

    async fn executors_and_work(&self) -> ClusterStatus {
        let load = self.queries.load().await;
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
                let (tasks, busy) = load.of(&executor.id);
                ExecutorStatus {
                    slots: if state == ExecutorState::Active {
                        slots
                    } else {
                        0
                    },
                    slots_free: if state == ExecutorState::Active {
                        slots.saturating_sub(busy)
                    } else {
                        0
                    },
                    tasks_running: tasks,
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
        let work = Work {
            queries_waiting: self.waiting.load(Ordering::Relaxed),
            ..load.work
        };
        ClusterStatus { executors, work }
    }

    async fn wait_for_slots(&self, timeout: Option<Duration>) -> bool {
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
        let _waits = Waits::on(&self.waiting);
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, wait).await.is_ok(),
            None => {
                wait.await;
                true
            }
        }
    }

    async fn remove_unless_blocked(&self, executor_id: &str) -> Blockers {
        let blockers = self.queries.blockers_of(executor_id).await;
        self.losses.removal_requested(executor_id, blockers);
        if blockers == Blockers::default() {
            let manager = &self.server.state.executor_manager;
            let reason = Some("drained".to_owned());
            if let Err(error) = manager.remove_executor(executor_id, reason).await {
                tracing::warn!(executor = executor_id, %error, "executor could not be removed");
            }
        }
        blockers
    }
}

impl Cluster for ClusterOnExecutors {
    fn session(&self) -> Result<SessionContext, QueryError> {
        // The slots are filled in when the query runs: executors may come and go until then.
        let config = session_config(&self.engine, 1);
        Ok(SessionContext::new_with_state(session_state(
            config,
            Arc::clone(&self.runtime),
            self.engine.partitioned_topk,
            Execution::InStages,
        )))
    }

    fn execute(&self, query: Query) -> BoxFuture<'_, Result<QueryRun, QueryError>> {
        self.run_traced(query).boxed()
    }

    fn status(&self) -> BoxFuture<'_, ClusterStatus> {
        self.executors_and_work().boxed()
    }

    fn wait_for_executor(&self, timeout: Option<Duration>) -> BoxFuture<'_, bool> {
        self.wait_for_slots(timeout).boxed()
    }

    fn losses(&self) -> broadcast::Receiver<ExecutorLoss> {
        self.losses.losses()
    }

    fn request_removal<'a>(&'a self, executor_id: &'a str) -> BoxFuture<'a, Blockers> {
        self.remove_unless_blocked(executor_id).boxed()
    }
}

/// Counts one waiting query until dropped.
struct Waits<'a>(&'a AtomicU32);

impl<'a> Waits<'a> {
    fn on(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A running query's progress, and its first restarted stage.
fn inspect(graph: &dyn ExecutionGraph) -> (QueryProgress, Option<usize>) {
    (progress::of(graph), row_accounting::restarted_stage(graph))
}

/// Reports the query's progress to its watchers, if it has changed.
fn report(query: &Query, now: QueryProgress) {
    query.progress.send_if_modified(|last| {
        let changed = *last != now;
        *last = now;
        changed
    });
}

/// The query is to be retried as a whole: see [`row_accounting`].
fn rows_lost(violation: &str) -> QueryError {
    QueryError::from_text(&format!(
        "{RESULT_LOST}: rows went with an executor, {violation}"
    ))
}
