//! Finds `row_number() … <= n` in a physical plan and puts the operator in its place.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Operator, WindowFrameBound};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::{conjunction, split_conjunction};
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::windows::{
    BoundedWindowAggExec, StandardWindowExpr, WindowAggExec, WindowExpr, WindowUDFExpr,
};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::exec::HashTopKExec;
use super::spec::{Mode, OrderColumn, Spec};

/// The rule that replaces `row_number() … <= n` by `HashTopKExec` where that is exact.
///
/// It must run before `EnsureRequirements`; a plan whose window is sorted already is left alone.
pub fn partitioned_topk_rule() -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(PartitionedTopK)
}

#[derive(Debug)]
struct PartitionedTopK;

impl PhysicalOptimizerRule for PartitionedTopK {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            Ok(match rewrite(&node)? {
                Some(rewritten) => Transformed::yes(rewritten),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "PartitionedTopK"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The node without its window and sort, or `None` if it is of another shape.
///
/// ```text
/// [ProjectionExec]      what is used of the filter's rows
///   FilterExec          row number <= n [AND others]
///     [ProjectionExec]* pass the row number on
///       window          row_number() over (partition by keys order by columns)
/// ```
fn rewrite(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(Shape {
        used,
        filter,
        between,
        window,
    }) = Shape::find(node)
    else {
        return Ok(None);
    };
    let Some(ranking) = Ranking::of(window)? else {
        return Ok(None);
    };

    // Above the window the row number is its last column.
    let mut columns: Vec<Option<usize>> = (0..ranking.input.schema().fields().len())
        .map(Some)
        .collect();
    columns.push(None);
    let mut number = columns.clone();
    for projection in between.iter().rev() {
        number = projection
            .expr()
            .iter()
            .map(|e| passed_on(&e.expr, &number))
            .collect();
    }
    let Some((limit, others)) = split_predicate(filter.predicate(), &number) else {
        return Ok(None);
    };
    let spec = Spec {
        limit,
        ..ranking.spec
    };
    if spec.check(&ranking.input.schema()).is_err() {
        return Ok(None);
    }

    let mut plan = topk_over(ranking.input, spec)?;
    for projection in between.iter().rev() {
        let Some((kept, above)) = without_number(projection.expr(), &columns, limit)? else {
            return Ok(None);
        };
        plan = project(kept, plan)?;
        columns = above;
    }
    if !others.is_empty() {
        let Some(others) = all_or_none(others.iter().map(|e| rebase(e, &columns, limit)))? else {
            return Ok(None);
        };
        let others = FilterExec::try_new(conjunction(others), plan)?;
        plan = Arc::new(others.with_default_selectivity(filter.default_selectivity())?);
    }
    if let Some(projection) = filter.projection() {
        columns = projection.iter().map(|i| columns[*i]).collect();
    }
    let Some(outputs) = all_or_none(
        used.iter()
            .map(|e| Ok(rebase(&e.expr, &columns, limit)?.map(|x| (x, &e.alias)))),
    )?
    else {
        return Ok(None);
    };
    let outputs = outputs
        .into_iter()
        .map(|(expr, alias)| ProjectionExpr::new(expr, alias.clone()))
        .collect();
    let plan = project(outputs, plan)?;
    Ok((plan.schema() == node.schema()).then_some(plan))
}

/// The nodes of a match.
struct Shape<'a> {
    /// Output columns, over the filter's.
    used: Vec<ProjectionExpr>,
    filter: &'a FilterExec,
    /// From top to bottom.
    between: Vec<&'a ProjectionExec>,
    window: &'a Arc<dyn ExecutionPlan>,
}

impl<'a> Shape<'a> {
    fn find(node: &'a Arc<dyn ExecutionPlan>) -> Option<Self> {
        let (used, filter) = match node.downcast_ref::<ProjectionExec>() {
            Some(projection) => (
                projection.expr().to_vec(),
                projection.input().downcast_ref::<FilterExec>()?,
            ),
            None => (
                all_columns(&node.schema()),
                node.downcast_ref::<FilterExec>()?,
            ),
        };
        if filter.fetch().is_some() {
            return None;
        }
        let mut between = Vec::new();
        let mut window = filter.input();
        while let Some(projection) = window.downcast_ref::<ProjectionExec>() {
            between.push(projection);
            window = projection.input();
        }
        // Fewer rows reach these now, which only a volatile expression can observe.
        if between
            .iter()
            .flat_map(|p| p.expr())
            .map(|e| &e.expr)
            .chain([filter.predicate()])
            .any(is_volatile)
        {
            return None;
        }
        Some(Self {
            used,
            filter,
            between,
            window,
        })
    }
}

/// What a window numbers rows by.
struct Ranking {
    input: Arc<dyn ExecutionPlan>,
    /// With a limit still to be found.
    spec: Spec,
}

impl Ranking {
    /// `None` unless the node computes `row_number()` alone, by plain columns, over an input not yet prepared for it.
    fn of(window: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let (exprs, input) = if let Some(window) = window.downcast_ref::<BoundedWindowAggExec>() {
            (window.window_expr(), window.input())
        } else if let Some(window) = window.downcast_ref::<WindowAggExec>() {
            (window.window_expr(), window.input())
        } else {
            return Ok(None);
        };
        let [expr] = exprs else {
            return Ok(None);
        };
        // A sort or a shuffle here means that requirements are enforced: a parent may rely on the order by now.
        let is_prepared =
            input.is::<SortExec>() || input.is::<SortPreservingMergeExec>() || merges_sorted(input);
        if !is_row_number(expr) || is_prepared || input.boundedness().is_unbounded() {
            return Ok(None);
        }
        let keys = expr
            .partition_by()
            .iter()
            .map(column_index)
            .collect::<Option<Vec<_>>>();
        let order_column = |order: &datafusion::physical_expr::PhysicalSortExpr| {
            Some(OrderColumn {
                column: column_index(&order.expr)?,
                options: order.options,
            })
        };
        let order_by = expr
            .order_by()
            .iter()
            .map(order_column)
            .collect::<Option<Vec<_>>>();
        Ok(match (keys, order_by) {
            (Some(keys), Some(order_by)) => Some(Self {
                input: Arc::clone(input),
                spec: Spec {
                    keys,
                    order_by,
                    limit: 1,
                },
            }),
            _ => None,
        })
    }
}

fn is_row_number(expr: &Arc<dyn WindowExpr>) -> bool {
    let function = expr.as_any().downcast_ref::<StandardWindowExpr>();
    let function = function.and_then(|e| {
        e.get_standard_func_expr()
            .as_any()
            .downcast_ref::<WindowUDFExpr>()
    });
    let frame = expr.get_window_frame();
    let is_whole = frame.start_bound.is_unbounded()
        && (frame.end_bound.is_unbounded()
            || matches!(frame.end_bound, WindowFrameBound::CurrentRow));
    is_whole && function.is_some_and(|f| f.fun().name() == "row_number" && f.args().is_empty())
}

fn merges_sorted(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<RepartitionExec>()
        .is_some_and(RepartitionExec::preserve_order)
}

fn column_index(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

fn is_volatile(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut volatile = false;
    let visited = expr.apply(|e| {
        volatile |= e.is_volatile_node();
        Ok(TreeNodeRecursion::Continue)
    });
    volatile || visited.is_err()
}

/// The operator over `input`; with a partial pass unless the rows of a key are together already.
fn topk_over(input: Arc<dyn ExecutionPlan>, spec: Spec) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let key =
        |k: &usize| Arc::new(Column::new(schema.field(*k).name(), *k)) as Arc<dyn PhysicalExpr>;
    let together = Distribution::KeyPartitioned(spec.keys.iter().map(key).collect());
    let partitioning = input.output_partitioning();
    let is_together = partitioning.partition_count() > 1
        && partitioning
            .satisfaction(&together, input.equivalence_properties(), false)
            .is_satisfied();
    let input = if is_together {
        input
    } else {
        Arc::new(HashTopKExec::try_new(input, spec.clone(), Mode::Partial)?)
    };
    Ok(Arc::new(HashTopKExec::try_new(input, spec, Mode::Final)?))
}

/// One condition of the filter.
enum Condition {
    /// The row number is at most this.
    AtMost(usize),
    /// True of every row number.
    Always,
    Other,
}

/// The least bound of the row number, and the conditions it does not cover. `None` without a bound.
fn split_predicate(
    predicate: &Arc<dyn PhysicalExpr>,
    number: &[Option<usize>],
) -> Option<(usize, Vec<Arc<dyn PhysicalExpr>>)> {
    let mut limit = None;
    let mut others = Vec::new();
    for expr in split_conjunction(predicate) {
        match condition(expr, number) {
            Condition::AtMost(n) => limit = Some(limit.map_or(n, |limit: usize| limit.min(n))),
            Condition::Always => {}
            Condition::Other => others.push(Arc::clone(expr)),
        }
    }
    limit.map(|limit| (limit, others))
}

fn condition(expr: &Arc<dyn PhysicalExpr>, number: &[Option<usize>]) -> Condition {
    let compared = expr.downcast_ref::<BinaryExpr>().and_then(|e| {
        match (column_index(e.left()), e.right().downcast_ref::<Literal>()) {
            (Some(column), Some(literal)) => Some((column, *e.op(), literal)),
            _ => Some((
                column_index(e.right())?,
                e.op().swap()?,
                e.left().downcast_ref::<Literal>()?,
            )),
        }
    });
    let Some((column, op, literal)) = compared else {
        return Condition::Other;
    };
    let (true, Some(value)) = (number.get(column) == Some(&None), integer(literal.value())) else {
        return Condition::Other;
    };
    match op {
        Operator::Eq if value == 1 => Condition::AtMost(1),
        Operator::LtEq if value >= 1 => {
            usize::try_from(value).map_or(Condition::Other, Condition::AtMost)
        }
        Operator::Lt if value >= 2 => {
            usize::try_from(value - 1).map_or(Condition::Other, Condition::AtMost)
        }
        Operator::GtEq if value <= 1 => Condition::Always,
        Operator::Gt if value <= 0 => Condition::Always,
        _ => Condition::Other,
    }
}

fn integer(value: &ScalarValue) -> Option<i128> {
    if !value.data_type().is_integer() {
        return None;
    }
    match value.cast_to(&DataType::Decimal128(38, 0)).ok()? {
        ScalarValue::Decimal128(value, ..) => value,
        _ => None,
    }
}

/// Where a projected column comes from; a computed one counts as a column of its own.
fn passed_on(expr: &Arc<dyn PhysicalExpr>, columns: &[Option<usize>]) -> Option<usize> {
    match column_index(expr) {
        Some(index) => columns.get(index).copied().flatten(),
        None => Some(usize::MAX),
    }
}

/// A projection's expressions over an input that lacks the row number, and where each column is afterwards.
/// `None` when the number cannot be done without.
#[expect(clippy::type_complexity, reason = "a pair of lists")]
fn without_number(
    exprs: &[ProjectionExpr],
    columns: &[Option<usize>],
    limit: usize,
) -> Result<Option<(Vec<ProjectionExpr>, Vec<Option<usize>>)>> {
    let mut kept = Vec::with_capacity(exprs.len());
    let mut above = Vec::with_capacity(exprs.len());
    for e in exprs {
        if column_index(&e.expr).is_some_and(|index| columns.get(index) == Some(&None)) {
            above.push(None);
            continue;
        }
        let Some(expr) = rebase(&e.expr, columns, limit)? else {
            return Ok(None);
        };
        above.push(Some(kept.len()));
        kept.push(ProjectionExpr::new(expr, e.alias.clone()));
    }
    Ok(Some((kept, above)))
}

/// The expression over columns at their new places. The row number is 1 where only one row per key is kept, and
/// unknown otherwise: then an expression that needs it is `None`.
fn rebase(
    expr: &Arc<dyn PhysicalExpr>,
    columns: &[Option<usize>],
    limit: usize,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let mut is_known = true;
    let rebased = Arc::clone(expr).transform_up(|e| {
        let Some(column) = e.downcast_ref::<Column>() else {
            return Ok(Transformed::no(e));
        };
        let replacement: Arc<dyn PhysicalExpr> = match columns.get(column.index()) {
            Some(Some(index)) => Arc::new(Column::new(column.name(), *index)),
            Some(None) if limit == 1 => Arc::new(Literal::new(ScalarValue::Int64(Some(1)))),
            _ => {
                is_known = false;
                return Ok(Transformed::no(e));
            }
        };
        Ok(Transformed::yes(replacement))
    })?;
    Ok(is_known.then_some(rebased.data))
}

fn all_or_none<T>(items: impl Iterator<Item = Result<Option<T>>>) -> Result<Option<Vec<T>>> {
    items
        .map(Result::transpose)
        .collect::<Option<Result<Vec<T>>>>()
        .transpose()
}

fn all_columns(schema: &SchemaRef) -> Vec<ProjectionExpr> {
    let column = |(i, field): (usize, &Arc<datafusion::arrow::datatypes::Field>)| {
        ProjectionExpr::new(Arc::new(Column::new(field.name(), i)), field.name().clone())
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// A projection, unless it would change nothing.
fn project(
    exprs: Vec<ProjectionExpr>,
    input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let is_identity = exprs.len() == schema.fields().len()
        && exprs
            .iter()
            .enumerate()
            .all(|(i, e)| column_index(&e.expr) == Some(i) && e.alias == *schema.field(i).name());
    if is_identity {
        Ok(input)
    } else {
        Ok(Arc::new(ProjectionExec::try_new(exprs, input)?))
    }
}
