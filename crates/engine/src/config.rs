//! How queries are planned and run.

use serde::{Deserialize, Serialize};

/// Settings of the query session; the same on the scheduler, the executors and in one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Partitions of a shuffle; 0 = the cluster's slots.
    pub target_partitions: usize,
    /// Rows of a batch between operators.
    pub batch_size: usize,
    /// Most partitions that one task runs; 0 = as many as its executor has free slots.
    pub max_partitions_per_task: usize,
    /// Evaluate `row_number() … <= n` with a hash table of the keys instead of a sort.
    pub partitioned_topk: bool,
    /// Build sides smaller than this are sent to every task, in bytes.
    pub broadcast_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            target_partitions: 0,
            batch_size: 8192,
            max_partitions_per_task: 0,
            partitioned_topk: true,
            broadcast_bytes: 16 * 1024 * 1024,
        }
    }
}
