//! Which operator binds tighter: the parser reads `a IS DISTINCT FROM b AND c` as `a IS DISTINCT FROM (b AND c)`.
//!
//! What is in parentheses is [`Expr::Nested`] and stays. All else is put right from the leaves up: a comparison takes its side
//! out of the AND or OR that it got, and the ANDs and NOTs around do the same.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// Makes one of the two comparisons again over other sides.
type Rebuild = fn(Box<Expr>, Box<Expr>) -> Expr;

/// `a IS DISTINCT FROM (b AND c)` as `(a IS DISTINCT FROM b) AND c`.
pub(super) fn distinct_first(expr: &mut Expr) -> Option<Expr> {
    let (left, right, rebuild): (_, _, Rebuild) = match expr {
        Expr::IsDistinctFrom(left, right) => (left, right, Expr::IsDistinctFrom),
        Expr::IsNotDistinctFrom(left, right) => (left, right, Expr::IsNotDistinctFrom),
        _ => return None,
    };
    if !is_junction(right) {
        return None;
    }
    let (left, right) = (take(left), take(right));
    Some(into_leftmost(right, &mut |side| {
        rebuild(Box::new(left.clone()), Box::new(side))
    }))
}

/// `a AND (b OR c)` as `(a AND b) OR c`, and `NOT (a AND b)` as `(NOT a) AND b`, where there are no parentheses.
pub(super) fn tighter(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } if is(right, &BinaryOperator::Or) => {
            let (left, right) = (take(left), take(right));
            let Expr::BinaryOp {
                left: first,
                right: second,
                ..
            } = right
            else {
                return None;
            };
            let mut first = junction(left, BinaryOperator::And, *first);
            if let Some(changed) = tighter(&mut first) {
                first = changed;
            }
            Some(junction(first, BinaryOperator::Or, *second))
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: of,
        } if is_junction(of) => Some(into_leftmost(take(of), &mut |side| Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(side),
        })),
        _ => None,
    }
}

/// Changes the leftmost side of ANDs and ORs that are not in parentheses.
fn into_leftmost(expr: Expr, change: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    match expr {
        Expr::BinaryOp { left, op, right }
            if matches!(op, BinaryOperator::And | BinaryOperator::Or) =>
        {
            junction(into_leftmost(*left, change), op, *right)
        }
        side => change(side),
    }
}

fn junction(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn is(expr: &Expr, operator: &BinaryOperator) -> bool {
    matches!(expr, Expr::BinaryOp { op, .. } if op == operator)
}

fn is_junction(expr: &Expr) -> bool {
    is(expr, &BinaryOperator::And) || is(expr, &BinaryOperator::Or)
}

fn take(expr: &mut Box<Expr>) -> Expr {
    std::mem::replace(expr.as_mut(), Expr::value(Value::Null))
}
