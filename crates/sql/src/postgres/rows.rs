//! Comparisons of rows, with the elements of an array, with several patterns, and of either order, in plainer words.
//!
//! | written | read as |
//! |---|---|
//! | `(a, b) = (c, d)`, `<` and their kin, `IN ((c, d), …)` | comparisons of columns: NULL in one of them is unknown |
//! | `x = ANY (ARRAY[a, b])`, `x <> ALL (ARRAY[a, b])` | `x IN (a, b)`, `x NOT IN (a, b)` |
//! | `x > ANY (xs)` | `NOT (x <= ALL (xs))`, which the engine answers with unknown where it is |
//! | `x LIKE ANY (ARRAY[a, b])`, `LIKE ALL`, and ILIKE | `x LIKE a OR x LIKE b`, `AND` |

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, UnaryOperator, Value,
};

use super::ast::plain_args;

/// A comparison of two rows, by their columns; `None` where a side is not a row.
///
/// # Errors
/// The rows have different numbers of columns.
pub(super) fn compared(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Option<Expr>> {
    let (Some(left), Some(right)) = (row(left), row(right)) else {
        return Ok(None);
    };
    same_length(left.len(), right.len())?;
    let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
    let strict = match op {
        BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::Gt | BinaryOperator::GtEq => BinaryOperator::Gt,
        BinaryOperator::Eq => return Ok(joined(pairs, op, &BinaryOperator::And)),
        BinaryOperator::NotEq => return Ok(joined(pairs, op, &BinaryOperator::Or)),
        _ => return Ok(None),
    };
    // (a, b) < (c, d): a < c OR (a = c AND b < d)
    let mut pairs = pairs.into_iter().rev();
    let Some((l, r)) = pairs.next() else {
        return Ok(None);
    };
    let mut holds = binary(l, op.clone(), r);
    for (l, r) in pairs {
        let equal = binary(l.clone(), BinaryOperator::Eq, r.clone());
        let then = binary(equal, BinaryOperator::And, holds);
        holds = binary(binary(l, strict.clone(), r), BinaryOperator::Or, then);
    }
    Ok(Some(holds))
}

/// `(a, b) IN ((c, d), …)`; `None` where the left side is not a row.
///
/// # Errors
/// The rows have different numbers of columns.
pub(super) fn in_list(of: &Expr, list: &[Expr], negated: bool) -> Result<Option<Expr>> {
    if row(of).is_none() {
        return Ok(None);
    }
    let mut any: Option<Expr> = None;
    for item in list {
        let Some(equal) = compared(of, &BinaryOperator::Eq, item)? else {
            return plan_err!("a row is compared with rows: write {of} IN ((…, …), (…, …))");
        };
        any = Some(match any {
            None => equal,
            Some(any) => binary(any, BinaryOperator::Or, equal),
        });
    }
    Ok(any.map(|any| if negated { not(any) } else { any }))
}

/// `x op ANY (…)` and `ALL`; `None` where the engine's own answer is right.
pub(super) fn quantified(
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
    is_any: bool,
) -> Option<Expr> {
    let of = || Box::new(left.clone());
    match (elements(right), op, is_any) {
        (_, _, _) if matches!(right, Expr::Subquery(_)) => return None,
        (Some(list), BinaryOperator::Eq, true) => {
            return Some(Expr::InList {
                expr: of(),
                list,
                negated: false,
            });
        }
        (Some(list), BinaryOperator::NotEq, false) => {
            return Some(Expr::InList {
                expr: of(),
                list,
                negated: true,
            });
        }
        (_, _, false) => return None,
        _ => {}
    }
    let opposite = match op {
        BinaryOperator::Eq => BinaryOperator::NotEq,
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    };
    Some(not(Expr::AllOp {
        left: of(),
        compare_op: opposite,
        right: Box::new(right.clone()),
    }))
}

/// `x LIKE ANY (ARRAY[…])` or `LIKE ALL (ARRAY[…])` as one LIKE per pattern; `None` for a LIKE of one pattern.
///
/// # Errors
/// The patterns are not written out.
pub(super) fn like_each(like: &Expr) -> Result<Option<Expr>> {
    let (Expr::Like {
        any,
        pattern,
        negated,
        ..
    }
    | Expr::ILike {
        any,
        pattern,
        negated,
        ..
    }) = like
    else {
        return Ok(None);
    };
    let (patterns, joint) = match pattern.as_ref() {
        Expr::Function(function) if is_named(function, "all") && !any => match plain_args(function)
        {
            Some(args) if args.len() == 1 => (elements(&args[0]), BinaryOperator::And),
            _ => (None, BinaryOperator::And),
        },
        pattern if *any => (elements(pattern), BinaryOperator::Or),
        _ => return Ok(None),
    };
    let word = if matches!(like, Expr::Like { .. }) {
        "LIKE"
    } else {
        "ILIKE"
    };
    let Some(patterns) = patterns else {
        return plan_err!(
            "{}{word} {} takes an array that is written out, ARRAY['a%', 'b%']; for others write EXISTS (SELECT 1 FROM \
             unnest(patterns) p WHERE x {word} p)",
            if *negated { "NOT " } else { "" },
            if *any { "ANY" } else { "ALL" }
        );
    };
    let each = patterns.into_iter().map(|one| {
        let mut like = like.clone();
        if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
            *any = false;
            **pattern = one;
        }
        like
    });
    Ok(each
        .reduce(|all, one| binary(all, joint.clone(), one))
        .map(|all| Expr::Nested(Box::new(all))))
}

/// `x BETWEEN SYMMETRIC a AND b`.
pub(super) fn symmetric(of: Expr, negated: bool, one: Expr, other: Expr) -> Expr {
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(of.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let either = binary(
        between(&one, &other),
        BinaryOperator::Or,
        between(&other, &one),
    );
    if negated { not(either) } else { either }
}

/// The columns of `(a, b)` or `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(columns) => Some(columns.clone()),
        Expr::Nested(inner) => row(inner),
        Expr::Function(function) if is_named(function, "row") => plain_args(function),
        _ => None,
    }
}

/// The elements of `ARRAY[a, b]`, if there are some.
fn elements(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) if !array.elem.is_empty() => Some(array.elem.clone()),
        Expr::Nested(inner) => elements(inner),
        _ => None,
    }
}

fn is_named(function: &Function, name: &str) -> bool {
    matches!(function.args, FunctionArguments::List(_))
        && function.name.to_string().eq_ignore_ascii_case(name)
}

fn same_length(left: usize, right: usize) -> Result<()> {
    if left == right {
        return Ok(());
    }
    plan_err!("a row of {left} columns is compared with one of {right}")
}

fn joined(pairs: Vec<(Expr, Expr)>, op: &BinaryOperator, joint: &BinaryOperator) -> Option<Expr> {
    pairs
        .into_iter()
        .map(|(l, r)| binary(l, op.clone(), r))
        .reduce(|all, one| binary(all, joint.clone(), one))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

fn not(of: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(Expr::Nested(Box::new(of))),
    }))
}

/// NULL, in place of what was taken.
pub(super) fn null() -> Expr {
    Expr::value(Value::Null)
}
