//! What models read, do and write, without running anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use retail_api::Failure;
use retail_api::TableName;
use retail_api::job::ModelExplanation;
use retail_api::source::SourceLocation;
use retail_connect::files;
use retail_engine::Cluster;
use retail_engine::PinnedCatalog;
use retail_jobs::check_model;
use retail_lakehouse::{Lakehouse, Relation};
use retail_project::{Materialized, Model, ModelName, Project};

/// Explains the selected models, each against the schemas of the ones before it.
///
/// # Errors
/// The first source that cannot be read, or model that a run would refuse.
pub(super) async fn models(
    project: &Arc<Project>,
    selected: &[ModelName],
    lake: &Lakehouse,
    cluster: &Arc<dyn Cluster>,
) -> Result<Vec<ModelExplanation>, Failure> {
    let pin = lake.pin().await;
    let pin = pin.map_err(|e| e.to_failure("cannot read the catalog"))?;
    let catalog = PinnedCatalog::new(lake.clone(), pin, Arc::clone(cluster));
    let session = catalog.open_session()?;
    let mut explained = vec![];
    let needed = with_upstream(project, selected);
    for model in retail_project::graph::models_in_order(project)
        .into_iter()
        .filter(|m| needed.contains(&m.name))
    {
        for source in model
            .sources
            .iter()
            .filter_map(|s| project.source(s))
            .filter(|s| s.is_files())
        {
            let table = files::provider(source, &session, lake.stores()).await?;
            catalog.put_source(source, &table);
        }
        let checked = check_model(model, &catalog, lake).await?;
        if selected.contains(&model.name) {
            let (plan, session) = (&checked.plan, &checked.session);
            explained.push(explain(project, model, plan, session, &catalog, lake).await);
        }
    }
    Ok(explained)
}

/// The selected models and all that they read, directly or not: planning needs their columns.
fn with_upstream(project: &Project, selected: &[ModelName]) -> BTreeSet<ModelName> {
    let upstream = selected
        .iter()
        .flat_map(|name| retail_project::graph::ancestors(project, name));
    upstream.chain(selected.iter().cloned()).collect()
}

async fn explain(
    project: &Project,
    model: &Model,
    plan: &LogicalPlan,
    session: &SessionContext,
    catalog: &Arc<PinnedCatalog>,
    lake: &Lakehouse,
) -> ModelExplanation {
    let mut reads = vec![];
    for name in scanned(plan) {
        reads.push(read(project, &name, catalog, lake).await);
    }
    let optimized = session.state().optimize(plan);
    let physical = session.state().create_physical_plan(plan).await;
    ModelExplanation {
        model: model.table.to_string(),
        path: model.path.clone(),
        materialized: model.materialized.to_string(),
        rendered_sql: model.sql.clone(),
        reads,
        logical_plan: optimized
            .map_or_else(|e| e.strip_backtrace(), |p| p.display_indent().to_string()),
        physical_plan: physical.map_or_else(
            |e| e.strip_backtrace(),
            |p| displayable(p.as_ref()).indent(false).to_string(),
        ),
        writes: writes(model),
        tests: tests(project, model),
    }
}

/// The declared tests that a run of the model holds before it publishes.
fn tests(project: &Project, model: &Model) -> Vec<String> {
    let read = model.sources.iter().cloned().collect();
    let chosen = retail_jobs::quality::chosen(project, std::slice::from_ref(&model.name), &read);
    chosen
        .into_iter()
        .map(|test| format!("{}   {}", test.name, test.at))
        .collect()
}

/// The relations that a plan names, in order of name.
fn scanned(plan: &LogicalPlan) -> BTreeSet<TableName> {
    let mut names = BTreeSet::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(namespace) = scan.table_name.schema()
        {
            names.insert(TableName::new(namespace, scan.table_name.table()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "collecting names cannot fail");
    names
}

async fn read(
    project: &Project,
    name: &TableName,
    catalog: &Arc<PinnedCatalog>,
    lake: &Lakehouse,
) -> String {
    if let Some(source) = project.sources.iter().find(|s| s.table == *name)
        && let SourceLocation::Files { pattern, .. } = &source.location
    {
        return format!("{name}   files {pattern}");
    }
    let published = lake.load(catalog.pin(), name).await;
    let made = if project.models.iter().any(|m| m.table == *name) {
        "   made by a model before it"
    } else {
        ""
    };
    match published {
        Ok(Some(Relation::Table(table))) => {
            let snapshot = table
                .snapshot_id()
                .map_or_else(|| "empty".to_owned(), |id| id.to_string());
            let (rows, files, bytes) = (table.row_count(), table.file_count(), table.bytes());
            format!("{name} @ {snapshot}   {rows} rows, {files} files, {bytes} bytes{made}")
        }
        Ok(Some(Relation::View(_))) => format!("{name}   view{made}"),
        Ok(None) => format!("{name}{made}"),
        Err(error) => format!("{name}   {error}"),
    }
}

fn writes(model: &Model) -> String {
    let partition_by = &model.config.partition_by;
    match model.materialized {
        Materialized::Ephemeral => {
            "nothing: its SQL becomes part of the models that read it".to_owned()
        }
        Materialized::View => format!("{}   view", model.table),
        Materialized::Table if partition_by.is_empty() => {
            format!("{}   replaces all rows", model.table)
        }
        Materialized::Table => {
            format!(
                "{}   replaces all rows, partitioned by {}",
                model.table,
                partition_by.join(", ")
            )
        }
    }
}
