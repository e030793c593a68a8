//! One model against the columns of the ones before it, without running it: what a run checks and an explanation shows.

use std::sync::Arc;

use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use retail_api::Failure;
use retail_engine::PinnedCatalog;
use retail_lakehouse::Lakehouse;
use retail_project::{Materialized, Model};

use crate::quality::contract;
use crate::{materialize, one_query};

/// A model that can be run, as it was planned.
pub struct CheckedModel {
    /// In which its query was planned.
    pub session: SessionContext,
    pub plan: LogicalPlan,
}

/// Plans a model, holds its contract and what its table must be, and puts its columns into `catalog` for the models after
/// it.
///
/// # Errors
/// What does not plan, with its place; a contract that is broken; a table that cannot be written.
pub async fn check_model(
    model: &Model,
    catalog: &Arc<PinnedCatalog>,
    lake: &Lakehouse,
) -> Result<CheckedModel, Failure> {
    let session = catalog.open_session()?;
    let plan = one_query::plan(model, &session).await?;
    contract::hold(model, plan.schema().as_arrow())?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    if model.materialized == Materialized::Table {
        let options = materialize::write_options(model);
        lake.begin_write(&model.table, None, &schema, &options)
            .map_err(|e| {
                e.to_failure(&format!("cannot plan model {}", model.table))
                    .model(model.table.to_string())
                    .at(model.path.clone(), 0, 0)
            })?;
    }
    catalog.put(model.table.clone(), Arc::new(EmptyTable::new(schema)));
    Ok(CheckedModel { session, plan })
}
