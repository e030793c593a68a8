//! Positions of the SELECT list within ROLLUP, CUBE and GROUPING SETS, which the engine takes for numbers.

use datafusion::common::{Result, plan_datafusion_err};
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem, Value};

/// Puts what stands at each position in its place.
///
/// # Errors
/// A position that the SELECT list does not have.
pub(super) fn positions(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return Ok(());
    };
    for group in groups {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = group else {
            continue;
        };
        for key in sets.iter_mut().flatten() {
            if let Some(position) = position(key) {
                *key = item(&select.projection, position)?;
            }
        }
    }
    Ok(())
}

fn position(key: &Expr) -> Option<usize> {
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) => position(inner),
        _ => None,
    }
}

fn item(items: &[SelectItem], position: usize) -> Result<Expr> {
    let item = position.checked_sub(1).and_then(|at| items.get(at));
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            Ok(expr.clone())
        }
        Some(_) => Err(plan_datafusion_err!(
            "GROUP BY position {position} is a *; name the columns"
        )),
        None => Err(plan_datafusion_err!(
            "GROUP BY position {position} is not in the SELECT list, which has {}",
            items.len()
        )),
    }
}
