//! What views need beside their SQL, and what a model's SQL may be.
//!
//! A view of the catalog is a query over tables of the catalog. A model's view may also name sources over files, which
//! only its project knows, and ephemeral models, which are nowhere: a published view remembers both, so that whoever
//! reads it later reads the same files with the same types.

use std::collections::{BTreeSet, HashMap};

use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use retail_lakehouse::{LakeView, TableName};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind};
use crate::project::{Materialized, Model, ModelName, Project, Source};
use crate::sql_errors;

/// The key of a view's summary.
const KEY: &str = "retail.inputs";

/// The sources over files and the ephemeral models that a view names, directly or through ephemeral models.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ViewInputs {
    pub(super) sources: Vec<Source>,
    /// Each after those it reads.
    pub(super) ephemeral: Vec<Ephemeral>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ephemeral {
    pub(super) table: TableName,
    pub(super) sql: String,
}

impl ViewInputs {
    /// What a view model needs.
    pub(super) fn needed_by(project: &Project, model: &Model) -> Self {
        let mut inputs = Self::default();
        inputs.add(project, model, &mut BTreeSet::new());
        inputs
    }

    fn add(&mut self, project: &Project, model: &Model, seen: &mut BTreeSet<ModelName>) {
        for source in model.sources.iter().filter_map(|s| project.source(s)) {
            if source.is_files() && !self.sources.iter().any(|s| s.table == source.table) {
                self.sources.push(source.clone());
            }
        }
        for needed in model
            .depends_on
            .iter()
            .filter_map(|name| project.model(name))
        {
            if needed.materialized == Materialized::Ephemeral && seen.insert(needed.name.clone()) {
                self.add(project, needed, seen);
                self.ephemeral.push(Ephemeral {
                    table: needed.table.clone(),
                    sql: needed.sql.clone(),
                });
            }
        }
    }

    /// For the view's metadata; nothing for a view over tables alone.
    pub(super) fn remember(&self) -> Result<HashMap<String, String>, Failure> {
        if self.sources.is_empty() && self.ephemeral.is_empty() {
            return Ok(HashMap::new());
        }
        let text = serde_json::to_string(self).map_err(|e| {
            Failure::new(FailureKind::Internal, "cannot write down what a view reads")
                .cause(e.to_string())
        })?;
        Ok(HashMap::from([(KEY.to_string(), text)]))
    }

    /// What a published view remembers.
    pub(super) fn of(view: &LakeView) -> PlanResult<Option<Self>> {
        let Some(text) = view.remembered(KEY) else {
            return Ok(None);
        };
        let read = serde_json::from_str(text).map_err(|e| {
            DataFusionError::Plan(format!("view {} was published by another version and cannot be read: {e}; run its model again", view.name()))
        });
        read.map(Some)
    }
}

/// Whether two definitions are of the same rows.
pub(super) fn is_same(one: &Source, other: &Source) -> bool {
    let columns = |s: &Source| -> Vec<_> {
        let of = s.columns.iter();
        of.map(|c| (c.name.clone(), c.data_type.clone(), c.optional))
            .collect()
    };
    one.table == other.table
        && one.location == other.location
        && one.strict_columns == other.strict_columns
        && columns(one) == columns(other)
}

/// The sources over files whose rows a model's query reads: its own, and those of views and ephemeral models it reads.
pub(super) fn sources_behind<'a>(project: &'a Project, model: &Model) -> Vec<&'a Source> {
    let mut found: Vec<&Source> = vec![];
    let mut seen = BTreeSet::new();
    let mut todo = vec![model];
    while let Some(model) = todo.pop() {
        for source in model.sources.iter().filter_map(|name| project.source(name)) {
            if !found.iter().any(|s| s.table == source.table) {
                found.push(source);
            }
        }
        let needed = model
            .depends_on
            .iter()
            .filter_map(|name| project.model(name));
        todo.extend(
            needed.filter(|m| m.materialized != Materialized::Table && seen.insert(&m.name)),
        );
    }
    found
}

/// Plans a model's SQL, which must be one query.
///
/// # Errors
/// What does not plan, with its place; more than one statement, or one that is no query.
pub(super) async fn query(model: &Model, session: &SessionContext) -> Result<LogicalPlan, Failure> {
    let state = session.state();
    let plan = retail_engine::sql::plan(&state, &model.sql).await;
    let plan = plan.map_err(|e| sql_errors::plan_failure(model, &e))?;
    match other_than_query(&plan, &model.sql) {
        Some(other) => Err(not_one_query(model, &format!("this is {other}"))),
        None => Ok(plan),
    }
}

/// The word that a statement begins with, where it is no query.
pub(crate) fn other_than_query(plan: &LogicalPlan, sql: &str) -> Option<String> {
    let questions = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let is_other = matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    let first = || sql.split_whitespace().next().unwrap_or_default();
    (is_other || questions.verify_plan(plan).is_err()).then(|| first().to_uppercase())
}

fn not_one_query(model: &Model, found: &str) -> Failure {
    Failure::new(
        FailureKind::Project,
        format!("cannot plan model {}", model.table),
    )
    .model(model.table.to_string())
    .at(&model.path, 1, 0)
    .cause(format!("a model is one SELECT, and {found}"))
    .note("take the rest out: a run writes the model's rows itself")
}
