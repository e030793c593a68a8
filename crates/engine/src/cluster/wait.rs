//! Waiting for the first executor.

use std::time::Duration;

use retail_api::{Failure, FailureKind};
use tokio_util::sync::CancellationToken;

use super::Cluster;

/// Why a query does not start where there is no slot.
const NO_SLOT: &str = "no executor has a free slot (0 of 0); start one with retail-executor";

/// How a wait for an executor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorWait {
    /// There were slots already.
    NotNeeded,
    Came,
    TimedOut,
    Cancelled,
}

/// Returns when the cluster has a slot: at once, or after it has waited with `on_wait` given the reason. Waits without end where
/// `timeout` is `None`.
pub async fn wait_for_executor(
    cluster: &dyn Cluster,
    timeout: Option<Duration>,
    cancel: &CancellationToken,
    on_wait: impl FnOnce(String),
) -> ExecutorWait {
    if cluster.status().await.slots() > 0 {
        return ExecutorWait::NotNeeded;
    }
    on_wait(NO_SLOT.to_owned());
    tokio::select! {
        () = cancel.cancelled() => ExecutorWait::Cancelled,
        came = cluster.wait_for_executor(timeout) => match came {
            true => ExecutorWait::Came,
            false => ExecutorWait::TimedOut,
        },
    }
}

/// The failure of what needed an executor, when none came within `timeout`.
pub fn no_executor(timeout: Option<Duration>) -> Failure {
    let waited = timeout.map_or_else(String::new, |t| format!(" after {:.0} s", t.as_secs_f64()));
    Failure::new(FailureKind::NoExecutor, format!("no executor came{waited}"))
        .note("start one with retail-executor --scheduler URL, or wait longer with --timeout")
        .retryable(true)
}
