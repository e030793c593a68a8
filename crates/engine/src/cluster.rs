//! What runs queries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use retail_api::cause::{RESULT_LOST, innermost};
use retail_api::cluster::ExecutorState;
use retail_lakehouse::DAMAGED_FILE;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Runs planned queries: on executors, or in this process.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// A fresh session, in which a run registers its relations and plans its SQL.
    fn session(&self) -> Result<SessionContext, QueryError>;

    /// Runs a plan and returns when its rows can be read.
    ///
    /// Cancelling `query.cancel` stops the query where it is. Progress is sent to `query.progress`.
    async fn execute(&self, query: Query) -> Result<QueryRun, QueryError>;

    /// The executors and their slots.
    async fn status(&self) -> ClusterStatus;

    /// Returns when at least one executor is there; false after `timeout` without one.
    async fn wait_for_executor(&self, timeout: Option<Duration>) -> bool;

    /// Executors that leave from now on and take work or rows with them. Where there are none, nothing comes.
    fn losses(&self) -> broadcast::Receiver<ExecutorLoss> {
        broadcast::Sender::new(1).subscribe()
    }

    /// Removes an executor that takes no more tasks from the cluster when nothing depends on it, else returns what blocks its
    /// removal.
    async fn request_removal(&self, _executor_id: &str) -> Blockers {
        Blockers::default()
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
    /// Queries that will still read rows it holds: shuffle files, or results nobody has fetched yet.
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
    /// Rows and bytes that finished tasks put out.
    pub rows: u64,
    pub bytes: u64,
}

/// Who runs tasks, and how much there is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    pub executors: Vec<ExecutorStatus>,
    pub work: Work,
}

/// What runs and waits now: what decides how many executors there should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Jobs and queries that wait because there is no executor at all.
    pub queries_waiting: u32,
    pub tasks_running: u32,
    /// Partitions of running stages that no task has been made of yet. One task may take several of them.
    pub tasks_queued: u32,
    /// Most slots that one running stage could use at once.
    pub widest_stage: u32,
}

impl ClusterStatus {
    /// Tasks that can run at once.
    pub fn slots(&self) -> u32 {
        self.executors.iter().map(|e| e.slots).sum()
    }

    /// Tasks that could start now.
    pub fn slots_free(&self) -> u32 {
        self.executors.iter().map(|e| e.slots_free).sum()
    }
}

/// One executor as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorStatus {
    pub id: String,
    pub host: String,
    pub flight_port: u16,
    pub grpc_port: u16,
    pub slots: u32,
    pub slots_free: u32,
    pub tasks_running: u32,
    pub state: ExecutorState,
    /// Microseconds since the epoch; 0 = none yet.
    pub last_heartbeat_us: i64,
}

/// Why a query did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub kind: QueryErrorKind,
    /// The innermost cause, as a person should read it.
    pub message: String,
    /// Stage that failed; 0 = before any.
    pub stage: u32,
    #[source]
    pub source: Option<DataFusionError>,
}

/// What went wrong, as far as the engine can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The plan is wrong: types, functions, unsupported shapes.
    Plan,
    /// A task failed on its data.
    Execution,
    /// Disk or object store.
    Storage,
    /// Memory did not suffice.
    Resources,
    /// Every executor was lost.
    NoExecutor,
    /// An executor left with rows of the query before they were read, by us or by another executor. Running the
    /// query again helps.
    ResultLost,
    Cancelled,
}

impl QueryErrorKind {
    /// In a word or two, for what must not quote data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Execution => "execution",
            Self::Storage => "storage",
            Self::Resources => "resources",
            Self::NoExecutor => "no executor",
            Self::ResultLost => "result lost",
            Self::Cancelled => "cancelled",
        }
    }
}

impl QueryError {
    /// A query that somebody stopped.
    pub fn cancelled() -> Self {
        Self {
            kind: QueryErrorKind::Cancelled,
            message: "the query was cancelled".to_string(),
            stage: 0,
            source: None,
        }
    }

    /// Whether a data file is not what it was when its table named it: trying again does not help, nor does the store.
    pub fn is_of_changed_file(&self) -> bool {
        [DAMAGED_FILE, "after its table named it"]
            .iter()
            .any(|sign| self.message.contains(sign))
    }

    /// From an engine's text, when only text came back from an executor.
    pub fn from_text(text: &str) -> Self {
        let message = innermost(text);
        Self {
            kind: classify(text),
            message,
            stage: stage_of(text),
            source: None,
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let text = error.to_string();
        let kind = match error.find_root() {
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_) => QueryErrorKind::Plan,
            DataFusionError::ResourcesExhausted(_) => QueryErrorKind::Resources,
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => {
                QueryErrorKind::Storage
            }
            _ => classify(&text),
        };
        Self {
            kind,
            message: innermost(&text),
            stage: stage_of(&text),
            source: Some(error),
        }
    }
}

/// What a connection to an executor that dies says, wherever rows were on their way.
const BROKEN_CONNECTION: [&str; 6] = [
    "h2 protocol error",
    "error reading a body from connection",
    "broken pipe",
    "transport error",
    "connection reset",
    "Connection reset",
];

/// What only a store says: its connections break too, and no executor is lost then.
const STORE: [&str; 3] = ["ObjectStore", "Object Store", "Generic S3"];

fn classify(text: &str) -> QueryErrorKind {
    const STORAGE: [&str; 5] = [
        "No space left",
        "no space left",
        "IO error",
        "IoError",
        "storage full",
    ];
    let has = |needles: &[&str]| needles.iter().any(|n| text.contains(n));
    if has(&["Cancelled", "cancelled"]) {
        QueryErrorKind::Cancelled
    } else if has(&["Resources exhausted", "ResourcesExhausted"]) {
        QueryErrorKind::Resources
    } else if has(&[DAMAGED_FILE]) || (has(&STORE) && !has(&[RESULT_LOST])) {
        QueryErrorKind::Storage
    } else if has(&[RESULT_LOST]) || has(&BROKEN_CONNECTION) {
        QueryErrorKind::ResultLost
    } else if has(&["no executors", "No executors", "all executors"]) {
        QueryErrorKind::NoExecutor
    } else if has(&STORAGE) {
        QueryErrorKind::Storage
    } else if has(&[
        "Error planning job",
        "Error during planning",
        "This feature is not implemented",
    ]) {
        QueryErrorKind::Plan
    } else {
        QueryErrorKind::Execution
    }
}

fn stage_of(text: &str) -> u32 {
    let Some(at) = text.find("due to stage ") else {
        return 0;
    };
    let digits: String = text[at + "due to stage ".len()..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use retail_api::cause::ENGINE_FAILED;

    use super::*;

    #[test]
    fn a_sort_without_memory_says_how_much_is_missing() {
        let error = QueryError::from_text(
            "Context(\"Not enough memory to continue external sort. Consider …\", ResourcesExhausted(\"Additional allocation \
             failed for ExternalSorterMerge[0] with top memory consumers (across reservations) as:\\n …\\nError: Failed to \
             allocate additional 10.0 MB for ExternalSorterMerge[0] with 0.0 B already allocated for this reservation - 8.5 MB \
             remain available for the total memory pool: fair(pool_size: 22.9 MB)\"))))))",
        );
        assert_eq!(
            error.message,
            "not enough memory for a sort: it needs 10.0 MB more, and 8.5 MB of the executor's 22.9 MB are left"
        );
    }

    #[test]
    fn a_panic_is_told_as_a_fault_of_the_engine() {
        for raw in [
            "Join Error\ncaused by\nExternal error: task 12 panicked with message \"index out of bounds\"",
            "Job failed due to stage 1 failed: Task failed due to runtime execution error: Internal Ballista error: \"index out \
             of bounds\"\n",
        ] {
            let error = QueryError::from_text(raw);
            assert!(
                error.message.starts_with(ENGINE_FAILED),
                "{}",
                error.message
            );
            assert!(
                error.message.ends_with("report it: index out of bounds"),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn an_error_of_the_parquet_reader_is_called_one() {
        let error = QueryError::from_text(
            "Job failed due to stage 1 failed: Task failed due to runtime execution error: DataFusion error: Arrow error: \
             Parquet argument error: Parquet error: Required field encoding is missing\n",
        );
        assert_eq!(
            error.message,
            "a Parquet file cannot be read: Required field encoding is missing"
        );
        assert_eq!(error.kind, QueryErrorKind::Execution);
        let named = "DataFusion error: Execution error: damaged data file file:///a.parquet: Data corruption detected; restore it";
        let error = QueryError::from_text(named);
        assert_eq!(
            error.message,
            "damaged data file file:///a.parquet: Data corruption detected; restore it"
        );
        assert_eq!(error.kind, QueryErrorKind::Storage);
    }

    #[test]
    fn a_fault_of_the_engine_is_called_one() {
        let error = QueryError::from_text(
            "Internal error: Assertion failed: lhs_type == rhs_type: Only intervals.\nThis issue was likely caused by a bug \
             in DataFusion's code. Please help us to resolve this by filing a bug report in our issue tracker: https://…",
        );
        assert!(
            error.message.starts_with("the engine failed, which"),
            "{}",
            error.message
        );
        assert!(
            error.message.ends_with("Only intervals"),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_task_failure_shows_its_cause_and_stage_only() {
        let error = QueryError::from_text(
            "Job failed due to stage 2 failed: Task failed due to runtime execution error: \
             DataFusion error: Arrow error: Divide by zero error\n",
        );
        assert_eq!(error.message, "Divide by zero error");
        assert_eq!(error.stage, 2);
        assert_eq!(error.kind, QueryErrorKind::Execution);
    }

    #[test]
    fn an_error_that_was_written_for_programmers_is_told_in_its_words() {
        let error = QueryError::from_text(
            "Task failed due to runtime execution error: DataFusionError(Shared(External(DataFusionError(Execution(\
             \"cannot write \\\"a.parquet\\\": no space left on device\")))))",
        );
        assert_eq!(
            error.message,
            "cannot write \"a.parquet\": no space left on device"
        );
        assert_eq!(error.kind, QueryErrorKind::Storage);
        let half = QueryError::from_text("Execution(\"a\", Other)");
        assert_eq!(half.message, "\"a\", Other)");
    }

    #[test]
    fn rows_lost_with_an_executor_are_worth_another_run() {
        let dying = "code: 'Unknown error', message: \"h2 protocol error: error reading a body from connection\"";
        assert_eq!(
            QueryError::from_text(dying).kind,
            QueryErrorKind::ResultLost
        );
        let gone = format!("{RESULT_LOST}: executor 7 at 127.0.0.1:50051 is gone");
        assert_eq!(
            QueryError::from_text(&gone).kind,
            QueryErrorKind::ResultLost
        );
    }

    #[test]
    fn a_full_disk_is_a_storage_error() {
        let error = QueryError::from_text("IO error: No space left on device (os error 28)");
        assert_eq!(error.kind, QueryErrorKind::Storage);
        assert_eq!(error.message, "No space left on device (os error 28)");
    }
}
