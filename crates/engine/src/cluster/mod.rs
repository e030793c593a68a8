//! What runs queries.

mod error;
mod error_kind;
mod status;
mod wait;

pub use error::QueryError;
pub use error_kind::QueryErrorKind;
pub use status::{ClusterStatus, ExecutorStatus, Work};
pub use wait::{ExecutorWait, no_executor, wait_for_executor};

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Runs planned queries: on executors, or in this process.
///
/// Its futures are boxed by hand, not by `async_trait`: see docs/decisions/0025-first-build.md.
pub trait Cluster: Send + Sync {
    /// A fresh session, in which a run registers its relations and plans its SQL.
    fn session(&self) -> Result<SessionContext, QueryError>;

    /// Runs a plan and returns when its rows can be read.
    ///
    /// Cancelling `query.cancel` stops the query where it is. Progress is sent to `query.progress`.
    fn execute(&self, query: Query) -> BoxFuture<'_, Result<QueryRun, QueryError>>;

    /// The executors and their slots.
    fn status(&self) -> BoxFuture<'_, ClusterStatus>;

    /// Returns when at least one executor is there; false after `timeout` without one.
    fn wait_for_executor(&self, timeout: Option<Duration>) -> BoxFuture<'_, bool>;

    /// Executors that leave from now on and take work or rows with them. Where there are none, nothing comes.
    fn losses(&self) -> broadcast::Receiver<ExecutorLoss> {
        broadcast::Sender::new(1).subscribe()
    }

    /// Removes an executor that takes no more tasks from the cluster when nothing depends on it, else returns what blocks its
    /// removal.
    fn request_removal<'a>(&'a self, _executor_id: &'a str) -> BoxFuture<'a, Blockers> {
        std::future::ready(Blockers::default()).boxed()
    }
}

/// An executor that left before everything was done that depended on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorLoss {
    pub executor_id: String,
    /// As a person should read it.
    pub reason: String,
}

/// What blocks the removal of an executor: it would be lost with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Tasks it was given and has not ended.
    pub tasks: u32,
    /// Queries that will still read rows it holds: shuffle files, or results that are not fetched yet.
    pub queries: u32,
}

/// One plan to run.
#[derive(Clone)]
pub struct Query {
    /// What people see: a model's name, or "sql".
    pub label: String,
    /// The session that planned it.
    pub session: Arc<SessionContext>,
    pub plan: LogicalPlan,
    pub cancel: CancellationToken,
    /// Gets every change of the query's stages.
    pub progress: watch::Sender<QueryProgress>,
}

/// A query whose rows can be read.
pub struct QueryRun {
    /// The engine's id of the query, for logs.
    pub query_id: String,
    pub rows: SendableRecordBatchStream,
    /// Stages that ran.
    pub stages: u32,
}

/// How far a query is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryProgress {
    /// The running stage, 1-based; 0 before the first.
    pub stage: u32,
    /// Stages of the plan.
    pub stages: u32,
    pub tasks_done: u32,
    pub tasks: u32,
    /// Tasks that ran again after a failure or a lost executor.
    pub tasks_retried: u32,
    /// Rows and bytes that finished tasks produced.
    pub rows: u64,
    pub bytes: u64,
}
