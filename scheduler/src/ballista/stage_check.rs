//! Holds a plan to its meaning once it is cut into stages and tasks, before anything runs.
//!
//! A physical plan is right as a whole: each node gets its rows distributed and ordered as it needs them. Ballista cuts it
//! at exchanges, and narrows each stage to the partitions of a task; neither step looks at what nodes need. So the cuts are
//! made here first, by the same code, and every node of every stage and of every task is checked for what it requires of its
//! input. What executors would decode is compared with what they are sent, too ([`lost_on_the_wire`]).
//!
//! ```text
//!   stage 2   BoundedWindowAggExec   requires rows by [store, day]
//!               SortExec [day]       was enough while a filter below fixed the store;
//!                 ShuffleReaderExec  what arrives here is not known to be so  => a violation
//!   stage 1   FilterExec store = 7
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::execution_plans::{ShuffleReaderExec, ShuffleWriter, UnresolvedShuffleExec};
use ballista_scheduler::planner::{
    DefaultDistributedPlanner, DistributedPlanner, remove_unresolved_shuffles,
};
use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use retail_engine::{lost_on_the_wire, plan_one_task};

/// What executors are sent.
#[derive(Debug)]
pub(super) struct Planned {
    pub plan: Arc<dyn ExecutionPlan>,
    /// Why it runs as one task; `None` where it runs in stages.
    pub one_task_because: Option<String>,
}

/// The plan that executors get: stages where they can be planned and give the rows that one process would, else one task.
///
/// # Errors
/// The query cannot be planned at all, or executors could not run it in one task either.
pub(super) async fn plan(
    query: &LogicalPlan,
    state: &SessionState,
    partitioned_topk: bool,
) -> Result<Planned> {
    let (reason, error) = match state.create_physical_plan(query).await {
        Ok(staged) => match find_violation(&staged, state) {
            None => {
                return Ok(Planned {
                    plan: staged,
                    one_task_because: None,
                });
            }
            Some(reason) => (reason, None),
        },
        Err(error) => ("its stages cannot be planned".to_string(), Some(error)),
    };
    let whole = plan_one_task(query, state, partitioned_topk).await;
    let whole = match (whole, error) {
        (Ok(whole), _) => whole,
        // An error of the query itself is already reported for its stages.
        (Err(_), Some(error)) | (Err(error), None) => return Err(error),
    };
    match find_violation(&whole, state) {
        None => Ok(Planned {
            plan: whole,
            one_task_because: Some(reason),
        }),
        Some(lost) => Err(violation(&format!("executors cannot run it: {lost}"))),
    }
}

/// Why a plan would give other rows on executors than in one process; `None` when it would not.
pub(super) fn find_violation(
    plan: &Arc<dyn ExecutionPlan>,
    state: &SessionState,
) -> Option<String> {
    if let Some(lost) = lost_on_the_wire(plan, &state.task_ctx()) {
        return Some(lost);
    }
    match in_stages(plan, state.config_options()) {
        Ok(()) => None,
        Err(error) => Some(error.strip_backtrace()),
    }
}

fn in_stages(plan: &Arc<dyn ExecutionPlan>, options: &ConfigOptions) -> Result<()> {
    if has(plan, &|node| node.is::<RecursiveQueryExec>()) {
        return Err(violation("a recursive query reads its own rows"));
    }
    let stages = DefaultDistributedPlanner::new()
        .plan_query_stages(&JobId::from("check".to_owned()), Arc::clone(plan), options)
        .map_err(|e| violation(&e.to_string()))?;
    let stages: Stages = stages
        .iter()
        .map(|stage| (stage.stage_id(), Stage::of(stage)))
        .collect();
    for stage in stages.values() {
        let plan = with_merges_checked(Arc::clone(&stage.plan), &stages)?;
        let plan = resolved(plan, &stages)?;
        SanityCheckPlan::new().optimize(Arc::clone(&plan), options)?;
        each_task(&plan, options)?;
    }
    Ok(())
}

type Stages = HashMap<usize, Stage>;

struct Stage {
    /// What it computes, below the node that writes its shuffle.
    plan: Arc<dyn ExecutionPlan>,
    /// Its partitions are handed on as they are, in their order; else rows are dealt out anew.
    keeps_partitions: bool,
}

impl Stage {
    fn of(writer: &Arc<dyn ShuffleWriter>) -> Self {
        let node: &dyn ExecutionPlan = writer.as_ref();
        let plan = match node.children().first() {
            Some(input) => Arc::clone(input),
            None => Arc::clone(writer) as Arc<dyn ExecutionPlan>,
        };
        let keeps_partitions = writer.shuffle_output_partitioning().is_none();
        Self {
            plan,
            keeps_partitions,
        }
    }
}

/// Narrows a stage as tasks are, to each of its partitions and to all of them: it must come down to just those, and each
/// node must still get what it requires.
fn each_task(plan: &Arc<dyn ExecutionPlan>, options: &ConfigOptions) -> Result<()> {
    let partitions = plan.output_partitioning().partition_count();
    let one_each = (0..partitions).map(|partition| vec![partition]);
    for given in one_each.chain(std::iter::once((0..partitions).collect())) {
        let task = restrict_plan_to_partitions(Arc::clone(plan), &given)?;
        let count = task.output_partitioning().partition_count();
        if count != given.len() {
            return Err(violation(&format!(
                "a task of {} partitions would run {count} of {}",
                given.len(),
                plan.name()
            )));
        }
        limits_stay(plan, &task)?;
        SanityCheckPlan::new().optimize(task, options)?;
    }
    Ok(())
}

/// Each node of a task keeps at most as many rows as it does in the stage.
fn limits_stay(stage: &Arc<dyn ExecutionPlan>, task: &Arc<dyn ExecutionPlan>) -> Result<()> {
    if stage.fetch() != task.fetch() {
        let limit = stage
            .fetch()
            .map_or("no limit".to_owned(), |n| n.to_string());
        return Err(violation(&format!(
            "a task of {} would lose its limit of rows, {limit}",
            stage.name()
        )));
    }
    let inputs = stage.children().into_iter().zip(task.children());
    inputs
        .into_iter()
        .try_for_each(|(stage, task)| limits_stay(stage, task))
}

/// A merge of a stage's sorted partitions is right when the stage before gives each of them in that order. The shuffle
/// between them keeps the order of a partition and does not declare it, hence this stand-in.
fn with_merges_checked(
    plan: Arc<dyn ExecutionPlan>,
    stages: &Stages,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() else {
            return Ok(Transformed::no(node));
        };
        let input = with_orders(Arc::clone(merge.input()), stages)?;
        if !input
            .equivalence_properties()
            .ordering_satisfy(merge.expr().clone())?
        {
            let order = merge.expr();
            return Err(violation(&format!(
                "the order {order} does not reach a merge"
            )));
        }
        let merged = Ordered::new(
            node.schema(),
            Partitioning::UnknownPartitioning(1),
            [merge.expr().clone()],
        );
        Ok(Transformed::yes(Arc::new(merged) as Arc<dyn ExecutionPlan>))
    })
    .data()
}

/// A plan whose shuffles declare the order in which partitions arrive.
fn with_orders(plan: Arc<dyn ExecutionPlan>, stages: &Stages) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        let Some(shuffle) = node.downcast_ref::<UnresolvedShuffleExec>() else {
            return Ok(Transformed::no(node));
        };
        let stage = stages
            .get(&shuffle.stage_id)
            .ok_or_else(|| violation("a stage reads one that is not there"))?;
        if !stage.keeps_partitions || shuffle.broadcast {
            return Ok(Transformed::no(node));
        }
        let before = with_orders(Arc::clone(&stage.plan), stages)?;
        let orders: Vec<_> = before
            .equivalence_properties()
            .oeq_class()
            .iter()
            .cloned()
            .collect();
        let arriving = Ordered::new(node.schema(), node.output_partitioning().clone(), orders);
        Ok(Transformed::yes(
            Arc::new(arriving) as Arc<dyn ExecutionPlan>
        ))
    })
    .data()
}

/// Shuffles as a task sees them: readers without files.
fn resolved(plan: Arc<dyn ExecutionPlan>, stages: &Stages) -> Result<Arc<dyn ExecutionPlan>> {
    // Ballista resolves children only, so a stage that is nothing but a shuffle has its reader built here.
    if let Some(shuffle) = plan.downcast_ref::<UnresolvedShuffleExec>() {
        let reader = ShuffleReaderExec::try_new(
            shuffle.stage_id,
            vec![vec![]; shuffle.output_partition_count],
            shuffle.schema(),
            shuffle.properties().output_partitioning().clone(),
        )
        .map_err(|e| violation(&e.to_string()))?;
        return Ok(Arc::new(reader));
    }
    let nothing = stages
        .keys()
        .map(|stage| (*stage, HashMap::new()))
        .collect();
    remove_unresolved_shuffles(plan, &nothing).map_err(|e| violation(&e.to_string()))
}

fn has(plan: &Arc<dyn ExecutionPlan>, what: &dyn Fn(&Arc<dyn ExecutionPlan>) -> bool) -> bool {
    what(plan) || plan.children().into_iter().any(|child| has(child, what))
}

fn violation(what: &str) -> DataFusionError {
    DataFusionError::Plan(what.to_owned())
}

/// Stands for rows that arrive in orders that were checked.
#[derive(Debug)]
struct Ordered {
    properties: Arc<PlanProperties>,
}

impl Ordered {
    fn new(
        schema: SchemaRef,
        partitioning: Partitioning,
        orders: impl IntoIterator<Item = LexOrdering>,
    ) -> Self {
        let mut equivalences = EquivalenceProperties::new(schema);
        equivalences.add_orderings(orders);
        let properties = PlanProperties::new(
            equivalences,
            partitioning,
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for Ordered {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Ordered")
    }
}

impl ExecutionPlan for Ordered {
    fn name(&self) -> &'static str {
        "Ordered"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Err(violation("a stand-in of a check does not run"))
    }
}

#[cfg(test)]
mod tests;
