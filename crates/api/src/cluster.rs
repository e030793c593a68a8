//! The executors of a cluster, as clients see them.

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumIter, EnumString};

use crate::absent::{zero, zero_or};
use crate::ids::ExecutorId;

/// Whether an executor takes tasks.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    AsRefStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ExecutorState {
    Active,
    /// Finishes its tasks and leaves.
    Draining,
    /// Its heartbeats have stopped; also a state that this program is too old to know.
    #[default]
    #[serde(other)]
    Lost,
}

/// One executor as the scheduler sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    pub id: ExecutorId,
    pub host: String,
    pub flight_port: u16,
    pub grpc_port: u16,
    pub slots: u32,
    pub slots_free: u32,
    pub state: ExecutorState,
    pub tasks_running: u32,
    /// Microseconds since the epoch, UTC; absent before the first.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub last_heartbeat_us: Option<i64>,
}

/// The executors and what they are doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    pub executors: Vec<Executor>,
    pub slots: u32,
    pub slots_free: u32,
    pub jobs_running: u32,
    pub jobs_queued: u32,
    /// The scheduler's.
    pub version: String,
    /// When the scheduler started, in microseconds since the epoch, UTC.
    pub started_at_us: i64,
}
