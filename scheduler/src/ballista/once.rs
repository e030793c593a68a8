//! Whether a query read the rows of each task once.
//!
//! Ballista 55 tells a stage's readers where the rows of each task lie as soon as the task is done. It does not take that back
//!
//! - when the stage is rolled back, because rows that it reads were lost: its tasks run again under the same numbers, and its
//!   readers have both runs;
//! - from the query's result, when an executor that holds a part of it is lost: the part is made again, and if the executor was
//!   only slow, the result has it twice.
//!
//! So a query of which either is seen does not count: [`began_again`] while it runs, [`flaw`] when it is done.

use std::collections::{HashMap, HashSet};

use ballista_core::serde::protobuf::task_status::Status;
use ballista_core::serde::scheduler::PartitionLocation;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, SuccessfulStage};

/// The first stage that was begun again, because rows that it reads or had made were lost with an executor.
pub fn began_again(graph: &dyn ExecutionGraph) -> Option<usize> {
    let again = graph.stages().iter().filter_map(|(id, stage)| {
        let attempt = match stage {
            ExecutionStage::UnResolved(stage) => stage.stage_attempt_num,
            ExecutionStage::Resolved(stage) => stage.stage_attempt_num,
            ExecutionStage::Running(stage) => stage.stage_attempt_num,
            ExecutionStage::Successful(stage) => stage.stage_attempt_num,
            ExecutionStage::Failed(stage) => stage.stage_attempt_num,
        };
        (attempt > 0).then_some(*id)
    });
    again.min()
}

/// What is wrong with a finished query, if its rows are not those of each task once: a partition that two tasks, or none,
/// put out; rows read that are not, or no longer, those of a task that counts; rows read twice.
pub fn flaw(graph: &dyn ExecutionGraph) -> Option<String> {
    if let Some(stage) = began_again(graph) {
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
    let put_out = finished.values().find_map(|stage| put_out_once(stage));
    put_out
        .or_else(|| {
            finished.values().find_map(|reader| {
                reader.inputs.values().find_map(|input| {
                    read_once(input.partition_locations.values().flatten(), &finished)
                })
            })
        })
        .or_else(|| read_once(&graph.output_locations(), &finished))
}

/// Each partition of a finished stage is one task's.
fn put_out_once(stage: &SuccessfulStage) -> Option<String> {
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

/// Rows that are read are each of a task that counts, and none is read twice.
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
        let counts = finished
            .get(&stage)
            .and_then(|stage| stage.task_infos.get(task))
            .is_some_and(|task| matches!(task.task_status, Status::Successful(_)));
        if !counts {
            return Some(format!("{} was read, which was lost", rows()));
        }
        let new = seen.insert((stage, partition, task, location.file_id));
        (!new).then(|| format!("{} was read twice", rows()))
    })
}

#[cfg(test)]
mod tests;
