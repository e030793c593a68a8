//! How operators and types of a SQL text are planned.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast;

use super::texts;
use retail_functions::arithmetic;
use retail_functions::decimal::MAX_DIGITS;

/// Plans `+ - * / %` of integers and decimals, and dates minus dates, as functions that never lose a digit in silence.
///
/// The functions work for every type, because a type may still change: `CASE WHEN a THEN 0 ELSE price END` is an integer
/// until types are coerced.
#[derive(Debug)]
pub(super) struct NumericPlanner;

impl ExprPlanner for NumericPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(op) = operator(&expr.op) else {
            return Ok(PlannerResult::Original(expr));
        };
        let mut expr = expr;
        let (Ok(l), Ok(r)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        // A text beside a number is read as one of its type.
        if r.is_numeric()
            && let Some(text) = texts::literal(&expr.left)
        {
            expr.left = texts::read(text, &r);
        } else if l.is_numeric()
            && let Some(text) = texts::literal(&expr.right)
        {
            expr.right = texts::read(text, &l);
        }
        let (l, r) = (expr.left.get_type(schema)?, expr.right.get_type(schema)?);
        // What is known of a date minus a date counts seconds to the engine, and days are what it gives.
        let days = op == Operator::Minus && l == DataType::Date32 && r == DataType::Date32;
        let is_ours = days || is_exact(&l) && is_exact(&r);
        if !is_ours {
            return Ok(PlannerResult::Original(expr));
        }
        let left = with_own_digits(expr.left, &r);
        let right = with_own_digits(expr.right, &l);
        Ok(PlannerResult::Planned(arithmetic::call(op, left, right)))
    }
}

fn operator(op: &ast::BinaryOperator) -> Option<Operator> {
    match op {
        ast::BinaryOperator::Plus => Some(Operator::Plus),
        ast::BinaryOperator::Minus => Some(Operator::Minus),
        ast::BinaryOperator::Multiply => Some(Operator::Multiply),
        ast::BinaryOperator::Divide => Some(Operator::Divide),
        ast::BinaryOperator::Modulo => Some(Operator::Modulo),
        _ => None,
    }
}

/// Whether values of a type are exact numbers.
pub(super) fn is_exact(t: &DataType) -> bool {
    t.is_integer() || t.is_decimal()
}

/// `2` beside a decimal is a decimal of one digit, not of the twenty that any bigint may have: results stay narrow.
fn with_own_digits(expr: Expr, other: &DataType) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) if other.is_decimal() => {
            let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
            let value = ScalarValue::Decimal128(Some(i128::from(*value)), digits as u8, 0);
            Expr::Literal(value, metadata.clone())
        }
        _ => expr,
    }
}

/// Types whose names mean something else to the engine.
#[derive(Debug)]
pub(super) struct NumericTypes;

impl TypePlanner for NumericTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        use ast::DataType::{Dec, Decimal, Float, Numeric};
        use ast::ExactNumberInfo::{None as Bare, Precision, PrecisionAndScale};
        /// Most binary digits of a `real`.
        const REAL_DIGITS: u64 = 24;
        let planned = match sql_type {
            Float(Precision(digits)) if *digits <= REAL_DIGITS => DataType::Float32,
            Float(_) => DataType::Float64,
            Dec(info) | Decimal(info) | Numeric(info) => {
                let (precision, scale) = match *info {
                    Bare => return Ok(None),
                    Precision(precision) => (precision, 0),
                    PrecisionAndScale(precision, scale) => (precision, scale),
                };
                let fits = (1..=u64::from(MAX_DIGITS)).contains(&precision)
                    && (0..=precision as i64).contains(&scale);
                if !fits {
                    return plan_err!(
                        "{sql_type} is no type here: a decimal has 1 to {MAX_DIGITS} digits, and from none to all of them \
                         after the point"
                    );
                }
                DataType::Decimal128(precision as u8, scale as i8)
            }
            other => return super::postgres::type_of(other),
        };
        Ok(Some(Field::new("", planned, true).into()))
    }
}
