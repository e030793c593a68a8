//! EXISTS, IN, ANY and ALL of a correlated aggregate without GROUP BY.
//!
//! Such a subquery has one row for every outer row, also where none of its own match: `EXISTS (SELECT count(*) …)` is true. The
//! engine's semi joins see no row there, so the row's value is compared instead, where HAVING lets it be.

use std::sync::Arc;

use datafusion::common::{Result, not_impl_err};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Subquery, binary_expr, lit, when,
};

use super::keys::reads_outer;

/// The predicate by the value of its subquery's one row; `None` where the subquery is of another kind.
///
/// # Errors
/// The aggregate is inside another query of the subquery, where its row cannot be distinguished from no row.
pub(super) fn compared(predicate: &Expr) -> Result<Option<Expr>> {
    Ok(match predicate {
        Expr::Exists(Exists { subquery, negated }) => {
            Lone::of(subquery)?.map(|lone| negated_if(*negated, lone.stays.unwrap_or(lit(true))))
        }
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) => match Lone::of(subquery)? {
            Some(lone) => {
                let equal = expr.as_ref().clone().eq(lone.value);
                let is_in = where_it_stays(lone.stays, equal, false)?;
                Some(negated_if(*negated, is_in))
            }
            None => None,
        },
        Expr::SetComparison(SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        }) => match Lone::of(subquery)? {
            Some(lone) => {
                let holds = binary_expr(expr.as_ref().clone(), *op, lone.value);
                let of_none = matches!(quantifier, SetQuantifier::All);
                Some(where_it_stays(lone.stays, holds, of_none)?)
            }
            None => None,
        },
        _ => None,
    })
}

struct Lone {
    /// The first column.
    value: Expr,
    /// Whether HAVING keeps the row.
    stays: Option<Expr>,
}

impl Lone {
    fn of(of: &Subquery) -> Result<Option<Self>> {
        if of.outer_ref_columns.is_empty() {
            return Ok(None);
        }
        let mut having = None;
        let (plan, exprs) = match of.subquery.as_ref() {
            LogicalPlan::Projection(projection) => {
                (projection.input.as_ref(), Some(&projection.expr))
            }
            plan => (plan, None),
        };
        let plan = match plan {
            LogicalPlan::Filter(filter) => {
                having = Some(filter.predicate.clone());
                filter.input.as_ref()
            }
            plan => plan,
        };
        if !is_lone(plan) {
            if hides_one(of.subquery.as_ref(), true) {
                return not_impl_err!(
                    "an aggregate without GROUP BY inside another query of EXISTS or IN cannot be planned where it reads the \
                     query around it; compare the aggregate itself, such as x = (SELECT max(y) …)"
                );
            }
            return Ok(None);
        }
        let scalar = |expr: Expr| -> Result<Expr> {
            let plan = LogicalPlanBuilder::from(plan.clone())
                .project([expr])?
                .build()?;
            Ok(Expr::ScalarSubquery(subquery(plan)))
        };
        let first = match exprs.and_then(|exprs| exprs.first()) {
            Some(expr) => expr.clone(),
            None => Expr::from(plan.schema().qualified_field(0)),
        };
        Ok(Some(Self {
            value: scalar(first)?,
            stays: having
                .map(|having| scalar(having).map(|stays| Expr::IsTrue(Box::new(stays))))
                .transpose()?,
        }))
    }
}

/// A subquery of a plan.
pub(super) fn subquery(plan: LogicalPlan) -> Subquery {
    Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: datafusion::common::Spans::new(),
    }
}

fn is_lone(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(a) if a.group_expr.is_empty()) && reads_outer(plan)
}

/// Whether a query of one such row is inside another, which does not aggregate it again.
fn hides_one(plan: &LogicalPlan, top: bool) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) if !top => false,
        plan => plan
            .inputs()
            .into_iter()
            .any(|input| is_lone(input) || hides_one(input, false)),
    }
}

fn where_it_stays(stays: Option<Expr>, holds: Expr, otherwise: bool) -> Result<Expr> {
    match stays {
        None => Ok(holds),
        Some(stays) => when(stays, holds).otherwise(lit(otherwise)),
    }
}

fn negated_if(negated: bool, of: Expr) -> Expr {
    if negated { !of } else { of }
}

#[cfg(test)]
mod tests {
    use crate::tests::check_within;

    const CUSTOMERS: &str = "with s(id, c) as (values (1, 1), (2, 1), (3, 2)), o(k) as (values (1), (2), (3)) select k from o where ";

    #[tokio::test]
    async fn an_aggregate_of_no_rows_is_still_a_row() {
        let cases = [
            (
                "exists (select count(*) from s where s.c = o.k)",
                "1 | 2 | 3",
            ),
            ("not exists (select count(*) from s where s.c = o.k)", ""),
            (
                "exists (select 1 from s where s.c = o.k having count(*) = 0)",
                "3",
            ),
            (
                "not exists (select 1 from s where s.c = o.k having count(*) > 1)",
                "2 | 3",
            ),
            ("0 in (select count(*) from s where s.c = o.k)", "3"),
            ("0 not in (select count(*) from s where s.c = o.k)", "1 | 2"),
            (
                "2 in (select count(*) from s where s.c = o.k having max(id) > 1)",
                "1",
            ),
            ("5 in (select max(id) from s where s.c = o.k)", ""),
            (
                "(5 in (select max(id) from s where s.c = o.k)) is null",
                "3",
            ),
            ("1 < all (select count(*) from s where s.c = o.k)", "1"),
            ("1 > any (select count(*) from s where s.c = o.k)", "3"),
        ];
        check_within(CUSTOMERS, " order by k", &cases).await;
    }
}
