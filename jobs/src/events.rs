//! What happens in a job, as typed facts: the Watch stream, the job's history and the client's screen.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// The scheduler went away while the job ran; nothing of it was published.
    Interrupted,
}

impl JobState {
    /// Whether the job has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Where a model is in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    Waiting,
    Running,
    /// Written, not yet visible to readers.
    Staged,
    Published,
    Failed,
    Skipped,
}

/// One fact of a job. `seq` counts from 1 within the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    pub job_id: String,
    pub seq: u64,
    /// Microseconds since the epoch, UTC.
    pub time_us: i64,
    pub kind: EventKind,
}

/// The facts. Models are named `namespace.name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    Queued {
        project: String,
        position: u32,
        /// Of the job's trace, in hexadecimal; empty where none is recorded.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        trace_id: String,
    },
    Planned {
        project: String,
        models: Vec<PlannedModel>,
        executors: u32,
        slots: u32,
    },
    /// The job cannot go on for a reason outside it.
    Waiting {
        reason: String,
    },
    AttemptStarted {
        attempt: u32,
        reason: String,
    },
    ModelStarted {
        model: String,
        attempt: u32,
    },
    StageProgress(StageProgress),
    /// Rows of a model's query were lost with an executor: it runs again as a whole, for the `run`-th time.
    QueryRestarted {
        model: String,
        run: u32,
        reason: String,
    },
    ModelStaged {
        model: String,
        rows: u64,
        bytes: u64,
        files: u32,
        stages: u32,
        elapsed_ms: u64,
        note: String,
    },
    ModelFailed {
        model: String,
        failure: Box<Failure>,
    },
    ModelSkipped {
        model: String,
        because: String,
    },
    Published {
        tables: Vec<PublishedTable>,
        elapsed_ms: u64,
    },
    Finished {
        state: JobState,
        failure: Option<Box<Failure>>,
        elapsed_ms: u64,
    },
    ExecutorLost {
        executor_id: String,
        reason: String,
    },
}

impl EventKind {
    /// Progress is for screens; everything else is history.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::StageProgress(_))
    }
}

/// A model of the job, in the order of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedModel {
    pub model: String,
    pub materialized: String,
    pub path: String,
    pub depends_on: Vec<String>,
}

/// How far a model's query is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageProgress {
    pub model: String,
    /// 1-based.
    pub stage: u32,
    pub stages: u32,
    pub tasks_done: u32,
    pub tasks: u32,
    pub tasks_retried: u32,
    pub rows: u64,
    pub bytes: u64,
}

/// A table or view that readers now see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedTable {
    pub table: String,
    pub materialized: String,
    pub rows: u64,
    /// -1: the table is new.
    pub rows_before: i64,
    /// 0 for a view.
    pub snapshot_id: i64,
    /// From the model's start to its staged table.
    pub elapsed_ms: u64,
}
