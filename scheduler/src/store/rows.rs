//! Jobs as the store knows them, and how they are read from rows.

use sqlx::Row;
use sqlx::any::AnyRow;

use retail_api::Failure;
use retail_api::events::{JobState, ModelState, TestCounts, TestResult, TestState};

/// One run of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Short id that people type; unique in one store.
    pub id: String,
    pub project: String,
    pub state: JobState,
    pub submitted_by: String,
    /// Times are microseconds since the epoch, UTC; 0 = not yet.
    pub submitted_at_us: i64,
    pub started_at_us: i64,
    pub finished_at_us: i64,
    pub attempts: u32,
    pub models_total: u32,
    pub models_done: u32,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub failure: Option<Failure>,
    /// Of the job's trace, in hexadecimal; empty in lists, and where none is recorded.
    pub trace_id: String,
    /// In the order of the graph; empty in lists.
    pub models: Vec<ModelRun>,
    /// How many of its declared tests came to what.
    pub test_counts: TestCounts,
    /// In the order in which they are declared; empty in lists.
    pub tests: Vec<TestResult>,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            id: String::new(),
            project: String::new(),
            state: JobState::Queued,
            submitted_by: String::new(),
            submitted_at_us: 0,
            started_at_us: 0,
            finished_at_us: 0,
            attempts: 0,
            models_total: 0,
            models_done: 0,
            rows_written: 0,
            bytes_written: 0,
            failure: None,
            trace_id: String::new(),
            models: vec![],
            test_counts: TestCounts::default(),
            tests: vec![],
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRun {
    /// `namespace.name`
    pub model: String,
    pub state: ModelState,
    pub rows: u64,
    pub bytes: u64,
    pub files: u32,
    pub stages: u32,
    pub started_at_us: i64,
    pub finished_at_us: i64,
    /// 0 where the model wrote no table.
    pub snapshot_id: i64,
}

pub(super) fn job(row: &AnyRow) -> sqlx::Result<Job> {
    let failure: String = row.try_get(12)?;
    let state: String = row.try_get(2)?;
    Ok(Job {
        id: row.try_get(0)?,
        project: row.try_get(1)?,
        state: job_state(&state).ok_or_else(|| unknown("state", &state))?,
        submitted_by: row.try_get(3)?,
        submitted_at_us: row.try_get(4)?,
        started_at_us: row.try_get(5)?,
        finished_at_us: row.try_get(6)?,
        attempts: count(row, 7)? as u32,
        models_total: count(row, 8)? as u32,
        models_done: count(row, 9)? as u32,
        rows_written: count(row, 10)?,
        bytes_written: count(row, 11)?,
        failure: match failure.as_str() {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(Box::new(e)))?),
        },
        trace_id: String::new(),
        models: vec![],
        test_counts: TestCounts {
            passed: count(row, 13)? as u32,
            warned: count(row, 14)? as u32,
            failed: count(row, 15)? as u32,
            skipped: count(row, 16)? as u32,
        },
        tests: vec![],
    })
}

pub(super) fn model(row: &AnyRow) -> sqlx::Result<ModelRun> {
    let state: String = row.try_get(1)?;
    Ok(ModelRun {
        model: row.try_get(0)?,
        state: model_state(&state).ok_or_else(|| unknown("state", &state))?,
        rows: count(row, 2)?,
        bytes: count(row, 3)?,
        files: count(row, 4)? as u32,
        stages: count(row, 5)? as u32,
        started_at_us: row.try_get(6)?,
        finished_at_us: row.try_get(7)?,
        snapshot_id: row.try_get(8)?,
    })
}

pub(super) fn test(row: &AnyRow) -> sqlx::Result<TestResult> {
    let (column, state, failure): (String, String, String) =
        (row.try_get(2)?, row.try_get(5)?, row.try_get(8)?);
    let states = [
        TestState::Passed,
        TestState::Warned,
        TestState::Failed,
        TestState::Skipped,
    ];
    Ok(TestResult {
        test: row.try_get(0)?,
        about: row.try_get(1)?,
        column: (!column.is_empty()).then_some(column),
        path: row.try_get(3)?,
        line: count(row, 4)? as u32,
        state: states
            .into_iter()
            .find(|s| s.as_str() == state)
            .ok_or_else(|| unknown("state", &state))?,
        failures: row.try_get(6)?,
        elapsed_ms: count(row, 7)?,
        failure: match failure.as_str() {
            "" => None,
            text => Some(serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(Box::new(e)))?),
        },
    })
}

/// Number, time and JSON of an event.
pub(super) fn event(row: &AnyRow) -> sqlx::Result<(u64, i64, String)> {
    Ok((count(row, 0)?, row.try_get(1)?, row.try_get(2)?))
}

fn count(row: &AnyRow, column: usize) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.max(0) as u64)
}

fn unknown(what: &str, value: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unknown {what} {value:?}").into())
}

const JOB_STATES: [(JobState, &str); 6] = [
    (JobState::Queued, "queued"),
    (JobState::Running, "running"),
    (JobState::Succeeded, "succeeded"),
    (JobState::Failed, "failed"),
    (JobState::Cancelled, "cancelled"),
    (JobState::Interrupted, "interrupted"),
];

const MODEL_STATES: [(ModelState, &str); 6] = [
    (ModelState::Waiting, "waiting"),
    (ModelState::Running, "running"),
    (ModelState::Staged, "staged"),
    (ModelState::Published, "published"),
    (ModelState::Failed, "failed"),
    (ModelState::Skipped, "skipped"),
];

pub(super) fn state_text(state: JobState) -> &'static str {
    JOB_STATES
        .iter()
        .find(|(s, _)| *s == state)
        .map_or("", |(_, text)| text)
}

fn job_state(text: &str) -> Option<JobState> {
    JOB_STATES
        .iter()
        .find(|(_, t)| *t == text)
        .map(|(state, _)| *state)
}

pub(super) fn model_text(state: ModelState) -> &'static str {
    MODEL_STATES
        .iter()
        .find(|(s, _)| *s == state)
        .map_or("", |(_, text)| text)
}

fn model_state(text: &str) -> Option<ModelState> {
    MODEL_STATES
        .iter()
        .find(|(_, t)| *t == text)
        .map(|(state, _)| *state)
}
