//! Numbers of a SQL text, before they are planned.
//!
//! The planner reads a number with a point as a decimal; it would do so with `1e3` too, which is written to be a double, and
//! it would give integers beyond bigint an unsigned type that no table can hold.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Diagnostic, Result, Span, plan_datafusion_err};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value, ValueWithSpan, VisitorMut,
};

use crate::walk;

use retail_functions::decimal::MAX_DIGITS;

/// Makes doubles of numbers with an exponent and decimals of integers beyond bigint.
///
/// # Errors
/// A number has more than 38 digits.
pub(super) fn exact_numbers(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Explain(explain) => exact_numbers(&mut explain.statement),
        Statement::Statement(statement) => match walk::visit_mut(statement.as_mut(), &mut Exact) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        },
        _ => Ok(()),
    }
}

struct Exact;

impl VisitorMut for Exact {
    type Break = Box<DataFusionError>;

    /// Children come before their parents.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match exact(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn exact(expr: &mut Expr) -> std::result::Result<(), Box<DataFusionError>> {
    if let Some(least) = least_bigint(expr) {
        *expr = least;
        return Ok(());
    }
    let Expr::Value(value) = expr else {
        return Ok(());
    };
    let Value::Number(text, long) = &value.value else {
        return Ok(());
    };
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let span = value.span;
    if digits.contains(['e', 'E']) {
        *expr = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(Expr::Value(ValueWithSpan {
                value: Value::SingleQuotedString(digits),
                span,
            })),
            data_type: DataType::Double(ExactNumberInfo::None),
            array: false,
            format: None,
        };
        return Ok(());
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits.as_str(), ""));
    let size = whole.trim_start_matches('0').len() + fraction.len();
    if size > usize::from(MAX_DIGITS) {
        return Err(Box::new(too_long(size, span)));
    }
    if !digits.contains('.') && digits.parse::<i64>().is_err() {
        let value = Value::Number(format!("{digits}."), *long);
        *expr = Expr::Value(ValueWithSpan { value, span });
    }
    Ok(())
}

/// `-9223372036854775808` is a bigint, though its digits alone are not.
fn least_bigint(expr: &Expr) -> Option<Expr> {
    let Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: inner,
    } = expr
    else {
        return None;
    };
    let Expr::Value(value) = inner.as_ref() else {
        return None;
    };
    let Value::Number(text, long) = &value.value else {
        return None;
    };
    let whole = text.strip_suffix('.')?;
    if whole.parse::<u64>() != Ok(i64::MIN.unsigned_abs()) {
        return None;
    }
    Some(Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: Box::new(Expr::Value(ValueWithSpan {
            value: Value::Number(whole.to_string(), *long),
            span: value.span,
        })),
    })
}

fn too_long(digits: usize, span: datafusion::sql::sqlparser::tokenizer::Span) -> DataFusionError {
    let message = format!(
        "a number has {digits} digits; a decimal holds at most {MAX_DIGITS}: write it as text, or as a double with an \
         exponent (1e0)"
    );
    let span = Span::try_from_sqlparser_span(span);
    plan_datafusion_err!("{message}").with_diagnostic(Diagnostic::new_error(message, span))
}
