//! Executors that leave: which went in peace, and which took work or rows with them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ballista_scheduler::cluster::{ClusterStateEvent, ClusterStateEventStream};
use futures::StreamExt;
use parking_lot::Mutex;
use retail_engine::{Dependents, ExecutorLoss};
use tokio::sync::broadcast;

/// Losses that a slow listener may fall behind by.
const BACKLOG: usize = 64;

/// Executors that left in peace and are known to have. Their ids do not come back.
const REMEMBERED: usize = 256;

/// What is known of executors that leave.
#[derive(Clone)]
pub struct Departures {
    /// What depended on a draining executor when it asked last.
    draining: Arc<Mutex<HashMap<String, Dependents>>>,
    losses: broadcast::Sender<ExecutorLoss>,
}

impl Departures {
    /// Watches the cluster's events for executors that leave.
    pub(super) fn watch(events: ClusterStateEventStream) -> Self {
        let departures = Self {
            draining: Arc::default(),
            losses: broadcast::Sender::new(BACKLOG),
        };
        tokio::spawn(departures.clone().follow(events));
        departures
    }

    /// Losses from now on.
    pub fn losses(&self) -> broadcast::Receiver<ExecutorLoss> {
        self.losses.subscribe()
    }

    /// A draining executor asked whether it may leave.
    pub fn asked(&self, executor_id: &str, dependents: Dependents) {
        self.draining
            .lock()
            .insert(executor_id.to_owned(), dependents);
    }

    async fn follow(self, mut events: ClusterStateEventStream) {
        let mut left = VecDeque::with_capacity(REMEMBERED);
        while let Some(event) = events.next().await {
            let ClusterStateEvent::RemovedExecutor { executor_id } = event else {
                continue;
            };
            // A heartbeat that was on its way when it left is followed by no other, which Ballista takes for a loss.
            if left.contains(&executor_id) {
                continue;
            }
            let last = self.draining.lock().remove(&executor_id);
            match loss(last) {
                None => {
                    tracing::info!(executor = %executor_id, "executor left, drained");
                    left.truncate(REMEMBERED - 1);
                    left.push_front(executor_id);
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

/// Why an executor's leaving is a loss, from what depended on it when it asked last; none when nothing did.
fn loss(asked: Option<Dependents>) -> Option<String> {
    let Some(Dependents { tasks, queries }) = asked else {
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
    async fn an_executor_that_left_in_peace_is_not_lost_afterwards() {
        let (send, events) = tokio::sync::mpsc::unbounded_channel();
        let events = tokio_stream::wrappers::UnboundedReceiverStream::new(events);
        let departures = Departures::watch(Box::pin(events));
        let mut losses = departures.losses();
        departures.asked("drained", Dependents::default());
        for id in ["drained", "drained", "killed"] {
            let executor_id = id.to_owned();
            send.send(ClusterStateEvent::RemovedExecutor { executor_id })
                .unwrap();
        }
        assert_eq!(losses.recv().await.unwrap().executor_id, "killed");
    }

    #[test]
    fn who_left_when_nothing_depended_on_it_is_no_loss() {
        assert_eq!(loss(Some(Dependents::default())), None);
        assert!(loss(None).unwrap().contains("no sign of life"));
        let told = loss(Some(Dependents {
            tasks: 1,
            queries: 2,
        }));
        assert_eq!(
            told.unwrap(),
            "its time to drain was over and it left with 1 running task and rows of 2 queries, which run again elsewhere"
        );
    }
}
