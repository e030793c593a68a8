//! How far a query is, read from its execution graph.

use ballista_core::serde::protobuf::task_status::Status;
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use retail_engine::QueryProgress;

/// The graph's state as people see it: the lowest running stage, and what all finished tasks produced.
pub(crate) fn of(graph: &dyn ExecutionGraph) -> QueryProgress {
    let mut progress = QueryProgress {
        stages: graph.stages().len() as u32,
        ..Default::default()
    };
    let mut finished = 0;
    let mut running: Option<(usize, usize, usize)> = None;
    for (id, stage) in graph.stages() {
        match stage {
            ExecutionStage::Running(stage) => {
                add_tasks(&mut progress, &stage.task_infos);
                if running.is_none_or(|(lowest, ..)| *id < lowest) {
                    let done = stage
                        .task_infos
                        .iter()
                        .filter(|t| is_successful(t))
                        .map(partitions)
                        .sum::<usize>();
                    running = Some((*id, done, stage.partitions));
                }
            }
            ExecutionStage::Successful(stage) => {
                add_tasks(&mut progress, &stage.task_infos);
                finished += 1;
            }
            _ => {}
        }
    }
    progress.stage = (finished + u32::from(running.is_some())).min(progress.stages);
    if let Some((_, done, all)) = running {
        (progress.tasks_done, progress.tasks) = (done as u32, all as u32);
    }
    progress
}

fn add_tasks(progress: &mut QueryProgress, tasks: &[TaskInfo]) {
    for task in tasks {
        match &task.task_status {
            Status::Successful(task) => {
                for partition in &task.partitions {
                    progress.rows += partition.num_rows;
                    progress.bytes += partition.num_bytes;
                }
            }
            Status::Failed(_) => progress.tasks_retried += 1,
            Status::Running(_) => {}
        }
    }
}

fn is_successful(task: &TaskInfo) -> bool {
    matches!(task.task_status, Status::Successful(_))
}

fn partitions(task: &TaskInfo) -> usize {
    task.global_input_partition_ids.len()
}
