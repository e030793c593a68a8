//! Keeps conditions that can fail on the side of a join that they were written for.
//!
//! Where `p.k = s.k`, DataFusion copies a condition on `p.k` to `s.k`, so that both sides have fewer rows. A copy of
//! `10 / (p.k - 2) > 0` is evaluated for rows of `s` that no condition on `p` has kept out, and fails there. A key that such a
//! condition reads is hidden under an alias while conditions are pushed; all others are still copied.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};

use super::guard::can_raise;

/// The name of a hidden key.
const HIDDEN: &str = "__key";

/// A join, or a filter over one, with the keys hidden that conditions which can fail read; whether there are some.
///
/// # Errors
/// A condition has no type.
pub(crate) fn hide_keys(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    match plan {
        LogicalPlan::Join(join) => {
            let (join, hidden) = hide(join, None)?;
            Ok((LogicalPlan::Join(join), hidden))
        }
        LogicalPlan::Filter(filter) => {
            let LogicalPlan::Join(join) = filter.input.as_ref() else {
                return Ok((LogicalPlan::Filter(filter), false));
            };
            let (join, hidden) = hide(join.clone(), Some(&filter.predicate))?;
            if !hidden {
                return Ok((LogicalPlan::Filter(filter), false));
            }
            let over = Filter::try_new(filter.predicate, Arc::new(LogicalPlan::Join(join)))?;
            Ok((LogicalPlan::Filter(over), true))
        }
        plan => Ok((plan, false)),
    }
}

/// What [`hide_keys`] hid, shown again.
///
/// # Errors
/// The filter cannot be built again.
pub(crate) fn show_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Join(mut join) => {
            for (key, _) in &mut join.on {
                if let Expr::Alias(alias) = key
                    && alias.name == HIDDEN
                {
                    *key = alias.expr.as_ref().clone();
                }
            }
            Ok(LogicalPlan::Join(join))
        }
        LogicalPlan::Filter(filter) => {
            let input = show_keys(filter.input.as_ref().clone())?;
            let over = Filter::try_new(filter.predicate, Arc::new(input))?;
            Ok(LogicalPlan::Filter(over))
        }
        plan => Ok(plan),
    }
}

fn hide(mut join: Join, above: Option<&Expr>) -> Result<(Join, bool)> {
    let mut read: HashSet<Column> = HashSet::new();
    let schema = join.left.schema().join(join.right.schema())?;
    for predicate in join.filter.iter().chain(above) {
        for condition in split_conjunction(predicate) {
            if can_raise(condition, &schema)? {
                read.extend(condition.column_refs().into_iter().cloned());
            }
        }
    }
    let mut hidden = false;
    for (left, right) in &mut join.on {
        let reads = |key: &Expr| key.try_as_col().is_some_and(|column| read.contains(column));
        if reads(left) || reads(right) {
            *left = left.clone().alias(HIDDEN);
            hidden = true;
        }
    }
    Ok((join, hidden))
}

#[cfg(test)]
mod tests {
    use crate::tests::{check, check_within};

    const SHOP: &str = "with s(id, k, q) as (values (1, 1, 2), (2, 2, 1), (3, 4, 3)), p(k, kind) as (values (1, 'food'), (2, 'toys'), (4, 'food')) ";

    #[tokio::test]
    async fn a_text_is_read_as_a_day_where_the_conditions_say_it_is_one() {
        check(&[
            ("select y from t where word = '2024-02-30' and word::date > '2024-01-01'", ""),
            ("select y from t where y > 30 and to_date(word || '2024', 'YYYY') = '2024-01-01' order by y", "40"),
            ("select a.y from t a join t b on a.y = b.y where a.word = 'none' and b.word::timestamp > '2024-01-01'", ""),
            ("select y from t where case when x > 5 then word::date > '2024-01-01' end", ""),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_row_that_a_condition_keeps_out_of_one_side_fails_on_neither() {
        let cases = [
            (
                "select id from s join p on s.k = p.k where p.kind = 'food' and 10 / (p.k - 2) > 0",
                "3",
            ),
            (
                "select id from s join (select * from p where k <> 2) p on s.k = p.k and 10 / (p.k - 2) > 0",
                "3",
            ),
            (
                "select id from s right join (select * from p where k <> 2) p on s.k = p.k and 10 / (p.k - 2) > 0 order by p.k",
                "NULL | 3",
            ),
            (
                "select id from s left join p on s.k = p.k and p.kind = 'food' and 10 / (p.k - 2) > 0 order by id",
                "1 | 2 | 3",
            ),
            (
                "select id from s where k in (select k from p where kind = 'food' and 10 / (k - 2) > 0)",
                "3",
            ),
            (
                "select id from s where exists (select 1 from p where p.k = s.k and p.kind = 'food' and 10 / (p.k - 2) > 0)",
                "3",
            ),
            (
                "select id from (select * from s where q <> 1) s join (select * from p where k <> 2) p on s.k = p.k and 10 / (p.k - 2) / (s.q - 1) > 0",
                "3",
            ),
            (
                "select id from s join (select * from p where kind = 'food') good on good.k = s.k where 10 / (good.k - 2) > 0",
                "3",
            ),
            (
                "select id from s join p on s.k = p.k where s.k > 1 and p.kind = 'food' order by id",
                "3",
            ),
        ];
        check_within(SHOP, "", &cases).await;
    }
}
