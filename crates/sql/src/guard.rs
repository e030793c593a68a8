//! Evaluates what can fail behind what keeps it from failing.
//!
//! `WHERE x <> 0 AND y / x > 1` is one expression to the engine, which may evaluate both sides for every row, or have pushed
//! one before the other. This runs after all rules that move expressions:
//!
//! ```text
//! x <> 0 AND y / x > 1   ──>   x <> 0 AND CASE WHEN x <> 0 THEN y / x > 1 ELSE false END
//! ```

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, BinaryExpr, Case, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, lit};

use crate::trees::step;
use retail_functions::decimal::MAX_DIGITS;

/// Functions that refuse some of their arguments.
const REFUSING: [&str; 24] = [
    "abs",
    "checked_cast",
    "sqrt",
    "ln",
    "log",
    "log2",
    "log10",
    "power",
    "factorial",
    "to_date",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "make_date",
    "make_timestamp",
    "time_from_text",
    "timezone",
    "to_char",
    "dateadd",
    "generate_series",
    "interval_times",
    "interval_over",
    "only_row",
];

/// The plan with every AND, OR and FILTER evaluated so that no row fails that another condition excludes.
///
/// # Errors
/// An expression has no type.
pub fn guard_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan
        .transform_up_with_subqueries(step(&mut guard_node))?
        .data)
}

fn guard_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::TableScan(_) = plan {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let filters = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
    let names = NamePreserver::new(&plan);
    plan.map_expressions(step(&mut |expr| {
        let raises = can_raise(&expr, &schema)?;
        if !raises {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let guarded = guarded(expr, &schema, filters)?;
        Ok(Transformed::yes(name.restore(guarded)))
    }))
}

/// `filters`: NULL means the same as false here.
fn guarded(expr: Expr, schema: &DFSchema, filters: bool) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => {
            let mut operands = vec![];
            flatten(expr, op, &mut operands);
            in_order(operands, op, schema, filters)
        }
        expr => expr
            .map_children(step(&mut |child| {
                guarded(child, schema, false).map(Transformed::yes)
            }))
            .map(|t| t.data),
    }
}

fn flatten(expr: Expr, of: Operator, operands: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op == of => {
            flatten(*left, of, operands);
            flatten(*right, of, operands);
        }
        expr => operands.push(expr),
    }
}

/// What cannot fail first, and each that can only where the others before it leave the answer open.
fn in_order(operands: Vec<Expr>, op: Operator, schema: &DFSchema, filters: bool) -> Result<Expr> {
    let (mut safe, mut raising) = (vec![], vec![]);
    for operand in operands {
        if can_raise(&operand, schema)? {
            raising.push(guarded(operand, schema, filters)?);
        } else {
            safe.push(operand);
        }
    }
    let join = if op == Operator::And {
        conjunction
    } else {
        disjunction
    };
    let mut rest: Option<Expr> = None;
    while let Some(last) = raising.pop() {
        rest = Some(match rest {
            None => last,
            Some(rest) => after(last, rest, op, schema, filters)?,
        });
    }
    match (join(safe), rest) {
        (Some(safe), Some(rest)) => {
            let behind = after(safe.clone(), rest, op, schema, filters)?;
            // What is safe stays a condition of its own, for those who look for conditions.
            if filters && op == Operator::And {
                return Ok(safe.and(behind));
            }
            Ok(behind)
        }
        (Some(all), None) | (None, Some(all)) => Ok(all),
        (None, None) => Ok(lit(op == Operator::And)),
    }
}

/// `first op then`, where `then` is evaluated only for rows that `first` does not decide.
fn after(first: Expr, then: Expr, op: Operator, schema: &DFSchema, filters: bool) -> Result<Expr> {
    let is_and = op == Operator::And;
    let two_valued = filters || !first.nullable(schema)?;
    let (when, then, otherwise) = match (is_and, two_valued) {
        (true, true) => (first, then, lit(false)),
        (false, true) => (first, lit(true), then),
        (true, false) => (
            Expr::IsFalse(Box::new(first.clone())),
            lit(false),
            first.and(then),
        ),
        (false, false) => (
            Expr::IsTrue(Box::new(first.clone())),
            lit(true),
            first.or(then),
        ),
    };
    Ok(Expr::Case(Case::new(
        None,
        vec![(Box::new(when), Box::new(then))],
        Some(Box::new(otherwise)),
    )))
}

/// Arguments of an aggregate are evaluated before its FILTER: those that can fail are evaluated where it holds.
///
/// This is done before anything is optimized: an argument that two aggregates share is computed once, below both.
pub(super) fn filtered(
    mut call: AggregateFunction,
    schema: &DFSchema,
) -> Result<AggregateFunction> {
    call.params.args = arguments(call.params.args, call.params.filter.as_deref(), schema)?;
    Ok(call)
}

/// As [`filtered`], over a window.
pub(super) fn filtered_window(
    mut call: WindowFunction,
    schema: &DFSchema,
) -> Result<WindowFunction> {
    call.params.args = arguments(call.params.args, call.params.filter.as_deref(), schema)?;
    Ok(call)
}

fn arguments(args: Vec<Expr>, filter: Option<&Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let Some(filter) = filter else {
        return Ok(args);
    };
    let guard = |arg: Expr| {
        if !can_raise(&arg, schema)? || is_guarded_by(&arg, filter) {
            return Ok(arg);
        }
        let when = (Box::new(filter.clone()), Box::new(arg));
        Ok(Expr::Case(Case::new(None, vec![when], None)))
    };
    args.into_iter().map(guard).collect()
}

fn is_guarded_by(arg: &Expr, filter: &Expr) -> bool {
    match arg {
        Expr::Case(case) => case
            .when_then_expr
            .first()
            .is_some_and(|(when, _)| when.as_ref() == filter),
        _ => false,
    }
}

/// Whether evaluating an expression may be an error for some row.
pub(super) fn can_raise(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut raises = false;
    expr.apply(|expr| {
        raises = raises_itself(expr, schema)?;
        Ok(if raises {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(raises)
}

fn raises_itself(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::Divide | Operator::Modulo,
            right,
            ..
        }) => Ok(!is_nonzero(right) && !expr.get_type(schema)?.is_floating()),
        Expr::ScalarFunction(call) => match call.func.name() {
            "checked_divide" | "checked_modulo" => {
                Ok(!call.args.iter().skip(1).all(is_nonzero) || call.args.len() < 2)
            }
            "checked_add" | "checked_subtract" | "checked_multiply" | "checked_negate" => {
                let t = expr.get_type(schema)?;
                Ok(t.is_integer() || matches!(t, DataType::Decimal128(MAX_DIGITS, _)))
            }
            name => Ok(REFUSING.contains(&name)),
        },
        Expr::Cast(cast) => {
            let (from, to) = (cast.expr.get_type(schema)?, cast.field.data_type());
            let text = |t: &DataType| {
                matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            };
            let narrows = from.is_integer()
                && to.is_integer()
                && from.primitive_width() >= to.primitive_width()
                && from != *to;
            Ok((text(&from) && !text(to)) || narrows || loses_digits(&from, to))
        }
        _ => Ok(false),
    }
}

/// Whether a decimal has fewer digits before the point than what is cast to it may have.
fn loses_digits(from: &DataType, to: &DataType) -> bool {
    let before_point = |t: &DataType| match t {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            Some(i16::from(*p) - i16::from(*s))
        }
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    };
    match (before_point(from), before_point(to)) {
        (Some(from), Some(room)) => to.is_decimal() && from > room,
        _ => false,
    }
}

fn is_nonzero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            !value.is_null()
                && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero != *value)
        }
        _ => false,
    }
}
