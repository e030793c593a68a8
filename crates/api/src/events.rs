//! What happens in a job, as typed facts: the Watch stream, the job's history and the client's screen.

use serde::{Deserialize, Serialize};

use crate::absent::{minus_one, minus_one_or, zero, zero_or};
use crate::failure::Failure;
use crate::ids::{ExecutorId, JobId, SnapshotId};
use crate::job::{JobState, TestResult};

/// One fact of a job. `seq` counts from 1 within the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    pub job_id: JobId,
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
        /// Of the job's trace, in hexadecimal; absent where none is recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace_id: Option<String>,
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
    /// Counts from 1; why there is another one, the [`EventKind::Waiting`] before it gives.
    AttemptStarted {
        attempt: u32,
    },
    ModelStarted {
        model: String,
        attempt: u32,
    },
    StageProgress(StageProgress),
    /// Rows of a model's query were lost with an executor: it is retried as a whole, as its `run`-th run.
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
    },
    ModelFailed {
        model: String,
        failure: Box<Failure>,
    },
    ModelSkipped {
        model: String,
        because: String,
    },
    /// The declared tests begin, on what the run staged.
    TestsStarted {
        tests: u32,
        queries: u32,
    },
    /// The declared tests have ended; in the order in which they are declared.
    Tested {
        results: Vec<TestResult>,
        elapsed_ms: u64,
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
    /// Something of the project is not done as written; the job goes on.
    Warning {
        text: String,
        /// Relative to the project; empty where no file is meant.
        #[serde(default)]
        path: String,
        /// 1-based; 0 = unknown.
        #[serde(default)]
        line: u32,
    },
    ExecutorLost {
        executor_id: ExecutorId,
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
    /// Absent where the table is new.
    #[serde(serialize_with = "minus_one_or", deserialize_with = "minus_one")]
    pub rows_before: Option<u64>,
    /// Absent for a view.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub snapshot_id: Option<SnapshotId>,
    /// From the model's start to its staged table.
    pub elapsed_ms: u64,
}
