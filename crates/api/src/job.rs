//! Jobs, their models and their tests, as the job store keeps them and clients print them.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumString};

use crate::absent::{zero, zero_or};
use crate::failure::Failure;
use crate::ids::{JobId, SnapshotId};

/// Where a job is in its life.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    AsRefStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobState {
    #[default]
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// The scheduler stopped while the job ran; nothing of it was published.
    Interrupted,
}

/// Where a model is in a job.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    AsRefStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ModelState {
    #[default]
    Waiting,
    Running,
    /// Written, not yet visible to readers.
    Staged,
    Published,
    Failed,
    Skipped,
}

/// What a declared test came to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, AsRefStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TestState {
    Passed,
    /// It has failures, and lets the job go on.
    Warned,
    /// Its failures stop the job.
    Failed,
    /// What it reads is not there.
    Skipped,
}

/// One run of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub project: String,
    pub state: JobState,
    /// Who submitted it; free text.
    pub submitted_by: String,
    /// Microseconds since the epoch, UTC, as all times here.
    pub submitted_at_us: i64,
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub started_at_us: Option<i64>,
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub finished_at_us: Option<i64>,
    pub attempts: u32,
    pub models_total: u32,
    pub models_done: u32,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub failure: Option<Failure>,
    /// Of the job's trace, in hexadecimal; absent in lists, and where none is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// In the order of the graph; empty in lists.
    pub models: Vec<ModelRun>,
    /// How many of its declared tests came to what.
    pub test_counts: TestCounts,
    /// In the order in which they are declared; empty in lists.
    pub tests: Vec<TestResult>,
}

impl Job {
    /// Whether readers see what the job made. All models are published at once.
    pub fn is_published(&self) -> bool {
        self.models
            .iter()
            .any(|model| model.state == ModelState::Published)
    }
}

/// One model in one job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRun {
    /// `namespace.name`
    pub model: String,
    pub state: ModelState,
    pub rows: u64,
    pub bytes: u64,
    pub files: u32,
    /// Stages that its query ran in.
    pub stages: u32,
    /// Microseconds since the epoch, UTC, as all times here.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub started_at_us: Option<i64>,
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub finished_at_us: Option<i64>,
    /// Absent where the model wrote no table.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub snapshot_id: Option<SnapshotId>,
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

/// What a model would do if it ran now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelExplanation {
    /// `namespace.name`
    pub model: String,
    /// Relative to the project.
    pub path: String,
    pub materialized: String,
    pub rendered_sql: String,
    /// A line per relation that it reads.
    pub reads: Vec<String>,
    pub logical_plan: String,
    pub physical_plan: String,
    pub writes: String,
    /// The declared tests that a run of it holds, and where they are declared.
    pub tests: Vec<String>,
}
