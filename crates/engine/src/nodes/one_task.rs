//! A plan that one task runs.
//!
//! Some plans mean something else once they are cut into stages: a recursive query reads its own rows, and an order that
//! a stage's input had is not the order of what arrives at the next stage. Such a plan goes out as one opaque leaf with one
//! partition: one task of one executor runs it as one process would.
//!
//! ```text
//!   TableWriteExec                 TableWriteExec
//!     SortExec            =>         OneTaskExec: SortExec …     no stage begins below it
//!       RecursiveQueryExec
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};

use super::over;

/// A leaf of one partition that runs a whole plan.
#[derive(Debug)]
pub(crate) struct OneTaskExec {
    plan: Arc<dyn ExecutionPlan>,
}

impl OneTaskExec {
    /// `plan`: its partitions become one, in any order where it has several.
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>) -> Self {
        let plan = if plan.output_partitioning().partition_count() == 1 {
            plan
        } else {
            Arc::new(CoalescePartitionsExec::new(plan)) as Arc<dyn ExecutionPlan>
        };
        Self { plan }
    }

    /// The plan that the task runs.
    pub(crate) fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }
}

impl DisplayAs for OneTaskExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "OneTaskExec: ")?;
        lines(&self.plan, format, 1, f)
    }
}

/// The plan below as text, since displays of a plan stop at a leaf.
fn lines(
    plan: &Arc<dyn ExecutionPlan>,
    format: DisplayFormatType,
    depth: usize,
    f: &mut fmt::Formatter,
) -> fmt::Result {
    plan.fmt_as(format, f)?;
    for child in plan.children() {
        write!(f, "\n{:width$}", "", width = depth * 2)?;
        lines(child, format, depth + 1, f)?;
    }
    Ok(())
}

impl ExecutionPlan for OneTaskExec {
    fn name(&self) -> &'static str {
        "OneTaskExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    /// None: neither stages nor the partitions of a task reach below.
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
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            Err(DataFusionError::Internal(
                "a plan of one task has no inputs".to_string(),
            ))
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.plan.execute(partition, context)
    }
}

/// Makes one task of a plan, below the nodes that write its rows.
///
/// # Errors
/// A node that writes cannot be put over another input.
pub(crate) fn as_one_task(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if retail_lakehouse::is_table_write(&plan)
        && let [input] = plan.children().as_slice()
    {
        let input = as_one_task(Arc::clone(input))?;
        return over(plan, vec![input]);
    }
    let plan = plan.transform_up(with_whole_work_table).data()?;
    Ok(Arc::new(OneTaskExec::new(plan)))
}

/// A recursive query whose working table is read with all its columns, and cut to those wanted above: which of them a
/// `WorkTableExec` keeps is not public, and would not travel.
fn with_whole_work_table(
    node: Arc<dyn ExecutionPlan>,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(query) = node.downcast_ref::<RecursiveQueryExec>() else {
        return Ok(Transformed::no(node));
    };
    let [fixed, recursive] = node.children()[..] else {
        return Ok(Transformed::no(node));
    };
    let (name, whole) = (query.name(), query.schema());
    let read = |node: Arc<dyn ExecutionPlan>| match node.downcast_ref::<WorkTableExec>() {
        Some(table) if table.name() == name && keeps_some(table) => {
            cut(name, &whole, &WorkTableExec::schema(table)).map(Transformed::yes)
        }
        _ => Ok(Transformed::no(node)),
    };
    let recursive = Arc::clone(recursive).transform_up(read).data()?;
    let inputs = vec![Arc::clone(fixed), recursive];
    Ok(Transformed::yes(over(node, inputs)?))
}

fn cut(name: &str, whole: &SchemaRef, wanted: &SchemaRef) -> Result<Arc<dyn ExecutionPlan>> {
    let columns = wanted.fields().iter().map(|field| {
        let mut at = (0..whole.fields().len()).filter(|i| whole.field(*i).name() == field.name());
        let (Some(index), None) = (at.next(), at.next()) else {
            return Err(DataFusionError::Plan(format!(
                "column {} of the recursive query {name} is not the only one of its name; rename it with `with recursive {name}(…)`",
                field.name()
            )));
        };
        Ok(ProjectionExpr {
            expr: Arc::new(Column::new(field.name(), index)),
            alias: field.name().clone(),
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let table = WorkTableExec::new(name.to_string(), Arc::clone(whole), None)?;
    Ok(Arc::new(ProjectionExec::try_new(columns, Arc::new(table))?))
}

/// Whether a working table is read without some of its columns. Only its `Debug` text shows it.
fn keeps_some(table: &WorkTableExec) -> bool {
    !format!("{table:?}").contains("projection: None")
}

/// The parts of a recursive query, for the wire.
pub(crate) struct Recursive {
    pub name: String,
    pub distinct: bool,
    pub schema: SchemaRef,
}

/// A recursive query's parts; none for other nodes.
pub(crate) fn recursive(node: &Arc<dyn ExecutionPlan>) -> Option<Recursive> {
    let query = node.downcast_ref::<RecursiveQueryExec>()?;
    Some(Recursive {
        name: query.name().to_string(),
        distinct: query.is_distinct(),
        schema: query.schema(),
    })
}

/// A working table's name and columns; none for other nodes.
///
/// # Errors
/// It is read without some of its columns, see `with_whole_work_table`.
pub(crate) fn work_table(node: &Arc<dyn ExecutionPlan>) -> Result<Option<(String, SchemaRef)>> {
    let Some(table) = node.downcast_ref::<WorkTableExec>() else {
        return Ok(None);
    };
    if keeps_some(table) {
        return Err(DataFusionError::Plan(format!(
            "the recursive query {} cannot be sent to an executor",
            table.name()
        )));
    }
    let columns = WorkTableExec::schema(table);
    Ok(Some((table.name().to_string(), columns)))
}
