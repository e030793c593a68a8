//! What the cluster says about jobs, tables and executors, as the client prints it: text or JSON.

use retail_api::Failure;
use retail_api::events::{JobState, ModelState, TestCounts, TestResult};
use serde::Serialize;

/// A job and, when asked for alone, its models.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    pub id: String,
    pub project: String,
    pub state: JobState,
    pub submitted_by: String,
    pub submitted_at_us: i64,
    pub started_at_us: i64,
    pub finished_at_us: i64,
    pub attempts: u32,
    pub models_total: u32,
    pub models_done: u32,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub failure: Option<Failure>,
    /// Where the job's trace is recorded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    pub models: Vec<ModelRun>,
    /// How many of its declared tests came to what.
    pub test_counts: TestCounts,
    pub tests: Vec<TestResult>,
}

/// A model of a job.
#[derive(Debug, Clone, Serialize)]
pub struct ModelRun {
    pub model: String,
    pub state: ModelState,
    pub rows: u64,
    pub bytes: u64,
    pub files: u32,
    pub stages: u32,
    pub started_at_us: i64,
    pub finished_at_us: i64,
    /// 0 where the model writes no table.
    pub snapshot_id: i64,
}

/// A published table or view.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    pub name: String,
    /// `table` or `view`.
    pub kind: String,
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    pub snapshot_id: i64,
    pub updated_at_us: i64,
    pub location: String,
    pub metadata_location: String,
    pub partition_by: Vec<String>,
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Column {
    pub name: String,
    pub r#type: String,
    pub required: bool,
}

/// One state of a table.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    pub id: i64,
    /// 0 or -1 for the first.
    pub parent_id: i64,
    pub committed_at_us: i64,
    pub operation: String,
    pub summary: std::collections::BTreeMap<String, String>,
}

/// The executors and what they are doing.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterStatus {
    pub executors: Vec<Executor>,
    pub slots: u32,
    pub slots_free: u32,
    pub jobs_running: u32,
    pub jobs_queued: u32,
    pub version: String,
    pub started_at_us: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Executor {
    pub id: String,
    pub host: String,
    pub flight_port: u32,
    pub grpc_port: u32,
    pub slots: u32,
    pub slots_free: u32,
    /// `active`, `draining` or `lost`.
    pub state: String,
    pub tasks_running: u32,
    pub last_heartbeat_us: i64,
}

/// What a model would do if it ran now.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub model: String,
    pub path: String,
    pub materialized: String,
    pub rendered_sql: String,
    pub reads: Vec<String>,
    pub logical_plan: String,
    pub physical_plan: String,
    pub writes: String,
    /// The declared tests that a run of it holds.
    pub tests: Vec<String>,
}

/// A job's state in lower case.
pub fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Interrupted => "interrupted",
    }
}

/// A model's state in lower case.
pub fn model_state(state: ModelState) -> &'static str {
    match state {
        ModelState::Waiting => "waiting",
        ModelState::Running => "running",
        ModelState::Staged => "staged",
        ModelState::Published => "published",
        ModelState::Failed => "failed",
        ModelState::Skipped => "skipped",
    }
}
