//! Distinguishes executors that were decommissioned from executors that were lost with tasks or rows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ballista_scheduler::cluster::{ClusterStateEvent, ClusterStateEventStream};
use futures::StreamExt;
use parking_lot::Mutex;
use retail_engine::{Blockers, ExecutorLoss};
use tokio::sync::broadcast;

/// Losses that a slow listener may fall behind by.
const BACKLOG: usize = 64;

/// Decommissioned executors that are remembered. Ids are not reused.
const REMEMBERED: usize = 256;

/// Watches executors being removed and reports those that were lost.
#[derive(Clone)]
pub(super) struct LossWatch {
    /// What blocked the removal of a draining executor at its last request.
    draining: Arc<Mutex<HashMap<String, Blockers>>>,
    losses: broadcast::Sender<ExecutorLoss>,
}

impl LossWatch {
    /// Follows the cluster's events until their stream ends.
    pub(super) fn start(events: ClusterStateEventStream) -> Self {
        let watch = Self {
            draining: Arc::default(),
            losses: broadcast::Sender::new(BACKLOG),
        };
        tokio::spawn(watch.clone().follow(events));
        watch
    }

    /// Losses from now on.
    pub(super) fn losses(&self) -> broadcast::Receiver<ExecutorLoss> {
        self.losses.subscribe()
    }

    /// Records what blocked a draining executor's removal when it requested it.
    pub(super) fn removal_requested(&self, executor_id: &str, blockers: Blockers) {
        self.draining
            .lock()
            .insert(executor_id.to_owned(), blockers);
    }

    async fn follow(self, mut events: ClusterStateEventStream) {
        let mut decommissioned = VecDeque::with_capacity(REMEMBERED);
        while let Some(event) = events.next().await {
            let ClusterStateEvent::RemovedExecutor { executor_id } = event else {
                continue;
            };
            // A heartbeat in flight at the removal registers the executor once more; Ballista then expires it as lost.
            if decommissioned.contains(&executor_id) {
                continue;
            }
            let last = self.draining.lock().remove(&executor_id);
            match loss(last) {
                None => {
                    tracing::info!(executor = %executor_id, "executor left, drained");
                    decommissioned.truncate(REMEMBERED - 1);
                    decommissioned.push_front(executor_id);
                }
                Some(reason) => {
                    tracing::warn!(executor = %executor_id, reason, "executor lost");
                    let _ = self.losses.send(ExecutorLoss {
                        executor_id,
                        reason,
                    });
                }
            }
        }
    }
}

/// Why the removal of an executor is a loss, from what blocked it at its last request (`None`: it never requested one).
/// `None` when nothing blocked it: it was decommissioned.
fn loss(last_request: Option<Blockers>) -> Option<String> {
    let Some(Blockers { tasks, queries }) = last_request else {
        return Some(
            "it stopped, or gave no sign of life; what it was doing runs again elsewhere"
                .to_owned(),
        );
    };
    let tasks = (tasks > 0).then(|| counted(tasks, "running task"));
    let queries = (queries > 0).then(|| format!("rows of {}", counted(queries, "query")));
    let took: Vec<String> = [tasks, queries].into_iter().flatten().collect();
    (!took.is_empty()).then(|| {
        format!(
            "its time to drain was over and it left with {}, which run again elsewhere",
            took.join(" and ")
        )
    })
}

fn counted(n: u32, what: &str) -> String {
    match (n, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (n, Some(stem)) => format!("{n} {stem}ies"),
        (n, None) => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_decommissioned_executor_is_not_reported_lost_afterwards() {
        let (send, events) = tokio::sync::mpsc::unbounded_channel();
        let events = tokio_stream::wrappers::UnboundedReceiverStream::new(events);
        let watch = LossWatch::start(Box::pin(events));
        let mut losses = watch.losses();
        watch.removal_requested("drained", Blockers::default());
        for id in ["drained", "drained", "killed"] {
            let executor_id = id.to_owned();
            send.send(ClusterStateEvent::RemovedExecutor { executor_id })
                .unwrap();
        }
        assert_eq!(losses.recv().await.unwrap().executor_id, "killed");
    }

    #[test]
    fn a_removal_that_nothing_blocked_is_no_loss() {
        assert_eq!(loss(Some(Blockers::default())), None);
        assert!(loss(None).unwrap().contains("no sign of life"));
        let reason = loss(Some(Blockers {
            tasks: 1,
            queries: 2,
        }));
        assert_eq!(
            reason.unwrap(),
            "its time to drain was over and it left with 1 running task and rows of 2 queries, which run again elsewhere"
        );
    }
}
