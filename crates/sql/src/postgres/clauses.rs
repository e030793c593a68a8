//! Refuses what PostgreSQL's grammar does, and the engine takes for something else or fails at too late.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, Query, TableFactor, TableWithJoins, Visitor,
};

use crate::walk;

/// Refuses a join whose condition was forgotten: the engine would pair every row with every other.
///
/// # Errors
/// A join other than CROSS JOIN has no ON, USING or NATURAL.
pub(super) fn joins_have_conditions(from: &[TableWithJoins]) -> Result<()> {
    for item in from {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &item.relation
        {
            joins_have_conditions(std::slice::from_ref(table_with_joins))?;
        }
        for join in &item.joins {
            if let JoinOperator::Join(JoinConstraint::None)
            | JoinOperator::Inner(JoinConstraint::None)
            | JoinOperator::Left(JoinConstraint::None)
            | JoinOperator::LeftOuter(JoinConstraint::None)
            | JoinOperator::Right(JoinConstraint::None)
            | JoinOperator::RightOuter(JoinConstraint::None)
            | JoinOperator::FullOuter(JoinConstraint::None) = &join.join_operator
            {
                let name = match &join.relation {
                    TableFactor::Table { name, .. } => format!("of '{name}' "),
                    _ => String::new(),
                };
                return plan_err!(
                    "the join {name}has no condition; write ON … or USING (…), or CROSS JOIN for all pairs of rows"
                );
            }
        }
    }
    Ok(())
}

/// Refuses a window function where rows are still being chosen.
///
/// # Errors
/// The condition has one.
pub(super) fn no_window(clause: &str, condition: &Expr) -> Result<()> {
    let mut windows = Windows {
        below: 0,
        found: None,
    };
    let _ = walk::visit(condition, &mut windows);
    match windows.found {
        Some(name) => plan_err!(
            "{clause} cannot have the window function '{name}': windows are computed from the rows that it leaves; filter with \
             QUALIFY, or in a query around this one"
        ),
        None => Ok(()),
    }
}

struct Windows {
    /// How many subqueries are open.
    below: usize,
    found: Option<String>,
}

impl Visitor for Windows {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.below += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.below -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.below == 0 && function.over.is_some() => {
                self.found = Some(function.name.to_string());
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::check;

    #[tokio::test]
    async fn a_clause_that_cannot_mean_what_is_written_is_refused() {
        check(&[
            ("select * from t join cents", "error: the join of 'cents' has no condition; write ON"),
            ("select count(*) from t a left join t b", "error: the join of 't' has no condition"),
            ("select count(*) from t cross join t b", "16"),
            ("select count(*) from t a join t b using (y)", "4"),
            ("select y from t where row_number() over (order by y) = 1", "error: WHERE cannot have the window function 'row_number'"),
            ("select y from t where y = (select max(r) * 10 from (select row_number() over (order by y) r from t) n)", "40"),
            ("select date '2024-01-01' > 5", "error: date and bigint cannot be compared"),
            ("select x from t where date '2024-01-01' in (x, y)", "error: date and integer cannot be compared"),
        ])
        .await;
    }
}
