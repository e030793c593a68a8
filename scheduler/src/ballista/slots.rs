//! Which slots are taken: Ballista's account of them, reconciled with its queries' graphs.
//!
//! Ballista 55 takes slots when it hands out a task and gives them back when the task's status comes, for as many as its
//! stage records for the task. A stage that is rolled back, because rows that it reads were lost with an executor,
//! forgets its tasks: their statuses give nothing back. The executors that are left seem busy for ever, and every job
//! waits for ever. So before tasks are handed out, what no task of any graph holds is given back here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use parking_lot::Mutex;

use super::queries::Load;

/// Ballista's cluster state, with slots that cannot be lost.
pub(super) struct Slots {
    inner: Arc<dyn ClusterState>,
    taken: Mutex<Taken>,
}

/// Slots that were handed out and not given back, by executor.
#[derive(Debug, Default)]
struct Taken(HashMap<String, u32>);

impl Taken {
    fn take(&mut self, executor_id: &str, slots: u32) {
        *self.0.entry(executor_id.to_owned()).or_default() += slots;
    }

    /// How many of `slots` may be given back: no more than are out, so that what was given back once is not again.
    fn give_back(&mut self, executor_id: &str, slots: u32) -> u32 {
        let Some(out) = self.0.get_mut(executor_id) else {
            return 0;
        };
        let back = slots.min(*out);
        *out -= back;
        back
    }

    /// What is out beyond `held`, the slots of tasks that somebody knows of; it is given back by this.
    fn lost(&mut self, held: impl Fn(&str) -> u32) -> Vec<ExecutorSlot> {
        let mut lost = Vec::new();
        for (executor_id, out) in &mut self.0 {
            let more = out.saturating_sub(held(executor_id));
            if more > 0 {
                *out -= more;
                lost.push((executor_id.clone(), more));
            }
        }
        lost
    }
}

impl Slots {
    pub(super) fn new(inner: Arc<dyn ClusterState>) -> Self {
        Self {
            inner,
            taken: Mutex::default(),
        }
    }
}

#[async_trait]
impl ClusterState for Slots {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let held = Load::of_jobs(&active_jobs).await;
        let lost = self.taken.lock().lost(|id| held.of(id).1);
        if !lost.is_empty() {
            tracing::info!(?lost, "slots of tasks that were given up are free again");
            self.inner.unbind_tasks(lost).await?;
        }
        let bound = self
            .inner
            .bind_schedulable_tasks(distribution, active_jobs, executors)
            .await?;
        let mut taken = self.taken.lock();
        for (executor_id, task) in &bound {
            taken.take(executor_id, task.vcores_consumed);
        }
        drop(taken);
        Ok(bound)
    }

    async fn unbind_tasks(&self, executor_slots: Vec<ExecutorSlot>) -> Result<()> {
        let back = {
            let mut taken = self.taken.lock();
            executor_slots
                .into_iter()
                .map(|(id, slots)| {
                    let back = taken.give_back(&id, slots);
                    (id, back)
                })
                .collect()
        };
        self.inner.unbind_tasks(back).await
    }

    async fn register_executor(
        &self,
        metadata: ExecutorMetadata,
        spec: ExecutorData,
    ) -> Result<()> {
        self.inner.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.taken.lock().0.remove(executor_id);
        self.inner.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.inner.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_task_holds_is_given_back_once() {
        let mut taken = Taken::default();
        taken.take("a", 2);
        taken.take("b", 1);
        // A stage of two tasks on a was rolled back; b's task is still known.
        let held = |id: &str| u32::from(id == "b");
        assert_eq!(taken.lost(held), [("a".to_owned(), 2)]);
        assert_eq!(taken.lost(held), []);
        // Their statuses come after all, or another task's of the same number.
        assert_eq!(taken.give_back("a", 2), 0);
        assert_eq!(taken.give_back("b", 1), 1);
        assert_eq!(taken.give_back("b", 1), 0);
        assert_eq!(taken.give_back("unknown", 1), 0);
    }
}
