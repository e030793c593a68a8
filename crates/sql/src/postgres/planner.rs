//! How operators of dates and intervals, and the types of times, are planned.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator};

use super::super::texts;
use retail_functions::is_text;
use retail_functions::time;
use retail_functions::time::interval::{INTERVAL, is_interval};

/// Plans what PostgreSQL means by operators of times:
///
/// | operator | answer |
/// |---|---|
/// | date + interval, date - interval | timestamp |
/// | interval * number, interval / number | interval; what is left of a month becomes days |
/// | interval = interval, <, > … | by length, a month being 30 days |
#[derive(Debug)]
pub(crate) struct TimePlanner;

impl ExprPlanner for TimePlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let original = |left, right| {
            Ok(PlannerResult::Original(RawBinaryExpr {
                op: op.clone(),
                left,
                right,
            }))
        };
        let (Ok(l), Ok(r)) = (left.get_type(schema), right.get_type(schema)) else {
            return original(left, right);
        };
        // A text beside an interval is one.
        let (left, l) = as_interval(left, l, &r);
        let (right, r) = as_interval(right, r, &l);
        // A text from which a day or moment is taken, or that is taken from one, is one.
        let (left, l) = as_moment(left, l, &r, &op);
        let (right, r) = as_moment(right, r, &l, &op);
        if let Some(compared) = comparison(&op)
            && (is_interval(&l) || is_interval(&r))
        {
            return match (is_interval(&l), is_interval(&r)) {
                (true, true) => Ok(PlannerResult::Planned(binary(
                    length(left),
                    compared,
                    length(right),
                ))),
                _ => original(left, right),
            };
        }
        let planned = match op {
            BinaryOperator::Multiply if is_interval(&l) && r.is_numeric() => {
                time::interval_times().call(vec![left, right])
            }
            BinaryOperator::Multiply if l.is_numeric() && is_interval(&r) => {
                time::interval_times().call(vec![right, left])
            }
            BinaryOperator::Divide if is_interval(&l) && r.is_numeric() => {
                time::interval_over().call(vec![left, right])
            }
            BinaryOperator::Plus if is_date(&l) && is_interval(&r) => {
                binary(as_timestamp(left), Operator::Plus, interval(right, &r))
            }
            BinaryOperator::Plus if is_interval(&l) && (is_date(&r) || is_timestamp(&r)) => {
                let moment = if is_date(&r) {
                    as_timestamp(right)
                } else {
                    right
                };
                binary(moment, Operator::Plus, interval(left, &l))
            }
            BinaryOperator::Minus if is_date(&l) && is_interval(&r) => {
                binary(as_timestamp(left), Operator::Minus, interval(right, &r))
            }
            BinaryOperator::Plus | BinaryOperator::Minus
                if is_interval(&l) && is_interval(&r) && l != r =>
            {
                let operator = if matches!(op, BinaryOperator::Plus) {
                    Operator::Plus
                } else {
                    Operator::Minus
                };
                binary(interval(left, &l), operator, interval(right, &r))
            }
            // A day is not a timestamp: the difference of two kinds is one of timestamps.
            BinaryOperator::Minus if is_date(&l) && is_timestamp(&r) => {
                binary(as_timestamp(left), Operator::Minus, right)
            }
            BinaryOperator::Minus if is_timestamp(&l) && is_date(&r) => {
                binary(left, Operator::Minus, as_timestamp(right))
            }
            _ => return original(left, right),
        };
        Ok(PlannerResult::Planned(planned))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let date_part = time::functions()
            .into_iter()
            .find(|f| f.name() == "date_part");
        match date_part {
            Some(function) => Ok(PlannerResult::Planned(Expr::ScalarFunction(
                ScalarFunction::new_udf(function, args),
            ))),
            None => Ok(PlannerResult::Original(args)),
        }
    }
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn is_date(t: &DataType) -> bool {
    matches!(t, DataType::Date32 | DataType::Date64)
}

fn is_timestamp(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(..))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// What an interval is compared by.
pub(super) fn length(interval: Expr) -> Expr {
    time::interval_length().call(vec![interval])
}

fn as_timestamp(date: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(date), time::wall_clock_and_moment().0))
}

/// A duration as an interval: the engine adds those to a date.
fn interval(expr: Expr, t: &DataType) -> Expr {
    if *t == INTERVAL {
        return expr;
    }
    Expr::Cast(Cast::new(Box::new(expr), INTERVAL))
}

fn as_interval(expr: Expr, t: DataType, beside: &DataType) -> (Expr, DataType) {
    if is_interval(beside)
        && is_text(&t)
        && let Expr::Literal(value, _) = &expr
        && let Some(interval) = value.try_as_str().flatten().and_then(time::read_interval)
    {
        return (Expr::Literal(interval, None), INTERVAL);
    }
    (expr, t)
}

fn as_moment(expr: Expr, t: DataType, beside: &DataType, op: &BinaryOperator) -> (Expr, DataType) {
    if matches!(op, BinaryOperator::Minus)
        && (is_date(beside) || is_timestamp(beside))
        && let Some(text) = texts::literal(&expr)
        && time::read_interval(text).is_none()
    {
        return (texts::read(text, beside), beside.clone());
    }
    (expr, t)
}

/// The types whose names mean something else to the engine; `None` for all others.
///
/// # Errors
/// PostgreSQL has no such type, or the engine has none like it.
pub(crate) fn type_of(sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
    use ast::DataType as Sql;
    use ast::TimezoneInfo;
    let (wall, moment) = time::wall_clock_and_moment();
    let planned = match sql_type {
        Sql::Timestamp(precision, zone) => {
            if precision.is_some_and(|p| p > 6) {
                return plan_err!(
                    "{sql_type} is no type here: a timestamp has microseconds, at most 6 digits"
                );
            }
            match zone {
                TimezoneInfo::Tz | TimezoneInfo::WithTimeZone => moment,
                _ => wall,
            }
        }
        Sql::TimestampNtz { .. } | Sql::Datetime(None) => wall,
        Sql::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time64(TimeUnit::Microsecond)
        }
        Sql::Character(None)
        | Sql::CharacterVarying(None)
        | Sql::CharVarying(None)
        | Sql::Nvarchar(None) => DataType::Utf8,
        Sql::JSON | Sql::JSONB => {
            return plan_err!(
                "there is no type {sql_type} here; declare the fields as columns of the source, or keep the text as varchar"
            );
        }
        _ => return Ok(None),
    };
    Ok(Some(Arc::new(datafusion::arrow::datatypes::Field::new(
        "", planned, true,
    ))))
}

/// Casts of text and times that the engine does otherwise: the call in place of the cast.
///
/// # Errors
/// The type has no null.
pub(super) fn cast(
    expr: Expr,
    from: &DataType,
    to: &DataType,
    tries: bool,
) -> Result<Option<Expr>> {
    let is_time = |t: &DataType| is_timestamp(t) || is_date(t);
    if is_text(from) && is_time(to) {
        let none = Expr::Literal(ScalarValue::try_new_null(to)?, None);
        let tries = Expr::Literal(ScalarValue::Boolean(Some(tries)), None);
        return Ok(Some(time::moment_from_text().call(vec![expr, none, tries])));
    }
    if is_timestamp(from) && matches!(to, DataType::Time64(TimeUnit::Microsecond)) {
        return Ok(Some(time::time_of_day().call(vec![expr])));
    }
    if is_text(to) && (is_timestamp(from) || is_interval(from)) {
        let text = time::text_of().call(vec![expr]);
        return Ok(Some(if *to == DataType::Utf8 {
            text
        } else {
            Expr::Cast(Cast::new(Box::new(text), to.clone()))
        }));
    }
    Ok(None)
}
