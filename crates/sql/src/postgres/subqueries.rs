//! Subqueries that the engine cannot plan, or plans with another meaning, in forms that it plans right.
//!
//! | written | planned |
//! |---|---|
//! | a scalar subquery that may have two rows | `only_row((SELECT array_agg(x) …))`: two rows are an error |
//! | `… WHERE s.k = o.k ORDER BY t LIMIT n`, scalar or LATERAL | rows numbered per `k`, the first `n` kept |
//! | `> ALL`, `> ANY` and their kin | comparisons with the largest or smallest value, and counts |
//! | EXISTS, IN, NOT IN as a value; a correlated NOT IN | counts of rows, of matches and of NULLs |
//! | the same of a correlated aggregate without GROUP BY | its one row's value ([`lone`]) |
//! | a subquery in ORDER BY | a column below the sort ([`order`]) |

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, not_impl_err};
use datafusion::functions_aggregate::expr_fn::{array_agg, count, max, min};
use datafusion::logical_expr::expr::{
    Exists, InSubquery, SetComparison, SetQuantifier, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{FetchType, SkipType};
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr,
    Subquery, WindowFunctionDefinition, WindowUDF, binary_expr, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::lone::{self, subquery};
use super::order;
use crate::trees::step;
use retail_functions::only_row::only_row;

/// Runs before types are coerced and before the engine checks that a correlated subquery is aggregated.
#[derive(Debug)]
pub(crate) struct Subqueries {
    /// The function that numbers rows, as the session has it.
    pub(crate) row_number: Arc<WindowUDF>,
}

impl AnalyzerRule for Subqueries {
    fn name(&self) -> &str {
        "subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan
            .transform_up_with_subqueries(step(&mut |node| self.node(node)))?
            .data)
    }
}

impl Subqueries {
    fn node(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Subquery(lateral) = &plan {
            return Ok(match self.first_per_key(&lateral.subquery)? {
                Some(changed) => Transformed::yes(LogicalPlan::Subquery(subquery(changed))),
                None => Transformed::no(plan),
            });
        }
        let schema = merge_schema(&plan.inputs());
        let in_filter = matches!(plan, LogicalPlan::Filter(_));
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(step(&mut |expr| {
            let name = names.save(&expr);
            let whole = in_filter && keeps_no_unknown(&expr, true);
            let changed =
                expr.transform_up(step(&mut |expr| self.expression(expr, &schema, whole)))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        }))?;
        plan.transform_data(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => below_aggregate(aggregate),
            LogicalPlan::Sort(sort) => order::below_sort(sort),
            plan => Ok(Transformed::no(plan)),
        })
    }

    fn expression(
        &self,
        expr: Expr,
        schema: &DFSchema,
        in_filter: bool,
    ) -> Result<Transformed<Expr>> {
        if let Some(of_one_row) = lone::compared(&expr)? {
            return Ok(Transformed::yes(of_one_row));
        }
        match expr {
            Expr::ScalarSubquery(scalar) => {
                if let Some(value) = without_from(&scalar.subquery)? {
                    return Ok(Transformed::yes(value));
                }
                let limited = self.first_per_key(&scalar.subquery)?;
                let plan = limited.unwrap_or_else(|| scalar.subquery.as_ref().clone());
                if plan.max_rows().is_some_and(|rows| rows <= 1) {
                    return Ok(Transformed::no(Expr::ScalarSubquery(scalar)));
                }
                let column = Expr::from(plan.schema().qualified_field(0));
                let all = LogicalPlanBuilder::from(plan)
                    .aggregate(Vec::<Expr>::new(), [array_agg(column)])?
                    .build()?;
                let rows = Expr::ScalarSubquery(subquery(all));
                Ok(Transformed::yes(only_row().call(vec![rows])))
            }
            Expr::Exists(Exists { subquery, negated }) if !in_filter => {
                let rows = counted(subquery.subquery.as_ref().clone(), lit(1))?;
                let has_some = if negated {
                    rows.eq(lit(0_i64))
                } else {
                    rows.gt(lit(0_i64))
                };
                Ok(Transformed::yes(has_some))
            }
            Expr::InSubquery(InSubquery {
                ref expr,
                ref subquery,
                negated,
            }) if !in_filter
                || (negated
                    && (!subquery.outer_ref_columns.is_empty()
                        || expr.column_refs().is_empty())) =>
            {
                let is_in = is_in(expr.as_ref().clone(), subquery, schema)?;
                Ok(Transformed::yes(if negated { !is_in } else { is_in }))
            }
            Expr::SetComparison(SetComparison {
                expr,
                subquery,
                op,
                quantifier,
            }) => compared(*expr, subquery, op, &quantifier).map(Transformed::yes),
            Expr::Not(of) if in_filter => match of.as_ref() {
                Expr::InSubquery(inner)
                    if !inner.negated && !inner.subquery.outer_ref_columns.is_empty() =>
                {
                    let is_in = is_in(inner.expr.as_ref().clone(), &inner.subquery, schema)?;
                    Ok(Transformed::yes(!is_in))
                }
                _ => Ok(Transformed::no(Expr::Not(of))),
            },
            expr => Ok(Transformed::no(expr)),
        }
    }

    /// A subquery whose LIMIT counts per outer row, with rows numbered per key in place of the limit.
    fn first_per_key(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        match plan {
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
                let inputs = plan.inputs();
                let [input] = inputs.as_slice() else {
                    return Ok(None);
                };
                let Some(input) = self.first_per_key(input)? else {
                    return Ok(None);
                };
                plan.with_new_exprs(plan.expressions(), vec![input])
                    .map(Some)
            }
            LogicalPlan::Limit(limit) => {
                let (FetchType::Literal(Some(fetch)), SkipType::Literal(skip)) =
                    (limit.get_fetch_type()?, limit.get_skip_type()?)
                else {
                    return Ok(None);
                };
                let mut above = vec![];
                let mut below = limit.input.as_ref();
                while let LogicalPlan::Projection(projection) = below
                    && sorts_below(&projection.input)
                {
                    above.push(projection.expr.clone());
                    below = projection.input.as_ref();
                }
                let (order, below) = match below {
                    LogicalPlan::Sort(sort) => (sort.expr.clone(), sort.input.as_ref()),
                    other => (vec![], other),
                };
                let Some(unlinked) = unlink(below)? else {
                    return Ok(None);
                };
                let mut plan = self.numbered(unlinked, order, skip, fetch)?;
                for exprs in above.into_iter().rev() {
                    plan = plan.project(exprs)?;
                }
                plan.build().map(Some)
            }
            _ => Ok(None),
        }
    }

    fn numbered(
        &self,
        unlinked: Unlinked,
        order: Vec<SortExpr>,
        skip: usize,
        fetch: usize,
    ) -> Result<LogicalPlanBuilder> {
        let Unlinked { plan, keys, outer } = unlinked;
        let number = Expr::from(WindowFunction::new(
            WindowFunctionDefinition::WindowUDF(Arc::clone(&self.row_number)),
            vec![],
        ))
        .partition_by(keys.clone())
        .order_by(order)
        .build()?;
        let name = number.schema_name().to_string();
        let position = Expr::Column(Column::new_unqualified(name));
        let last = skip.saturating_add(fetch) as i64;
        let mut kept = position.clone().lt_eq(lit(last));
        if skip > 0 {
            kept = kept.and(position.gt(lit(skip as i64)));
        }
        let links = keys
            .into_iter()
            .zip(outer)
            .map(|(key, outer)| key.eq(outer));
        let builder = LogicalPlanBuilder::from(plan)
            .window([number])?
            .filter(kept)?;
        match conjunction(links.collect::<Vec<_>>()) {
            Some(links) => builder.filter(links),
            None => Ok(builder),
        }
    }
}

/// Whether a condition comes out the same when a subquery that is unknown (NULL) counts as false: then it is left to the
/// engine's joins. `alone`: the condition decides by itself whether a row stays.
fn keeps_no_unknown(condition: &Expr, alone: bool) -> bool {
    match condition {
        Expr::BinaryExpr(both) if both.op == Operator::And => {
            keeps_no_unknown(&both.left, alone) && keeps_no_unknown(&both.right, alone)
        }
        Expr::BinaryExpr(either) if either.op == Operator::Or => {
            keeps_no_unknown(&either.left, false) && keeps_no_unknown(&either.right, false)
        }
        Expr::InSubquery(is_in) => alone || !is_in.negated,
        Expr::SetComparison(_) | Expr::Exists(_) => true,
        Expr::Not(of) => match of.as_ref() {
            Expr::InSubquery(is_in) => alone && !is_in.negated,
            Expr::Exists(_) => true,
            of => !has_predicate(of),
        },
        other => !has_predicate(other),
    }
}

/// Whether some subquery in an expression is a condition of its own.
fn has_predicate(expr: &Expr) -> bool {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::Exists(_)
        ))
    })
    .unwrap_or(true)
}

/// `(SELECT c.name || '!')`, which has no relation of its own, as the expression that it is.
fn without_from(plan: &LogicalPlan) -> Result<Option<Expr>> {
    let LogicalPlan::Projection(projection) = plan else {
        return Ok(None);
    };
    let one_row =
        matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(e) if e.produce_one_row);
    let [value] = projection.expr.as_slice() else {
        return Ok(None);
    };
    if !one_row || !value.column_refs().is_empty() {
        return Ok(None);
    }
    let value = value.clone().unalias().transform_up(step(&mut |expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            expr => Transformed::no(expr),
        })
    }))?;
    Ok(Some(value.data))
}

fn sorts_below(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(p) => sorts_below(&p.input),
        _ => false,
    }
}

/// A plan without its link to the outer row: rows belong together where `keys` equals `outer`.
struct Unlinked {
    plan: LogicalPlan,
    keys: Vec<Expr>,
    outer: Vec<Expr>,
}

fn unlink(plan: &LogicalPlan) -> Result<Option<Unlinked>> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let (links, rest): (Vec<_>, Vec<_>) = split_conjunction_owned(filter.predicate.clone())
                .into_iter()
                .partition(Expr::contains_outer);
            if links.is_empty() {
                let Some(mut inner) = unlink(&filter.input)? else {
                    return Ok(None);
                };
                inner.plan = LogicalPlanBuilder::from(inner.plan)
                    .filter(filter.predicate.clone())?
                    .build()?;
                return Ok(Some(inner));
            }
            if !filter.input.all_out_ref_exprs().is_empty() {
                return Ok(None);
            }
            let mut keys = vec![];
            let mut outer = vec![];
            for link in links {
                let Expr::BinaryExpr(link) = link else {
                    return Ok(None);
                };
                if link.op != Operator::Eq {
                    return Ok(None);
                }
                let (key, from_outer) = if link.left.contains_outer() {
                    (link.right, link.left)
                } else {
                    (link.left, link.right)
                };
                if key.contains_outer() || !from_outer.column_refs().is_empty() {
                    return Ok(None);
                }
                keys.push(*key);
                outer.push(*from_outer);
            }
            let mut plan = LogicalPlanBuilder::from(filter.input.as_ref().clone());
            if let Some(rest) = conjunction(rest) {
                plan = plan.filter(rest)?;
            }
            Ok(Some(Unlinked {
                plan: plan.build()?,
                keys,
                outer,
            }))
        }
        LogicalPlan::Projection(projection) => {
            let Some(inner) = unlink(&projection.input)? else {
                return Ok(None);
            };
            let mut exprs = projection.expr.clone();
            let mut keys = vec![];
            for (i, key) in inner.keys.into_iter().enumerate() {
                let name = format!("__key_{i}");
                exprs.push(key.alias(&name));
                keys.push(Expr::Column(Column::new_unqualified(name)));
            }
            let plan = LogicalPlanBuilder::from(inner.plan)
                .project(exprs)?
                .build()?;
            Ok(Some(Unlinked {
                plan,
                keys,
                outer: inner.outer,
            }))
        }
        _ => Ok(None),
    }
}

/// How many rows of a plan have a value.
fn counted(plan: LogicalPlan, value: Expr) -> Result<Expr> {
    let counted = LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), [count(value)])?
        .build()?;
    Ok(Expr::ScalarSubquery(subquery(counted)))
}

/// `value IN (SELECT …)` with its third answer, unknown, from counts.
fn is_in(value: Expr, of: &Subquery, schema: &DFSchema) -> Result<Expr> {
    // A name of its own: the outer row may have a column of the same table.
    let column = Expr::from(of.subquery.schema().qualified_field(0));
    let plan = LogicalPlanBuilder::from(of.subquery.as_ref().clone())
        .project([column.alias("__in_value")])?
        .build()?;
    let column = Expr::Column(Column::new_unqualified("__in_value"));
    let outer = value
        .clone()
        .transform_up(step(&mut |expr| match expr {
            Expr::Column(column) => {
                let field = Arc::clone(schema.field_from_column(&column)?);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            expr => Ok(Transformed::no(expr)),
        }))?
        .data;
    let matching = LogicalPlanBuilder::from(plan.clone())
        .filter(column.clone().eq(outer))?
        .build()?;
    let matches = counted(matching, lit(1))?;
    let rows = counted(plan.clone(), lit(1))?;
    let known = counted(plan, column)?;
    let unknown = value.is_null().or(known.lt(rows.clone()));
    when(matches.gt(lit(0_i64)), lit(true))
        .when(rows.eq(lit(0_i64)), lit(false))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))
}

/// `value > ALL (SELECT …)` and `ANY`. All values are less than one where the largest is; NULLs among them leave the answer open.
fn compared(value: Expr, of: Subquery, op: Operator, quantifier: &SetQuantifier) -> Result<Expr> {
    let is_any = matches!(quantifier, SetQuantifier::Any);
    match (op, is_any) {
        (Operator::Eq, true) => {
            return Ok(Expr::InSubquery(InSubquery::new(
                Box::new(value),
                of,
                false,
            )));
        }
        (Operator::NotEq, false) => {
            return Ok(Expr::InSubquery(InSubquery::new(Box::new(value), of, true)));
        }
        _ => {}
    }
    // `> ANY` is `NOT <= ALL`.
    let for_all = if is_any { op.negate() } else { Some(op) };
    let Some(for_all) = for_all else {
        return not_impl_err!("{op} {quantifier} (SELECT …) is not supported");
    };
    let plan = of.subquery.as_ref();
    let column = Expr::from(plan.schema().qualified_field(0));
    let extreme = |aggregate: Expr| -> Result<Expr> {
        let plan = LogicalPlanBuilder::from(plan.clone())
            .aggregate(Vec::<Expr>::new(), [aggregate])?
            .build()?;
        Ok(Expr::ScalarSubquery(subquery(plan)))
    };
    let holds = match for_all {
        Operator::Gt | Operator::GtEq => {
            binary_expr(value.clone(), for_all, extreme(max(column.clone()))?)
        }
        Operator::Lt | Operator::LtEq => {
            binary_expr(value.clone(), for_all, extreme(min(column.clone()))?)
        }
        Operator::Eq => {
            let largest = value.clone().eq(extreme(max(column.clone()))?);
            largest.and(value.clone().eq(extreme(min(column.clone()))?))
        }
        _ => return not_impl_err!("{op} {quantifier} (SELECT …) is not supported"),
    };
    let rows = counted(plan.clone(), lit(1))?;
    let known = counted(plan.clone(), column)?;
    let all = when(rows.clone().eq(lit(0_i64)), lit(true))
        .when(!holds, lit(false))
        .when(
            value.is_null().or(known.lt(rows)),
            lit(ScalarValue::Boolean(None)),
        )
        .otherwise(lit(true))?;
    Ok(if is_any { !all } else { all })
}

/// The engine plans scalar subqueries in projections, not in aggregates.
fn below_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let has_subquery = |expr: &Expr| expr.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_))));
    let mut any = false;
    for expr in aggregate.aggr_expr.iter().chain(&aggregate.group_expr) {
        any |= has_subquery(expr)?;
    }
    if !any {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let mut projected: Vec<Expr> = aggregate.input.schema().iter().map(Expr::from).collect();
    let mut found: Vec<Expr> = vec![];
    let mut replace = |expr: Expr| -> Result<Expr> {
        let name = expr.schema_name().to_string();
        let replaced = expr
            .transform_down(step(&mut |expr| {
                if matches!(expr, Expr::ScalarSubquery(_)) {
                    let at = found.iter().position(|f| *f == expr).unwrap_or(found.len());
                    if at == found.len() {
                        found.push(expr);
                    }
                    let column = Column::new_unqualified(format!("__scalar_{at}"));
                    return Ok(Transformed::new(
                        Expr::Column(column),
                        true,
                        TreeNodeRecursion::Jump,
                    ));
                }
                Ok(Transformed::no(expr))
            }))?
            .data;
        Ok(if replaced.schema_name().to_string() == name {
            replaced
        } else {
            replaced.alias(name)
        })
    };
    let groups = aggregate
        .group_expr
        .clone()
        .into_iter()
        .map(&mut replace)
        .collect::<Result<Vec<_>>>()?;
    let aggregates = aggregate
        .aggr_expr
        .clone()
        .into_iter()
        .map(&mut replace)
        .collect::<Result<Vec<_>>>()?;
    for (i, scalar) in found.into_iter().enumerate() {
        projected.push(scalar.alias(format!("__scalar_{i}")));
    }
    let input = LogicalPlanBuilder::from(aggregate.input.as_ref().clone())
        .project(projected)?
        .build()?;
    let changed = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggregates)?);
    Ok(Transformed::yes(changed))
}
