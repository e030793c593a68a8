//! The executors of a cluster and its unfinished work.

use retail_api::cluster::ExecutorState;

/// Who runs tasks, and how much there is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterStatus {
    pub executors: Vec<ExecutorStatus>,
    pub work: Work,
}

/// What runs and waits now: what decides how many executors there should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Jobs and queries that wait because there is no executor at all.
    pub queries_waiting: u32,
    pub tasks_running: u32,
    /// Partitions of running stages that no task has been made of yet. One task may take several of them.
    pub tasks_queued: u32,
    /// Most slots that one running stage could use at once.
    pub widest_stage: u32,
}

impl ClusterStatus {
    /// Tasks that can run at once.
    pub fn slots(&self) -> u32 {
        self.executors.iter().map(|e| e.slots).sum()
    }

    /// Tasks that could start now.
    pub fn slots_free(&self) -> u32 {
        self.executors.iter().map(|e| e.slots_free).sum()
    }
}

/// One executor as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorStatus {
    pub id: String,
    pub host: String,
    pub flight_port: u16,
    pub grpc_port: u16,
    pub slots: u32,
    pub slots_free: u32,
    pub tasks_running: u32,
    pub state: ExecutorState,
    /// Microseconds since the epoch; 0 = none yet.
    pub last_heartbeat_us: i64,
}
