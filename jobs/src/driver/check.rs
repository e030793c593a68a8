//! Plans every selected model before any runs, so that a bad last model fails the job at its start.

use std::collections::HashSet;

use retail_api::{Failure, FailureKind, Unpublished};
use retail_engine::PinnedCatalog;
use retail_project::{Materialized, Model, ModelName};

use super::audit;
use super::inputs::{self, Inputs};
use crate::check_model::check_model;
use crate::job::{JobContext, JobSpec};

/// Opens the sources and plans the models in order, each against the schemas of the ones before it.
///
/// # Errors
/// The first source that cannot be read or model that does not plan.
pub(super) async fn check(spec: &JobSpec, context: &JobContext) -> Result<Inputs, Failure> {
    let inputs = inputs::open(spec, context).await?;
    let catalog = inputs.catalog(context);
    let selected: HashSet<&ModelName> = spec.selected.iter().collect();
    for model in spec.models_in_order() {
        require_dependencies(spec, &selected, &catalog, model)?;
        check_model(model, &catalog, &context.lake).await?;
    }
    audit::check(spec, context, &catalog).await?;
    Ok(inputs)
}

/// A model that reads an unselected one needs it published before.
fn require_dependencies(
    spec: &JobSpec,
    selected: &HashSet<&ModelName>,
    catalog: &PinnedCatalog,
    model: &Model,
) -> Result<(), Failure> {
    for name in &model.depends_on {
        let Some(dependency) = spec.project.model(name) else {
            continue;
        };
        let there = selected.contains(name)
            || dependency.materialized == Materialized::Ephemeral
            || catalog.pin().metadata_location(&dependency.table).is_some();
        if !there {
            let message = format!(
                "cannot run model {}: it reads {}, which was never built",
                model.table, dependency.table
            );
            return Err(Failure::new(FailureKind::Project, message)
                .model(model.table.to_string())
                .at(model.path.clone(), 0, 0)
                .note(format!("select it too: --select +{}", model.name))
                .unpublished(Unpublished::Everything));
        }
    }
    Ok(())
}
