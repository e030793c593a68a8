//! Puts our casts of text and times in place of the engine's, wherever types were coerced.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, Operator, SortExpr};
use datafusion::optimizer::AnalyzerRule;

use super::planner::{cast, length};
use crate::trees::step;
use retail_functions::time::interval::is_interval;

/// Runs before type coercion: texts and dates that meet a timestamp become timestamps in microseconds, where the engine would
/// take nanoseconds, in which `9999-12-31` has no place.
#[derive(Debug)]
pub(crate) struct TimeKinds;

impl AnalyzerRule for TimeKinds {
    fn name(&self) -> &str {
        "time_kinds"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(step(&mut |plan| {
            let schema = schema_of(&plan)?;
            let names = NamePreserver::new(&plan);
            plan.map_expressions(step(&mut |expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(step(&mut |expr| kinds(expr, &schema)))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            }))
        }))?;
        Ok(changed.data)
    }
}

/// Functions whose arguments get one common type.
const COMMON_TYPE: [&str; 5] = ["coalesce", "nullif", "greatest", "least", "nvl"];

fn kinds(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (mut both, changed) = alike(vec![*left, *right], schema)?;
            let right = Box::new(both.remove(1));
            let left = Box::new(both.remove(0));
            Transformed::new_transformed(
                Expr::BinaryExpr(BinaryExpr::new(left, op, right)),
                changed,
            )
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let (mut all, changed) = alike(vec![*expr, *low, *high], schema)?;
            let high = Box::new(all.remove(2));
            let low = Box::new(all.remove(1));
            let between = Between::new(Box::new(all.remove(0)), negated, low, high);
            Transformed::new_transformed(Expr::Between(between), changed)
        }
        Expr::InList(InList {
            expr,
            mut list,
            negated,
        }) => {
            list.insert(0, *expr);
            let (mut all, changed) = alike(list, schema)?;
            let expr = Box::new(all.remove(0));
            Transformed::new_transformed(Expr::InList(InList::new(expr, all, negated)), changed)
        }
        Expr::ScalarFunction(ScalarFunction { func, args })
            if COMMON_TYPE.contains(&func.name()) =>
        {
            let (args, changed) = alike(args, schema)?;
            Transformed::new_transformed(
                Expr::ScalarFunction(ScalarFunction::new_udf(func, args)),
                changed,
            )
        }
        Expr::Case(Case {
            expr,
            when_then_expr,
            else_expr,
        }) => {
            let (whens, mut thens): (Vec<_>, Vec<_>) = when_then_expr
                .into_iter()
                .map(|(when, then)| (when, *then))
                .unzip();
            let has_else = else_expr.is_some();
            thens.extend(else_expr.map(|e| *e));
            let (mut thens, changed) = alike(thens, schema)?;
            let else_expr = if has_else { thens.pop() } else { None };
            let pairs = whens
                .into_iter()
                .zip(thens.into_iter().map(Box::new))
                .collect();
            let case = Case::new(expr, pairs, else_expr.map(Box::new));
            Transformed::new_transformed(Expr::Case(case), changed)
        }
        expr => Transformed::no(expr),
    })
}

fn compares(op: Operator) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::Eq
            | Op::NotEq
            | Op::Lt
            | Op::LtEq
            | Op::Gt
            | Op::GtEq
            | Op::IsDistinctFrom
            | Op::IsNotDistinctFrom
    )
}

/// Casts texts that are written out, and dates, to the type of a timestamp or date beside them.
fn alike(exprs: Vec<Expr>, schema: &DFSchema) -> Result<(Vec<Expr>, bool)> {
    let Ok(types) = exprs
        .iter()
        .map(|e| e.get_type(schema))
        .collect::<Result<Vec<_>>>()
    else {
        // What has no type yet is refused where types are coerced.
        return Ok((exprs, false));
    };
    if types.iter().any(is_interval) {
        let mut changed = false;
        let exprs = exprs.into_iter().map(|expr| match written_interval(&expr) {
            Some(interval) => {
                changed = true;
                Expr::Literal(interval, None)
            }
            None => expr,
        });
        return Ok((exprs.collect(), changed));
    }
    let zoned = types
        .iter()
        .find(|t| matches!(t, DataType::Timestamp(_, Some(_))));
    let wall = types
        .iter()
        .find(|t| matches!(t, DataType::Timestamp(_, None)));
    let date = types.iter().find(|t| **t == DataType::Date32);
    let Some(to) = zoned.or(wall).or(date).cloned() else {
        return Ok((exprs, false));
    };
    let mut changed = false;
    let exprs = exprs
        .into_iter()
        .zip(&types)
        .map(|(expr, t)| {
            let is_text = retail_functions::is_text(t) && matches!(expr, Expr::Literal(..));
            let is_other = matches!(t, DataType::Date32 | DataType::Timestamp(..)) && *t != to;
            if is_text || is_other {
                changed = true;
                return Expr::Cast(Cast::new(Box::new(expr), to.clone()));
            }
            expr
        })
        .collect();
    Ok((exprs, changed))
}

/// An interval that is written as a text.
fn written_interval(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => {
            retail_functions::time::read_interval(value.try_as_str().flatten()?)
        }
        _ => None,
    }
}

fn schema_of(plan: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = plan {
        let table =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&table);
    }
    Ok(schema)
}

/// Runs after type coercion: what coercion casts is cast by the same rules as what a person casts.
#[derive(Debug)]
pub(crate) struct TimeCasts;

impl AnalyzerRule for TimeCasts {
    fn name(&self) -> &str {
        "time_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(step(&mut in_node))?.data)
    }
}

fn in_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = schema_of(&plan)?;
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(step(&mut |expr| {
        let name = names.save(&expr);
        let changed = expr.transform_up(step(&mut |expr| in_expression(expr, &schema)))?;
        Ok(changed.update_data(|expr| name.restore(expr)))
    }))?;
    let plan = if plan.transformed {
        plan.map_data(LogicalPlan::recompute_schema)?
    } else {
        plan
    };
    plan.transform_data(|plan| match plan {
        LogicalPlan::Sort(mut sort) => {
            let mut changed = false;
            let sorted = sort.input.schema();
            sort.expr = sort
                .expr
                .into_iter()
                .map(|s| {
                    if is_interval(&s.expr.get_type(sorted)?) {
                        changed = true;
                        return Ok(SortExpr::new(length(s.expr), s.asc, s.nulls_first));
                    }
                    Ok(s)
                })
                .collect::<Result<_>>()?;
            Ok(Transformed::new_transformed(
                LogicalPlan::Sort(sort),
                changed,
            ))
        }
        plan => Ok(Transformed::no(plan)),
    })
}

fn in_expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr: of, field }) => {
            let from = of.get_type(schema)?;
            match cast((*of).clone(), &from, field.data_type(), false)? {
                Some(call) => Ok(Transformed::yes(call)),
                None => Ok(Transformed::no(Expr::Cast(Cast { expr: of, field }))),
            }
        }
        Expr::TryCast(tried) => {
            let from = tried.expr.get_type(schema)?;
            match cast((*tried.expr).clone(), &from, tried.field.data_type(), true)? {
                Some(call) => Ok(Transformed::yes(call)),
                None => Ok(Transformed::no(Expr::TryCast(tried))),
            }
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) if is_interval(&expr.get_type(schema)?) => {
            Ok(Transformed::yes(Expr::Between(Between::new(
                Box::new(length(*expr)),
                negated,
                Box::new(length(*low)),
                Box::new(length(*high)),
            ))))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) if is_interval(&expr.get_type(schema)?) => {
            Ok(Transformed::yes(Expr::InList(InList::new(
                Box::new(length(*expr)),
                list.into_iter().map(length).collect(),
                negated,
            ))))
        }
        expr => Ok(Transformed::no(expr)),
    }
}
