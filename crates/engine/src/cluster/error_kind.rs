//! Kinds of failures, and the texts by which they are classified: Ballista returns an executor's error as text only.
//!
//! This is the only place that knows how Ballista, DataFusion and the transport word them, beside `retail_api::cause`, which
//! takes their wrappers off.

use retail_api::cause::RESULT_LOST;
use retail_lakehouse::DAMAGED_FILE;

/// What went wrong, as far as the engine knows.
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

/// Messages of a connection that breaks when its executor dies, wherever rows were on their way.
const BROKEN_CONNECTION: [&str; 6] = [
    "h2 protocol error",
    "error reading a body from connection",
    "broken pipe",
    "transport error",
    "connection reset",
    "Connection reset",
];

/// Found in errors of object stores only: their connections break too, and no executor is lost then.
const STORE: [&str; 3] = ["ObjectStore", "Object Store", "Generic S3"];

/// The kind of a failure.
pub(super) fn classify(text: &str) -> QueryErrorKind {
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

/// The stage that failed; 0 = none named.
pub(super) fn stage_of(text: &str) -> u32 {
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
    use crate::QueryError;

    #[test]
    fn a_sort_without_memory_reports_how_much_is_missing() {
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
    fn a_panic_is_reported_as_a_fault_of_the_engine() {
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
    fn an_error_that_was_written_for_programmers_is_reported_in_its_words() {
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
