//! How a task's plan is run: Ballista's way, in a span, counted, and with one of Ballista's traps taken out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;
use retail_connect::text_scan::TextScanExec;
use retail_engine::catch_panic;
use tracing::{Instrument, Span};

use crate::flight::is_name;
use crate::metrics::RunningTask;
use crate::spans;

/// Ballista's engine, whose tasks run in spans and are counted.
#[derive(Default)]
pub(crate) struct TaskEngine {
    ballista: DefaultExecutionEngine,
}

impl ExecutionEngine for TaskEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        output_partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let span = spans::task(&job_id, stage_id, task_id, output_partitions.len(), config);
        let task = catch_panic("a task cannot be set up", || {
            names_no_path(&job_id, &plan)?;
            covers_no_more_than(&plan, &output_partitions)?;
            let has_union = has_union(&plan);
            let scans = file_scans(&plan);
            let stage = self.ballista.create_query_stage_exec(
                job_id,
                stage_id,
                task_id,
                output_partitions,
                plan,
                work_dir,
                config,
            )?;
            Ok(Task {
                stage,
                scans,
                has_union,
                span: Mutex::new(Some(span.clone())),
            })
        });
        let task = spans::ended(&span, task, |_| {})?;
        Ok(Arc::new(task))
    }
}

/// A task: Ballista's, in its span, counted when it has run.
#[derive(Debug)]
struct Task {
    stage: Arc<dyn QueryStageExecutor>,
    /// The leaves that read files.
    scans: Vec<Arc<dyn ExecutionPlan>>,
    has_union: bool,
    /// Taken when the task runs: it ends with it, while Ballista keeps the rest for its metrics.
    span: Mutex<Option<Span>>,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Task {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let span = self.span.lock().take().unwrap_or_else(Span::none);
        let context = spans::within(&span, context)?;
        let mut running = RunningTask::begin();
        let run = self.stage.execute_query_stage(task_id, context);
        let outcome = run.instrument(span.clone()).await;
        match &outcome {
            Ok(produced) => {
                running.succeeded(&self.scans, &self.stage.collect_plan_metrics(), produced);
            }
            Err(_) => running.failed(),
        }
        drop(running);
        spans::ended(&span, outcome, |produced| spans::produced(&span, produced))
    }

    /// Nothing for tasks over unions. Ballista 55 compares the metrics of a stage's tasks by their number. Narrowing a
    /// union to a task's partitions puts a node with metrics where one without stood, so the numbers differ between tasks;
    /// the second task's status is then refused, and its query waits for ever. A task without metrics is accepted.
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        match self.has_union {
            true => vec![],
            false => self.stage.collect_plan_metrics(),
        }
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.stage.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.stage.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.stage.collect_column_stats()
    }
}

/// Refuses a task that would write or read shuffle files outside of the work folder: Ballista joins ids of queries to it
/// as paths, and gives the folder to the writer at a plan's root only.
fn names_no_path(job_id: &JobId, plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    let refused = |what: &str| DataFusionError::Plan(what.to_owned());
    let no_name = "a task's query id is no name: letters, digits, - and _";
    if !is_name(job_id) {
        return Err(refused(no_name));
    }
    for child in plan.children() {
        child.apply(|node| {
            let read = match node.downcast_ref::<ShuffleReaderExec>() {
                Some(reader) => Some(&reader.partition),
                None => node
                    .downcast_ref::<RangeShuffleReaderExec>()
                    .map(|reader| &reader.partition),
            };
            let mut read = read.into_iter().flatten().flatten();
            if !read.all(|location| is_name(&location.partition_id.job_id)) {
                return Err(refused(no_name));
            }
            if node.name().ends_with("ShuffleWriterExec") || node.name() == "DistributedQueryExec" {
                return Err(refused(
                    "a task's plan has a node that only stands at a plan's root",
                ));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(())
}

/// Refuses a plan that would run more than its task was given: some other task runs that too, and rows would count
/// twice. The planner gathers the unions for which this can happen, so this is the net below it.
fn covers_no_more_than(plan: &Arc<dyn ExecutionPlan>, given: &[usize]) -> Result<()> {
    let has = plan
        .children()
        .first()
        .map_or(0, |child| child.output_partitioning().partition_count());
    if has <= given.len().max(1) {
        return Ok(());
    }
    Err(DataFusionError::Internal(format!(
        "a task of {} partitions has a plan of {has}; its rows would be counted twice",
        given.len()
    )))
}

fn has_union(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut found = false;
    let walked = plan.apply(|node| {
        found |= node.is::<UnionExec>();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    walked.is_err() || found
}

/// The leaves that read files. Ballista replaces only the leaves that read shuffles, so these are those that run.
fn file_scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let mut scans = vec![];
    let walked = plan.apply(|node| {
        let source = node.downcast_ref::<DataSourceExec>();
        if source.is_some_and(|s| s.data_source().is::<FileScanConfig>())
            || node.is::<TextScanExec>()
        {
            scans.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match walked {
        Ok(_) => scans,
        Err(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::execution_plans::ShuffleWriterExec;
    use ballista_core::serde::scheduler::{
        ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification, PartitionId,
        PartitionLocation, PartitionStats,
    };
    use datafusion::physical_plan::Partitioning;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::prelude::{ParquetReadOptions, SessionContext};

    use super::*;

    /// A node above a plan of so many partitions, as the writer of a shuffle is.
    fn above(partitions: usize) -> Arc<dyn ExecutionPlan> {
        let empty = EmptyExec::new(Arc::new(datafusion::arrow::datatypes::Schema::empty()));
        let below = Arc::new(empty.with_partitions(partitions));
        Arc::new(CoalescePartitionsExec::new(below))
    }

    async fn planned(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        let frame = session.sql(sql).await.unwrap();
        frame.create_physical_plan().await.unwrap()
    }

    #[test]
    fn a_task_runs_no_more_partitions_than_it_was_given() {
        covers_no_more_than(&above(1), &[7]).unwrap();
        covers_no_more_than(&above(2), &[3, 4, 5]).unwrap();
        // A stage that writes nothing for the next one is given no partitions.
        covers_no_more_than(&above(1), &[]).unwrap();
        let refused = covers_no_more_than(&above(3), &[3, 4]).unwrap_err();
        let text = refused.strip_backtrace();
        assert!(
            text.contains("a task of 2 partitions has a plan of 3"),
            "{text}"
        );
    }

    #[test]
    fn a_task_names_no_path_and_writes_at_its_root_alone() {
        let id = |id: &str| JobId::from(id.to_owned());
        let empty = || -> Arc<dyn ExecutionPlan> {
            let schema = datafusion::arrow::datatypes::Schema::empty();
            Arc::new(EmptyExec::new(Arc::new(schema)))
        };
        let writer = |of: &str, input| -> Arc<dyn ExecutionPlan> {
            Arc::new(ShuffleWriterExec::try_new(id(of), 1, input, String::new()).unwrap())
        };
        let reader = |of: &str| -> Arc<dyn ExecutionPlan> {
            let location = PartitionLocation {
                map_partition_id: 0,
                partition_id: PartitionId {
                    job_id: id(of),
                    stage_id: 1,
                    partition_id: 0,
                },
                executor_meta: ExecutorMetadata {
                    id: "executor".to_owned(),
                    host: "127.0.0.1".to_owned(),
                    port: 1,
                    grpc_port: 2,
                    specification: ExecutorSpecification::default(),
                    os_info: ExecutorOperatingSystemSpecification::default(),
                },
                partition_stats: PartitionStats::default(),
                file_id: Some(0),
                is_sort_shuffle: false,
            };
            let schema = Arc::new(datafusion::arrow::datatypes::Schema::empty());
            let read = vec![vec![location]];
            let partitioning = Partitioning::UnknownPartitioning(1);
            Arc::new(ShuffleReaderExec::try_new(1, read, schema, partitioning).unwrap())
        };
        let query = id("query");
        names_no_path(&query, &writer("query", empty())).unwrap();
        names_no_path(&query, &writer("query", reader("query"))).unwrap();
        for (job, plan) in [
            ("../other", writer("query", empty())),
            ("query", writer("query", reader("../other"))),
            ("query", writer("query", writer("/tmp/x", empty()))),
        ] {
            let refused = names_no_path(&id(job), &plan).unwrap_err();
            assert!(matches!(refused, DataFusionError::Plan(_)), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_union_is_found_wherever_it_stands_in_a_task() {
        let session = SessionContext::new();
        let table = "CREATE TABLE t AS VALUES (1), (2)";
        session.sql(table).await.unwrap().collect().await.unwrap();
        let of_tables =
            "SELECT max(n) FROM (SELECT column1 AS n FROM t UNION ALL SELECT column1 + 1 FROM t)";
        assert!(has_union(&planned(&session, of_tables).await));
        assert!(!has_union(
            &planned(&session, "SELECT max(column1) FROM t").await
        ));
    }

    #[tokio::test]
    async fn rows_are_counted_at_the_scans_of_files_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.parquet");
        let path = path.to_str().unwrap();
        let session = SessionContext::new();
        let copy = format!("COPY (VALUES (1), (2)) TO '{path}' STORED AS PARQUET");
        session.sql(&copy).await.unwrap().collect().await.unwrap();
        let options = ParquetReadOptions::default();
        session.register_parquet("f", path, options).await.unwrap();
        let scans = |plan| file_scans(&plan).len();
        let joined = "SELECT count(*) FROM f AS a JOIN f AS b ON a.column1 = b.column1";
        assert_eq!(scans(planned(&session, joined).await), 2);
        let in_memory = "SELECT * FROM (VALUES (1), (2)) AS v(n)";
        assert_eq!(scans(planned(&session, in_memory).await), 0);
    }
}
