//! How jobs are read from rows.

use std::str::FromStr;

use sqlx::Row;
use sqlx::any::AnyRow;

use retail_api::job::{Job, ModelRun, TestCounts, TestResult};
use retail_api::{Failure, SnapshotId};

pub(super) fn job(row: &AnyRow) -> sqlx::Result<Job> {
    Ok(Job {
        id: row.try_get::<String, _>(0)?.into(),
        project: row.try_get(1)?,
        state: state(row, 2)?,
        submitted_by: row.try_get(3)?,
        submitted_at_us: row.try_get(4)?,
        started_at_us: present(row, 5)?,
        finished_at_us: present(row, 6)?,
        attempts: count(row, 7)? as u32,
        models_total: count(row, 8)? as u32,
        models_done: count(row, 9)? as u32,
        rows_written: count(row, 10)?,
        bytes_written: count(row, 11)?,
        failure: failure(row, 12)?,
        trace_id: None,
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
    Ok(ModelRun {
        model: row.try_get(0)?,
        state: state(row, 1)?,
        rows: count(row, 2)?,
        bytes: count(row, 3)?,
        files: count(row, 4)? as u32,
        stages: count(row, 5)? as u32,
        started_at_us: present(row, 6)?,
        finished_at_us: present(row, 7)?,
        snapshot_id: present(row, 8)?.map(SnapshotId),
    })
}

pub(super) fn test(row: &AnyRow) -> sqlx::Result<TestResult> {
    let column: String = row.try_get(2)?;
    Ok(TestResult {
        test: row.try_get(0)?,
        about: row.try_get(1)?,
        column: (!column.is_empty()).then_some(column),
        path: row.try_get(3)?,
        line: count(row, 4)? as u32,
        state: state(row, 5)?,
        failures: row.try_get(6)?,
        elapsed_ms: count(row, 7)?,
        failure: failure(row, 8)?.map(Box::new),
    })
}

/// Number, time and JSON of an event.
pub(super) fn event(row: &AnyRow) -> sqlx::Result<(u64, i64, String)> {
    Ok((count(row, 0)?, row.try_get(1)?, row.try_get(2)?))
}

fn count(row: &AnyRow, column: usize) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.max(0) as u64)
}

/// Absent: 0.
fn present(row: &AnyRow, column: usize) -> sqlx::Result<Option<i64>> {
    Ok(Some(row.try_get(column)?).filter(|value| *value != 0))
}

fn state<S: FromStr>(row: &AnyRow, column: usize) -> sqlx::Result<S> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|_| sqlx::Error::Decode(format!("unknown state {text:?}").into()))
}

/// Absent: the empty text.
fn failure(row: &AnyRow, column: usize) -> sqlx::Result<Option<Failure>> {
    match row.try_get(column)? {
        "" => Ok(None),
        text => serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(Box::new(e))),
    }
}
