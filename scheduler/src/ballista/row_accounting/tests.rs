//! Each case is a query of two stages on executors `a` and `b`, a task for each of two partitions, driven as the scheduler
//! drives it: `scan` produces two partitions for `sum`, whose rows are the result.

use std::sync::Arc;

use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::{
    FailedTask, FetchPartitionError, ShuffleWritePartition, SuccessfulTask, TaskStatus,
};
use ballista_core::serde::scheduler::{ExecutorMetadata, ExecutorSpecification};
use ballista_scheduler::planner::DefaultDistributedPlanner;
use ballista_scheduler::state::execution_graph::{StaticExecutionGraph, create_task_info};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

const SCAN: usize = 1;
const SUM: usize = 2;

struct Query {
    graph: StaticExecutionGraph,
}

/// A task that was handed out.
struct Task {
    executor: &'static str,
    stage: usize,
    attempt: usize,
    id: usize,
    partition: usize,
}

impl Query {
    async fn new() -> Self {
        let session =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        let sale = |shop| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![shop]));
            vec![
                RecordBatch::try_from_iter([("shop", Arc::clone(&column)), ("amount", column)])
                    .unwrap(),
            ]
        };
        let partitions = vec![sale(1), sale(2)];
        let schema = partitions[0][0].schema();
        let table = MemTable::try_new(schema, partitions).unwrap();
        session.register_table("sales", Arc::new(table)).unwrap();
        let sums = session
            .sql("SELECT shop, sum(amount) FROM sales GROUP BY shop")
            .await
            .unwrap();
        let graph = StaticExecutionGraph::new(
            "scheduler",
            &"query".into(),
            "sums",
            "session",
            sums.create_physical_plan().await.unwrap(),
            0,
            Arc::new(session.copied_config()),
            &mut DefaultDistributedPlanner::new(),
            None,
        );
        let mut graph = graph.unwrap();
        graph.revive();
        Self { graph }
    }

    /// Hands out the next partition.
    fn start(&mut self, executor: &'static str) -> Task {
        let stage = self.graph.fetch_running_stage(&[]).expect("a task waits");
        let id = stage.task_infos.len();
        let mut task = create_task_info(executor.to_owned(), id);
        task.global_input_partition_ids = stage.pending.next_slice(1);
        let partition = task.global_input_partition_ids[0];
        stage.task_infos.push(task);
        Task {
            executor,
            stage: stage.stage_id,
            attempt: stage.stage_attempt_num,
            id,
            partition,
        }
    }

    fn succeed(&mut self, task: &Task) {
        let produced = if task.stage == SUM {
            vec![task.partition]
        } else {
            vec![0, 1]
        };
        let partitions = produced.into_iter().map(|partition| ShuffleWritePartition {
            partition_id: partition as u64,
            num_rows: 1,
            file_id: Some(task.id as u64),
            ..Default::default()
        });
        self.report(
            task,
            Status::Successful(SuccessfulTask {
                executor_id: task.executor.to_owned(),
                partitions: partitions.collect(),
                ..Default::default()
            }),
        );
    }

    /// The task did not find rows that `scan` produced on `executor`.
    fn miss_rows_of(&mut self, task: &Task, executor: &str) {
        self.report(
            task,
            Status::Failed(FailedTask {
                failed_reason: Some(FailedReason::FetchPartitionError(FetchPartitionError {
                    executor_id: executor.to_owned(),
                    map_stage_id: SCAN as u32,
                    map_partition_id: 0,
                })),
                ..Default::default()
            }),
        );
    }

    fn report(&mut self, task: &Task, status: Status) {
        let executor = ExecutorMetadata {
            id: task.executor.to_owned(),
            host: "localhost".to_owned(),
            port: 50_051,
            grpc_port: 50_052,
            specification: ExecutorSpecification::default(),
            os_info: Default::default(),
        };
        let status = TaskStatus {
            job_id: "query".to_owned(),
            stage_id: task.stage as u32,
            stage_attempt_num: task.attempt as u32,
            task_id: task.id as u32,
            status: Some(status),
            ..Default::default()
        };
        self.graph
            .update_task_status(&executor, vec![status], 4, 4)
            .unwrap();
    }

    /// Runs what waits, on `b`, to the end.
    fn finish(&mut self) {
        while !self.graph.is_successful() {
            let task = self.start("b");
            self.succeed(&task);
        }
    }

    fn rows(&self) -> usize {
        self.graph.output_locations().len()
    }
}

#[tokio::test]
async fn rows_of_each_task_read_once_are_no_violation() {
    let mut query = Query::new().await;
    for executor in ["a", "b", "a", "b"] {
        let task = query.start(executor);
        query.succeed(&task);
    }
    assert!(query.graph.is_successful());
    assert_eq!((query.rows(), find_violation(&query.graph)), (2, None));
}

#[tokio::test]
async fn a_retried_task_of_a_lost_executor_is_no_violation() {
    let mut query = Query::new().await;
    let lost = query.start("a");
    let kept = query.start("b");
    query.succeed(&kept);
    query.graph.reset_stages_on_lost_executor("a").unwrap();
    query.succeed(&lost);
    query.finish();
    assert_eq!((query.rows(), find_violation(&query.graph)), (2, None));
}

#[tokio::test]
async fn a_restarted_stage_has_its_first_run_in_the_result_too() {
    let mut query = Query::new().await;
    for executor in ["a", "b"] {
        let task = query.start(executor);
        query.succeed(&task);
    }
    let (done, failed) = (query.start("b"), query.start("b"));
    query.succeed(&done);
    assert_eq!(restarted_stage(&query.graph), None);
    query.miss_rows_of(&failed, "a");
    assert!(restarted_stage(&query.graph).is_some());
    query.finish();
    assert_eq!(
        query.rows(),
        3,
        "Ballista takes rolled-back rows out of the result: `row_accounting` may go"
    );
    assert!(find_violation(&query.graph).is_some());
}

#[tokio::test]
async fn a_part_of_the_result_that_was_only_thought_lost_is_found() {
    let mut query = Query::new().await;
    for _ in 0..2 {
        let task = query.start("b");
        query.succeed(&task);
    }
    let slow = query.start("a");
    query.succeed(&slow);
    query.graph.reset_stages_on_lost_executor("a").unwrap();
    query.finish();
    assert_eq!(restarted_stage(&query.graph), None);
    assert_eq!(
        query.rows(),
        3,
        "Ballista takes lost rows out of the result: `row_accounting` may go"
    );
    assert_eq!(
        find_violation(&query.graph).as_deref(),
        Some("partition 0 of task 0 of stage 2 was read, which was lost")
    );
}

#[tokio::test]
async fn rows_of_a_task_that_was_reported_twice_are_read_twice() {
    let mut query = Query::new().await;
    let task = query.start("a");
    query.succeed(&task);
    query.succeed(&task);
    query.finish();
    let violation = find_violation(&query.graph).unwrap();
    assert!(
        violation.ends_with("of task 0 of stage 1 was read twice"),
        "{violation}"
    );
}

#[tokio::test]
async fn a_partition_that_two_tasks_produced_is_found() {
    let mut query = Query::new().await;
    let task = query.start("a");
    query.succeed(&task);
    let stage = query.graph.fetch_running_stage(&[]).unwrap();
    stage.pending.reschedule([task.partition]);
    query.finish();
    assert_eq!(
        find_violation(&query.graph).as_deref(),
        Some("partition 0 of stage 1 is of 2 tasks")
    );
}
