//! Active queries, and what each still needs of which executor.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ballista_core::JobId;
use ballista_core::serde::protobuf::task_status::Status;
use ballista_scheduler::cluster::JobState;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use parking_lot::Mutex;
use retail_engine::{Blockers, Work};

use super::Server;

/// How often, and after which pause, a graph is looked up that moves from the running to the ended queries.
const LOOKUPS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// Running queries, and ended ones whose rows are not all read.
#[derive(Clone)]
pub(crate) struct Queries {
    server: Server,
    /// Where Ballista keeps the graphs of ended queries.
    ended: Arc<dyn JobState>,
    active: Arc<Mutex<HashSet<JobId>>>,
}

/// A query that counts as active until this is dropped.
pub(crate) struct Active {
    id: JobId,
    all: Arc<Mutex<HashSet<JobId>>>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Active {
    /// The query stays active until its rows are read or their stream is dropped.
    pub(crate) fn until_read(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let rows = rows.map(move |batch| {
            let _active = &self;
            batch
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// What executors do now.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Running tasks and the slots they take, by executor.
    by_executor: HashMap<String, (u32, u32)>,
    pub work: Work,
}

impl Load {
    /// Tasks that an executor runs, and the slots they take.
    pub(crate) fn of(&self, executor_id: &str) -> (u32, u32) {
        self.by_executor
            .get(executor_id)
            .copied()
            .unwrap_or_default()
    }

    /// What the tasks of these queries take.
    pub(crate) async fn of_jobs(jobs: &HashMap<JobId, JobInfoCache>) -> Self {
        let mut load = Self::default();
        for job in jobs.values() {
            load.add(job.execution_graph.read().await.as_ref());
        }
        load
    }

    fn add(&mut self, graph: &dyn ExecutionGraph) {
        for stage in graph.stages().values() {
            let ExecutionStage::Running(stage) = stage else {
                continue;
            };
            let mut taken = 0;
            for task in &stage.task_infos {
                if let Status::Running(running) = &task.task_status {
                    let (tasks, slots) = self
                        .by_executor
                        .entry(running.executor_id.clone())
                        .or_default();
                    *tasks += 1;
                    *slots += task.vcores_consumed;
                    self.work.tasks_running += 1;
                    taken += task.vcores_consumed;
                }
            }
            let queued = stage.available_tasks() as u32;
            self.work.tasks_queued += queued;
            self.work.widest_stage = self.work.widest_stage.max(queued + taken);
        }
    }
}

impl Queries {
    pub(super) fn new(server: Server, ended: Arc<dyn JobState>) -> Self {
        Self {
            server,
            ended,
            active: Arc::default(),
        }
    }

    /// From now on `id` is active.
    pub(crate) fn enter(&self, id: JobId) -> Active {
        self.active.lock().insert(id.clone());
        Active {
            id,
            all: Arc::clone(&self.active),
        }
    }

    /// Reads a query's graph, running or ended; `None` when Ballista has discarded it.
    pub(crate) async fn read<T>(
        &self,
        id: &JobId,
        inspect: impl Fn(&dyn ExecutionGraph) -> T,
    ) -> Option<T> {
        let running = self.server.state.task_manager.get_running_job_cache();
        if let Some(job) = running.get(id) {
            return Some(inspect(job.execution_graph.read().await.as_ref()));
        }
        let ended = self.ended.get_execution_graph(id).await.ok().flatten()?;
        Some(inspect(ended.as_ref()))
    }

    /// As [`Queries::read`], but waits for a graph that moves from the running queries to the ended ones.
    pub(crate) async fn find<T>(
        &self,
        id: &JobId,
        inspect: impl Fn(&dyn ExecutionGraph) -> T,
    ) -> Option<T> {
        for _ in 0..LOOKUPS {
            if let Some(found) = self.read(id, &inspect).await {
                return Some(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// The load of all running queries.
    pub(crate) async fn load(&self) -> Load {
        let running = self.server.state.task_manager.get_running_job_cache();
        Load::of_jobs(&running).await
    }

    /// What blocks the removal of an executor.
    pub(crate) async fn blockers_of(&self, executor_id: &str) -> Blockers {
        let active: Vec<JobId> = self.active.lock().iter().cloned().collect();
        let mut blockers = Blockers {
            tasks: self.load().await.of(executor_id).0,
            queries: 0,
        };
        for id in active {
            let needs = self
                .read(&id, |graph| needs_rows_of(graph, executor_id))
                .await;
            blockers.queries += u32::from(needs == Some(true));
        }
        blockers
    }
}

/// Whether a query will read rows that finished tasks left on an executor: of any stage while it runs, of the last one
/// when it has ended.
fn needs_rows_of(graph: &dyn ExecutionGraph, executor_id: &str) -> bool {
    let ended = graph.is_successful();
    graph.stages().values().any(|stage| match stage {
        ExecutionStage::Running(stage) => left_rows(&stage.task_infos, executor_id),
        ExecutionStage::Successful(stage) => {
            (!ended || stage.output_links.is_empty()) && left_rows(&stage.task_infos, executor_id)
        }
        _ => false,
    })
}

fn left_rows(tasks: &[TaskInfo], executor_id: &str) -> bool {
    tasks.iter().any(|task| {
        matches!(&task.task_status, Status::Successful(done) if done.executor_id == executor_id)
    })
}
