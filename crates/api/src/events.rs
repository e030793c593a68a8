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

/// What a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestState {
    Passed,
    /// It has failures, and lets the job go on.
    Warned,
    /// Its failures stop the job.
    Failed,
    /// What it reads is not there.
    Skipped,
}

impl TestState {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A declared test of the job, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    pub test: String,
    /// `namespace.name` of a model, `source.table` of a source, empty for a test in a file of its own.
    pub about: String,
    pub column: Option<String>,
    /// Where it is declared, relative to the project.
    pub path: String,
    /// 1-based.
    pub line: u32,
    pub state: TestState,
    /// Failing rows, or what the test's `fail_calc` makes of them.
    pub failures: i64,
    /// Of its query, which other tests may share.
    pub elapsed_ms: u64,
    /// What a person reads; none for a test that passed.
    pub failure: Option<Box<Failure>>,
}

/// How many tests came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    pub passed: u32,
    pub warned: u32,
    pub failed: u32,
    pub skipped: u32,
}

impl TestCounts {
    /// Counts results.
    pub fn of(results: &[TestResult]) -> Self {
        let count = |state| results.iter().filter(|r| r.state == state).count() as u32;
        Self {
            passed: count(TestState::Passed),
            warned: count(TestState::Warned),
            failed: count(TestState::Failed),
            skipped: count(TestState::Skipped),
        }
    }

    /// All of them.
    pub fn total(self) -> u32 {
        self.passed + self.warned + self.failed + self.skipped
    }
}

/// `89 of 89 tests passed`, `87 of 90 tests passed, 2 warn, 1 not run`.
impl std::fmt::Display for TestCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.total();
        let noun = if total == 1 { "test" } else { "tests" };
        write!(f, "{} of {total} {noun} passed", self.passed)?;
        for (count, word) in [
            (self.failed, "failed"),
            (self.warned, "warn"),
            (self.skipped, "not run"),
        ] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
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
