//! Executors and what they are doing.

use retail_proto::v1;

use super::{Field, message};
use crate::cluster::{ClusterStatus, Executor, ExecutorState};

impl Field<String> for ExecutorState {
    fn encode(self) -> String {
        self.to_string()
    }
    fn decode(wire: String) -> Self {
        wire.parse().unwrap_or_default()
    }
}

message!(Executor {
    id,
    host,
    flight_port,
    grpc_port,
    slots,
    slots_free,
    state,
    tasks_running,
    last_heartbeat_us,
});

message!(ClusterStatus {
    executors,
    slots,
    slots_free,
    jobs_running,
    jobs_queued,
    version,
    started_at_us,
});
