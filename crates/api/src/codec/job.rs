//! Jobs, their models and their tests.

use retail_proto::v1;

use super::{Field, enumeration, message};
use crate::job::{
    Job, JobState, ModelExplanation, ModelRun, ModelState, TestCounts, TestResult, TestState,
};

enumeration!(JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Interrupted,
} else Queued);

enumeration!(ModelState {
    Waiting,
    Running,
    Staged,
    Published,
    Failed,
    Skipped,
} else Waiting);

enumeration!(TestState {
    Passed,
    Warned,
    Failed,
    Skipped,
} else Skipped);

message!(Job {
    id,
    project,
    state,
    submitted_by,
    submitted_at_us,
    started_at_us,
    finished_at_us,
    attempts,
    models_total,
    models_done,
    rows_written,
    bytes_written,
    failure,
    models,
    trace_id,
    test_counts,
    tests,
});

message!(ModelRun {
    model,
    state,
    rows,
    bytes,
    files,
    stages,
    started_at_us,
    finished_at_us,
    snapshot_id,
});

message!(TestCounts {
    passed,
    warned,
    failed,
    skipped,
});

/// Absent: none were held.
impl Field<Option<v1::TestCounts>> for TestCounts {
    fn encode(self) -> Option<v1::TestCounts> {
        Some(self.encode())
    }
    fn decode(wire: Option<v1::TestCounts>) -> Self {
        wire.map(Field::<v1::TestCounts>::decode)
            .unwrap_or_default()
    }
}

message!(TestResult {
    test,
    about,
    column,
    path,
    line,
    state,
    failures,
    elapsed_ms,
    failure,
});

message!(ModelExplanation {
    model,
    path,
    materialized,
    rendered_sql,
    reads,
    logical_plan,
    physical_plan,
    writes,
    tests,
});
