//! Turns what went wrong below into what a person reads.

use std::time::Duration;

use retail_engine::{QueryError, QueryErrorKind};

use retail_api::source::Source;
use retail_api::{Failure, FailureKind, Unpublished};
use retail_connect::files;
use retail_project::Model;

/// The job was stopped by somebody.
pub(crate) fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "the job was cancelled")
        .unpublished(Unpublished::Everything)
}

/// No executor came in time.
pub(crate) fn no_executor(timeout: Option<Duration>) -> Failure {
    retail_engine::no_executor(timeout).unpublished(Unpublished::Everything)
}

/// A model's query failed while it ran. Bad cells of its sources are looked for and named.
pub(crate) async fn query(
    model: &Model,
    read: &[&Source],
    stores: &retail_storage::ObjectStores,
    error: QueryError,
) -> Failure {
    if error.kind == QueryErrorKind::Cancelled {
        return cancelled();
    }
    if error.kind == QueryErrorKind::Plan
        && let Some(source) = &error.source
    {
        return crate::sql_errors::plan_failure(model, source);
    }
    if error.kind == QueryErrorKind::Execution
        && let Some(failure) = files::diagnose(read, stores, &error.message).await
    {
        return failure.model(model.table.to_string());
    }
    let (kind, way_out) = match error.kind {
        QueryErrorKind::Storage => (FailureKind::Storage, storage_way_out(&error)),
        QueryErrorKind::Resources => (
            FailureKind::Execution,
            "give executors more memory (resources.memory_bytes) or fewer slots",
        ),
        QueryErrorKind::NoExecutor | QueryErrorKind::ResultLost => (
            FailureKind::NoExecutor,
            "start an executor and run the job again",
        ),
        _ => (
            FailureKind::Execution,
            "look at the model's SQL and the rows it reads",
        ),
    };
    let retryable = matches!(kind, FailureKind::Storage | FailureKind::NoExecutor)
        && !error.is_of_changed_file();
    let (cause, own_way_out) = retail_engine::sql_diagnostics::run_words(&error.message);
    let mut failure = Failure::new(kind, format!("cannot run model {}", model.table))
        .model(model.table.to_string())
        .at(model.path.clone(), 0, 0)
        .cause(cause)
        .note(own_way_out.as_deref().unwrap_or(way_out))
        .caused_by(&error)
        .retryable(retryable);
    failure.stage = error.stage;
    if kind == FailureKind::Execution {
        failure = crate::sql_errors::at_suspects(failure, model, &error.message);
    }
    failure
}

/// What to do about a store or a file of it.
pub(crate) fn storage_way_out(error: &QueryError) -> &'static str {
    let message = error.message.to_lowercase();
    if error.is_of_changed_file() {
        "look which program or disk changed or deleted the file after it was written"
    } else if message.contains("no space left") || message.contains("storage full") {
        "free space on the disk that is full, then run the job again"
    } else {
        "check that the store can be reached and written, then run the job again"
    }
}
