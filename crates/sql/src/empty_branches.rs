//! A union of which one branch is left keeps its names.
//!
//! DataFusion 55 replaces a union by its last branch that is not empty, and reads that branch's columns by the names of the
//! union, which are those of the first branch: `(select 1 as a where false) union (select 2 as b)` has no column `a` then.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Union};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// [`PropagateEmptyRelation`], but a union's last branch is given the union's names.
#[derive(Debug, Default)]
pub(crate) struct NamedBranches {
    theirs: PropagateEmptyRelation,
}

impl OptimizerRule for NamedBranches {
    fn name(&self) -> &str {
        self.theirs.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.theirs.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Union(union) = &plan
            && let Some(last) = last_branch(union)
        {
            return Ok(Transformed::yes(under_names_of(union, last)?));
        }
        self.theirs.rewrite(plan, config)
    }
}

/// The one branch that is not empty, where it is not the only one.
fn last_branch(union: &Union) -> Option<&Arc<LogicalPlan>> {
    let is_empty = |branch: &LogicalPlan| match branch {
        LogicalPlan::EmptyRelation(empty) => !empty.produce_one_row,
        _ => false,
    };
    let mut left = union.inputs.iter().filter(|branch| !is_empty(branch));
    let last = left.next()?;
    (left.next().is_none() && union.inputs.len() > 1).then_some(last)
}

fn under_names_of(union: &Union, branch: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let columns = branch.schema().iter().zip(union.schema.iter());
    let columns = columns.map(|(own, (qualifier, field))| {
        Expr::Column(Column::from(own)).alias_qualified(qualifier.cloned(), field.name())
    });
    let projection = Projection::try_new_with_schema(
        columns.collect(),
        Arc::clone(branch),
        Arc::clone(&union.schema),
    )?;
    Ok(LogicalPlan::Projection(projection))
}

#[cfg(test)]
mod tests {
    use retail_engine::testing::rows;

    #[tokio::test]
    async fn a_union_whose_first_branch_is_empty_has_its_names() {
        let query = "((select 1 as a where false) union (select 3 as b from (values (7)) as t(x) order by 1 limit 5))
            intersect (select 3 as c)";
        assert_eq!(rows(query).await, ["3"]);
    }
}
