//! Ephemeral models: planned where they stand, written nowhere.

use std::sync::Arc;

use retail_api::Failure;
use retail_engine::PinnedCatalog;
use retail_project::Model;

use super::outcome::Outcome;
use crate::sql_errors;

pub(super) async fn plan(catalog: &Arc<PinnedCatalog>, model: &Model) -> Result<Outcome, Failure> {
    let table = catalog
        .view(&model.sql)
        .await
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    catalog.put(model.table.clone(), table);
    Ok(Outcome::default())
}
