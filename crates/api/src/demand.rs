//! The answer to `GET /work` of a scheduler's admin port: what runs and what waits, from which the number of executors
//! follows. The scheduler writes it, the operator reads it.

use serde::{Deserialize, Serialize};

use crate::cluster::ExecutorState;
use crate::ids::ExecutorId;

/// What runs and what waits at a scheduler. Unknown keys are ignored and absent ones are 0: a scheduler may be newer than
/// its operator, or older.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Demand {
    pub jobs_running: u32,
    pub jobs_queued: u32,
    /// Jobs and queries that wait because there is no executor.
    pub queries_waiting: u32,
    pub tasks_running: u32,
    /// Partitions of runnable stages that no task has been made of yet; one task may take several.
    pub tasks_queued: u32,
    /// Most slots that one running stage could use at once; 0 = not known.
    pub widest_stage: u32,
    pub executors: Vec<ExecutorLoad>,
}

/// An executor that the scheduler knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutorLoad {
    pub id: ExecutorId,
    pub host: String,
    pub flight_port: u16,
    pub state: ExecutorState,
    pub slots: u32,
    pub tasks_running: u32,
}

impl Demand {
    /// Whether nothing runs and nothing waits.
    pub fn is_idle(&self) -> bool {
        [
            self.jobs_running,
            self.jobs_queued,
            self.queries_waiting,
            self.tasks_running,
            self.tasks_queued,
        ]
        .iter()
        .all(|n| *n == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_version_is_read_as_far_as_it_is_known() {
        let answer =
            r#"{ "tasks_queued": 3, "executors": [{ "id": "a", "zone": "b" }], "newer": {} }"#;
        let expected = Demand {
            tasks_queued: 3,
            executors: vec![ExecutorLoad {
                id: "a".into(),
                ..ExecutorLoad::default()
            }],
            ..Demand::default()
        };
        assert_eq!(serde_json::from_str::<Demand>(answer).unwrap(), expected);
        assert!(!expected.is_idle());
        assert!(serde_json::from_str::<Demand>("{}").unwrap().is_idle());
    }
}
