//! Views: their SQL, and what a reader of the catalog needs beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use retail_api::Failure;
use retail_engine::{EphemeralModel, PinnedCatalog, ViewInputs};
use retail_lakehouse::{Relation, Staged};
use retail_project::{Materialized, Model, ModelName, Project};

use super::outcome::Outcome;
use crate::job::Attempt;
use crate::sql_errors;

pub(super) async fn stage(
    attempt: &Attempt<'_>,
    catalog: &Arc<PinnedCatalog>,
    model: &Model,
) -> Result<Outcome, Failure> {
    let lake = &attempt.context.lake;
    let table = catalog
        .view(&model.sql)
        .await
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    let published = lake.load(catalog.pin(), &model.table).await;
    let published =
        published.map_err(|e| e.to_failure(&format!("cannot read table {}", model.table)))?;
    let (base, replaced) = match published {
        Some(Relation::View(view)) => (Some(view), None),
        Some(Relation::Table(table)) => (None, Some(table)),
        None => (None, None),
    };
    let inputs = inputs(&attempt.spec.project, model).to_properties()?;
    let sql = model.sql.trim().trim_end_matches(';');
    let staged = lake
        .stage_view(&model.table, base.as_ref(), &table.schema(), sql, inputs)
        .await
        .map_err(|e| e.to_failure(&format!("cannot stage view {}", model.table)))?;
    let staged = match replaced {
        Some(table) => staged.replacing(&table),
        None => staged,
    };
    catalog.put(model.table.clone(), table);
    Ok(Outcome {
        staged: Some(Staged::View(staged)),
        ..Outcome::default()
    })
}

/// The sources over files and the ephemeral models that a view names, directly or through ephemeral models.
fn inputs(project: &Project, model: &Model) -> ViewInputs {
    let mut inputs = ViewInputs::default();
    add(&mut inputs, project, model, &mut BTreeSet::new());
    inputs
}

fn add(inputs: &mut ViewInputs, project: &Project, model: &Model, seen: &mut BTreeSet<ModelName>) {
    for source in model.sources.iter().filter_map(|s| project.source(s)) {
        if source.is_files() && !inputs.sources.iter().any(|s| s.table == source.table) {
            inputs.sources.push(source.clone());
        }
    }
    let read = model.depends_on.iter();
    for needed in read.filter_map(|name| project.model(name)) {
        if needed.materialized == Materialized::Ephemeral && seen.insert(needed.name.clone()) {
            add(inputs, project, needed, seen);
            inputs.ephemeral.push(EphemeralModel {
                table: needed.table.clone(),
                sql: needed.sql.clone(),
            });
        }
    }
}
