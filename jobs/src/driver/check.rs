//! Plans every selected model before any runs, so that a bad last model fails the job at its start.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::datasource::empty::EmptyTable;

use super::inputs::{self, Inputs};
use super::relations::Relations;
use super::{JobContext, JobSpec, audit, failures, views};
use crate::quality::contract;
use crate::sql_errors;
use retail_api::source::Source;
use retail_api::{Failure, FailureKind};
use retail_project::{Materialized, Model, ModelName};

/// Opens the sources and plans the models in order, each against the schemas of the ones before it.
///
/// # Errors
/// The first source that cannot be read or model that does not plan.
pub(super) async fn check(spec: &JobSpec, context: &JobContext) -> Result<Inputs, Failure> {
    let inputs = inputs::open(spec, context).await?;
    let relations = Relations::of(context, &inputs);
    let selected: HashSet<&ModelName> = spec.selected.iter().collect();
    for model in in_order(spec) {
        require_dependencies(spec, &selected, &relations, model)?;
        let session = relations
            .session()
            .map_err(|e| sql_errors::plan_failure(model, &e))?;
        let plan = views::query(model, &session).await?;
        contract::hold(model, plan.schema().as_arrow())?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        if model.materialized == Materialized::Table {
            context
                .lake
                .begin_write(
                    &model.table,
                    None,
                    &schema,
                    &super::model::write_options(model),
                )
                .map_err(|e| {
                    at_model(
                        model,
                        &failures::lakehouse(&format!("cannot plan model {}", model.table), &e),
                    )
                })?;
        }
        relations.put(model.table.clone(), Arc::new(EmptyTable::new(schema)));
    }
    audit::check(spec, context, &relations).await?;
    Ok(inputs)
}

/// The selected models and the ephemeral ones they read, in the order of the graph.
pub(super) fn in_order(spec: &JobSpec) -> Vec<&Model> {
    let project = &spec.project;
    let mut needed: HashSet<&ModelName> = spec.selected.iter().collect();
    let mut todo: Vec<&ModelName> = spec.selected.iter().collect();
    while let Some(name) = todo.pop() {
        let Some(model) = project.model(name) else {
            continue;
        };
        for dependency in &model.depends_on {
            let ephemeral = project
                .model(dependency)
                .is_some_and(|m| m.materialized == Materialized::Ephemeral);
            if ephemeral && needed.insert(dependency) {
                todo.push(dependency);
            }
        }
    }
    project
        .models_in_order()
        .into_iter()
        .filter(|m| needed.contains(&m.name))
        .collect()
}

/// The sources that a model names.
pub(super) fn sources_of<'a>(spec: &'a JobSpec, model: &Model) -> Vec<&'a Source> {
    model
        .sources
        .iter()
        .filter_map(|name| spec.project.source(name))
        .collect()
}

/// A model that reads an unselected one needs it published before.
fn require_dependencies(
    spec: &JobSpec,
    selected: &HashSet<&ModelName>,
    relations: &Relations,
    model: &Model,
) -> Result<(), Failure> {
    for name in &model.depends_on {
        let Some(dependency) = spec.project.model(name) else {
            continue;
        };
        let there = selected.contains(name)
            || dependency.materialized == Materialized::Ephemeral
            || relations
                .pin()
                .metadata_location(&dependency.table)
                .is_some();
        if !there {
            let message = format!(
                "cannot run model {}: it reads {}, which was never built",
                model.table, dependency.table
            );
            return Err(Failure::new(FailureKind::Project, message)
                .model(model.table.to_string())
                .at(model.path.clone(), 0, 0)
                .note(format!("select it too: --select +{}", model.name))
                .note("nothing was published"));
        }
    }
    Ok(())
}

fn at_model(model: &Model, failure: &Failure) -> Failure {
    failure
        .clone()
        .model(model.table.to_string())
        .at(model.path.clone(), 0, 0)
}
