//! Plain DataFusion in this process: the reference that tests and benchmarks compare with.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use retail_api::cluster::ExecutorState;
use retail_storage::ObjectStores;

use crate::cluster::{Cluster, ClusterStatus, ExecutorStatus, Query, QueryError, QueryRun, Work};
use crate::config::EngineConfig;
use crate::planner::Execution;
use crate::session::{runtime_env, session_config, session_state};

/// Runs plans in this process, without stages or shuffles.
pub struct InProcess {
    config: EngineConfig,
    slots: usize,
    runtime: Arc<RuntimeEnv>,
}

impl InProcess {
    /// `slots` is the parallelism where the configuration leaves it open.
    ///
    /// # Errors
    /// The runtime cannot be built.
    pub fn new(
        config: EngineConfig,
        slots: usize,
        stores: &ObjectStores,
    ) -> Result<Self, QueryError> {
        let runtime = runtime_env(stores, None)?;
        Ok(Self {
            config,
            slots,
            runtime,
        })
    }
}

impl Cluster for InProcess {
    fn session(&self) -> Result<SessionContext, QueryError> {
        let session = session_config(&self.config, self.slots).with_round_robin_repartition(true);
        Ok(SessionContext::new_with_state(session_state(
            session,
            Arc::clone(&self.runtime),
            self.config.partitioned_topk,
            Execution::InProcess,
        )))
    }

    fn execute(&self, query: Query) -> BoxFuture<'_, Result<QueryRun, QueryError>> {
        run(query).boxed()
    }

    fn status(&self) -> BoxFuture<'_, ClusterStatus> {
        let slots = self.slots as u32;
        let status = ClusterStatus {
            executors: vec![ExecutorStatus {
                id: "in-process".to_string(),
                host: "localhost".to_string(),
                flight_port: 0,
                grpc_port: 0,
                slots,
                slots_free: slots,
                tasks_running: 0,
                state: ExecutorState::Active,
                last_heartbeat_us: 0,
            }],
            work: Work::default(),
        };
        std::future::ready(status).boxed()
    }

    fn wait_for_executor(&self, _timeout: Option<Duration>) -> BoxFuture<'_, bool> {
        std::future::ready(true).boxed()
    }
}

/// Runs a query and returns when its rows can be read.
async fn run(query: Query) -> Result<QueryRun, QueryError> {
    let physical = query
        .session
        .state()
        .create_physical_plan(&query.plan)
        .await?;
    let rows = execute_stream(physical, query.session.task_ctx())?;
    let schema = rows.schema();
    let stop = query.cancel.clone();
    let stopped = query.cancel.clone();
    // A cancelled query must end in an error: rows cut short would look complete.
    let end = futures::stream::once(async move {
        stopped.is_cancelled().then(|| {
            Err(DataFusionError::Execution(
                "the query was cancelled".to_string(),
            ))
        })
    })
    .filter_map(std::future::ready);
    let rows = rows
        .take_until(async move { stop.cancelled().await })
        .chain(end);
    let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
    Ok(QueryRun {
        query_id: query.label,
        rows,
        stages: 1,
    })
}
