//! Verifies that a query read each task's output exactly once.
//!
//! Ballista 55 publishes the location of a task's output to the stage's readers as soon as the task succeeds. It does not
//! withdraw that location
//!
//! - when the stage is rolled back, because its input was lost: its tasks run again under the same numbers, and its
//!   readers have both outputs;
//! - from the query's result, when an executor that holds a part of it is lost: the part is recomputed, and if the executor was
//!   only slow, the result has it twice.
//!
//! A query in which either is detected is discarded and retried: [`restarted_stage`] checks while it runs,
//! [`find_violation`] when it has finished.

use std::collections::{HashMap, HashSet};

use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::scheduler::PartitionLocation;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, SuccessfulStage};

/// The first stage that was restarted because its input or output was lost with an executor.
pub(super) fn restarted_stage(graph: &dyn ExecutionGraph) -> Option<usize> {
    let restarted = graph.stages().iter().filter_map(|(id, stage)| {
        let attempt = match stage {
            ExecutionStage::UnResolved(stage) => stage.stage_attempt_num,
            ExecutionStage::Resolved(stage) => stage.stage_attempt_num,
            ExecutionStage::Running(stage) => stage.stage_attempt_num,
            ExecutionStage::Successful(stage) => stage.stage_attempt_num,
            ExecutionStage::Failed(stage) => stage.stage_attempt_num,
        };
        (attempt > 0).then_some(*id)
    });
    restarted.min()
}

/// Verifies that every partition was produced by exactly one successful task and read exactly once; returns the first
/// violation.
pub(super) fn find_violation(graph: &dyn ExecutionGraph) -> Option<String> {
    if let Some(stage) = restarted_stage(graph) {
        return Some(format!("stage {stage} was begun again"));
    }
    let finished: HashMap<usize, &SuccessfulStage> = graph
        .stages()
        .iter()
        .filter_map(|(id, stage)| match stage {
            ExecutionStage::Successful(stage) => Some((*id, stage)),
            _ => None,
        })
        .collect();
    let produced = finished.values().find_map(|stage| produced_once(stage));
    produced
        .or_else(|| {
            finished.values().find_map(|reader| {
                reader.inputs.values().find_map(|input| {
                    read_once(input.partition_locations.values().flatten(), &finished)
                })
            })
        })
        .or_else(|| read_once(&graph.output_locations(), &finished))
}

/// Verifies that each partition of a finished stage was produced by exactly one successful task.
fn produced_once(stage: &SuccessfulStage) -> Option<String> {
    let mut tasks = vec![0; stage.partitions];
    for task in &stage.task_infos {
        if matches!(task.task_status, Status::Successful(_)) {
            for partition in &task.global_input_partition_ids {
                tasks[*partition] += 1;
            }
        }
    }
    let partition = tasks.iter().position(|tasks| *tasks != 1)?;
    Some(format!(
        "partition {partition} of stage {} is of {} tasks",
        stage.stage_id, tasks[partition]
    ))
}

/// Verifies that each location read is of a successful task, and that none is read twice.
fn read_once<'a>(
    locations: impl IntoIterator<Item = &'a PartitionLocation>,
    finished: &HashMap<usize, &SuccessfulStage>,
) -> Option<String> {
    let mut seen = HashSet::new();
    locations.into_iter().find_map(|location| {
        let (stage, partition) = (
            location.partition_id.stage_id,
            location.partition_id.partition_id,
        );
        let task = location.map_partition_id;
        let rows = || format!("partition {partition} of task {task} of stage {stage}");
        let is_valid = finished
            .get(&stage)
            .and_then(|stage| stage.task_infos.get(task))
            .is_some_and(|task| matches!(task.task_status, Status::Successful(_)));
        if !is_valid {
            return Some(format!("{} was read, which was lost", rows()));
        }
        let new = seen.insert((stage, partition, task, location.file_id));
        (!new).then(|| format!("{} was read twice", rows()))
    })
}

#[cfg(test)]
mod tests;
