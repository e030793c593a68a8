//! The logical node of a write.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore, cast,
};

use super::result::write_result_schema;
use super::target::{WriteSpec, WriteTarget};
use crate::error::{LakehouseError, Result};

/// Wraps a query so that running it writes its rows as data files of `target`.
///
/// Columns are matched by position, which is how `target` was made from the same query, and cast to the
/// table's types. The plan returns [`write_result_schema`], one row per file.
///
/// # Errors
/// A column cannot be cast to its type in the table.
pub fn write_plan(target: &WriteTarget, input: LogicalPlan) -> Result<LogicalPlan> {
    let engine = |source| LakehouseError::Engine {
        doing: "plan the write",
        source: Box::new(source),
    };
    let wanted = target.arrow_schema();
    let columns = input
        .schema()
        .iter()
        .map(|(qualifier, field)| Column::from((qualifier, field)));
    let aligned: Vec<Expr> = columns
        .zip(input.schema().fields())
        .zip(wanted.fields())
        .map(|((column, have), want)| {
            let expr = Expr::Column(column);
            let expr = if have.data_type() == want.data_type() {
                expr
            } else {
                cast(expr, want.data_type().clone())
            };
            expr.alias(want.name())
        })
        .collect();
    let input = LogicalPlanBuilder::from(input)
        .project(aligned)
        .and_then(LogicalPlanBuilder::build)
        .map_err(engine)?;
    let schema = DFSchema::try_from(write_result_schema().as_ref().clone()).map_err(engine)?;
    let node = WriteNode {
        spec: Arc::clone(target.write_spec()),
        input,
        schema: Arc::new(schema),
    };
    Ok(LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    }))
}

/// Rows of a table in, one row per data file out.
#[derive(Debug, Clone)]
pub(crate) struct WriteNode {
    pub(crate) spec: Arc<WriteSpec>,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl UserDefinedLogicalNodeCore for WriteNode {
    fn name(&self) -> &str {
        "TableWrite"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "TableWrite: {}", self.spec.table)
    }

    fn with_exprs_and_inputs(
        &self,
        _exprs: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> DfResult<Self> {
        let input = inputs.pop().unwrap_or_else(|| self.input.clone());
        Ok(Self {
            spec: Arc::clone(&self.spec),
            input,
            schema: Arc::clone(&self.schema),
        })
    }
}

impl PartialEq for WriteNode {
    fn eq(&self, other: &Self) -> bool {
        self.spec.write_id == other.spec.write_id && self.input == other.input
    }
}

impl Eq for WriteNode {}

impl Hash for WriteNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.write_id.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for WriteNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.spec.write_id.partial_cmp(&other.spec.write_id)
    }
}
