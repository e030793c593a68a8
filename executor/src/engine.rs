//! How a task's plan is run: Ballista's way, with one of its traps taken out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use retail_engine::catch_panic;

use crate::metrics::MeasuredEngine;

/// Ballista's engine, but tasks over unions report no metrics of their operators.
///
/// Ballista 55 compares the metrics of a stage's tasks by their number. Narrowing a union to a task's partitions
/// puts a node with metrics where one without stood, so the numbers differ between tasks; the second task's
/// status is then refused, and its query waits for ever. A task without metrics is accepted.
#[derive(Default)]
pub(crate) struct TaskEngine {
    ballista: MeasuredEngine,
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
        catch_panic("a task cannot be set up", || {
            let silent = has_union(&plan);
            covers_no_more_than(&plan, &output_partitions)?;
            let stage = self.ballista.create_query_stage_exec(
                job_id,
                stage_id,
                task_id,
                output_partitions,
                plan,
                work_dir,
                config,
            )?;
            Ok(if silent {
                Arc::new(WithoutMetrics { stage })
            } else {
                stage
            })
        })
    }
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

#[derive(Debug)]
struct WithoutMetrics {
    stage: Arc<dyn QueryStageExecutor>,
}

impl fmt::Display for WithoutMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for WithoutMetrics {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        self.stage.execute_query_stage(task_id, context).await
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        vec![]
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
