//! Computed floats become canonical: one NaN, equal to itself and above all numbers, and one zero.
//!
//! Arrow sorts, groups, joins and compares floats by their bits, and a processor makes other bits for NaN than a text or a
//! file has: `inf - inf` would stand below all numbers and be unlike 'NaN'. Files are read canonical
//! ([`retail_values::canonical_floats`]); here every expression that makes new floats gets [`canonical_float`] around it:
//!
//! ```text
//! x * y > 1      canonical_float(x * y) > 1
//! Aggregate      Projection: key, canonical_float(avg(x)) AS avg(x)
//!                  Aggregate
//! ```
//!
//! Within arithmetic only the outermost result is looked at.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, TryCast,
};
use datafusion::optimizer::analyzer::AnalyzerRule;
use retail_functions::canonical::{NAME, canonical_float};
use retail_values::canonical_scalar;

use crate::trees::step;

/// Functions that give one of their arguments, or a part of one, back.
const PASSING: [&str; 11] = [
    NAME,
    "array_element",
    "array_max",
    "array_min",
    "coalesce",
    "get_field",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
];

/// Aggregates and window functions that give a value of their column back.
const PASSING_OF_ROWS: [&str; 8] = [
    "first_value",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "nth_value",
    "any_value",
];

/// Puts [`canonical_float`] around what makes floats. Doing it twice is doing it once.
#[derive(Debug)]
pub(super) struct CanonicalFloats;

impl AnalyzerRule for CanonicalFloats {
    fn name(&self) -> &str {
        "canonical_floats"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan
            .transform_up_with_subqueries(step(&mut canonical))?
            .data)
    }
}

fn canonical(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let table =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&table);
    }
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(step(&mut |expr| {
        let name = names.save(&expr);
        let changed = expr.transform_up(step(&mut |expr| expression(expr, &schema)))?;
        Ok(changed.update_data(|expr| name.restore(expr)))
    }))?;
    let plan = plan.map_data(|plan| plan.recompute_schema())?;
    let rows = match &plan.data {
        LogicalPlan::Aggregate(aggregate) => &aggregate.aggr_expr,
        LogicalPlan::Window(window) => &window.window_expr,
        _ => return Ok(plan),
    };
    // The expressions are the last columns.
    let schema = Arc::clone(plan.data.schema());
    let first = schema.fields().len() - rows.len();
    let made: Vec<bool> = rows
        .iter()
        .enumerate()
        .map(|(i, expr)| schema.field(first + i).data_type().is_floating() && !passes(expr))
        .collect();
    if !made.contains(&true) {
        return Ok(plan);
    }
    let columns = schema.iter().enumerate().map(|(i, (qualifier, field))| {
        let column = Expr::from((qualifier, field));
        match i.checked_sub(first).is_some_and(|i| made[i]) {
            true => wrapped(column).alias_qualified(qualifier.cloned(), field.name()),
            false => column,
        }
    });
    let columns: Vec<_> = columns.collect();
    let plan = LogicalPlanBuilder::from(plan.data).project(columns)?;
    Ok(Transformed::yes(plan.build()?))
}

/// Whether an aggregate or a window function gives a value of its column back.
fn passes(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Alias(alias) => return passes(&alias.expr),
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::WindowFunction(call) => call.fun.name(),
        _ => return false,
    };
    PASSING_OF_ROWS
        .iter()
        .any(|passing| name.split(' ').next() == Some(passing))
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Literal(value, metadata) if value.data_type().is_floating() => {
            let canonical = canonical_scalar(value);
            Ok(Transformed::yes(Expr::Literal(canonical, metadata)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(op) => {
            let [left, right] = [left, right].map(|side| Box::new(unwrapped(*side)));
            made(Expr::BinaryExpr(BinaryExpr { left, op, right }), schema)
        }
        Expr::Negative(of) => made(Expr::Negative(Box::new(unwrapped(*of))), schema),
        Expr::Cast(Cast { expr: ref of, .. }) | Expr::TryCast(TryCast { expr: ref of, .. }) => {
            let from = of.get_type(schema)?;
            // Of whole and decimal numbers there is no NaN and one zero.
            match from.is_numeric() && !from.is_floating() {
                true => Ok(Transformed::no(expr)),
                false => made(expr, schema),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == NAME => {
            let inner = call.args.first();
            match inner {
                Some(Expr::ScalarFunction(twice)) if twice.func.name() == NAME => {
                    Ok(Transformed::yes(Expr::ScalarFunction(twice.clone())))
                }
                _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
            }
        }
        Expr::ScalarFunction(call) if PASSING.contains(&call.func.name()) => {
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        Expr::ScalarFunction(_) => made(expr, schema),
        expr => Ok(Transformed::no(expr)),
    }
}

fn is_arithmetic(op: Operator) -> bool {
    matches!(
        op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
    )
}

/// An expression that makes values: floats are made canonical.
fn made(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr.get_type(schema)?.is_floating() {
        true => Ok(Transformed::yes(wrapped(expr))),
        false => Ok(Transformed::no(expr)),
    }
}

fn wrapped(expr: Expr) -> Expr {
    canonical_float().call(vec![expr])
}

fn unwrapped(expr: Expr) -> Expr {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == NAME => {
            args.remove(0)
        }
        expr => expr,
    }
}
