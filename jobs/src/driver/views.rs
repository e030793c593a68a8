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
use retail_api::TableName;
use retail_lakehouse::LakeView;
use serde::{Deserialize, Serialize};

use crate::sql_errors;
use retail_api::source::Source;
use retail_api::{Failure, FailureKind};
use retail_project::{Materialized, Model, ModelName, Project};

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
    let not_one = |other: &str| not_one_query(model, &format!("this is {other}"));
    let plan = match retail_sql::plan(&state, &model.sql).await {
        Ok(plan) => plan,
        // What it writes to need not be there for it to be refused.
        Err(error) => {
            let word = statement_word(&model.sql);
            return Err(match STATEMENTS.contains(&word.as_str()) {
                true => not_one(&word),
                false => sql_errors::plan_failure(model, &error),
            });
        }
    };
    match other_than_query(&plan, &model.sql) {
        Some(other) => Err(not_one(&other)),
        None => Ok(plan),
    }
}

/// What statements other than queries begin with.
const STATEMENTS: [&str; 16] = [
    "ALTER", "ANALYZE", "BEGIN", "CALL", "COMMIT", "COPY", "CREATE", "DELETE", "DO", "DROP",
    "GRANT", "INSERT", "MERGE", "SET", "TRUNCATE", "UPDATE",
];

fn statement_word(sql: &str) -> String {
    let word = sql_errors::first_word(sql).map(|(_, _, word)| word.to_uppercase());
    word.unwrap_or_default()
}

/// The word that a statement begins with, where it is no query.
pub(crate) fn other_than_query(plan: &LogicalPlan, sql: &str) -> Option<String> {
    let questions = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let word = statement_word(sql);
    // SHOW is planned as a query of the engine's own tables.
    match ["SELECT", "WITH", "VALUES", "TABLE", "FROM", "("].contains(&word.as_str()) {
        true if questions.verify_plan(plan).is_err() => Some(format!("{word} … INTO")),
        true => None,
        false => Some(word),
    }
}

fn not_one_query(model: &Model, found: &str) -> Failure {
    let (line, column, word) = sql_errors::first_word(&model.sql).unwrap_or_default();
    let spot = model.spot(line, column, &word);
    Failure::new(
        FailureKind::Project,
        format!("cannot plan model {}", model.table),
    )
    .model(model.table.to_string())
    .at(&model.path, spot.line, spot.column)
    .snippet_of(&model.raw_sql, spot.span)
    .cause(format!("a model is one SELECT, and {found}"))
    .note("take the rest out: a run writes the model's rows itself")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use retail_project::testing::{project, shown};

    /// What is said of a model, a view unless it says otherwise itself.
    async fn planned(sql: &str) -> Result<(), String> {
        let yml = "name: shop\nmodels:\n  shop: {+materialized: view}\n";
        let files = [("dbt_project.yml", yml), ("models/a.sql", sql)];
        let project = project(&files, json!({})).map_err(|failure| shown(&failure))?;
        let model = project.model(&"a".into()).unwrap();
        let planned = query(model, &SessionContext::new()).await;
        planned.map(|_| ()).map_err(|failure| shown(&failure))
    }

    #[tokio::test]
    async fn a_model_is_one_select() {
        for sql in [
            "select 1 as x;\n",
            "-- one\nselect ';' as x ; -- done\n;",
            "(select 1 as x) union all select 2",
            "with a as (select 1 as x) select * from a",
            "values (1), (2)",
        ] {
            assert_eq!(planned(sql).await, Ok(()), "{sql}");
        }
        for (sql, place, cause) in [
            (
                "select 1 as x;\ndrop table x",
                "2:1",
                "there are 2 statements here; write one",
            ),
            (
                "select 1; select 2;\nselect 3",
                "1:11",
                "there are 3 statements here; write one",
            ),
            (
                "create table b as select 1 as x",
                "1:1",
                "a model is one SELECT, and this is CREATE",
            ),
            (
                "{{ config(materialized='table') }}\n-- make it\n create view b as select 1",
                "3:2",
                "this is CREATE",
            ),
            ("drop table if exists b", "1:1", "this is DROP"),
            ("\n\nset x = 1", "3:1", "this is SET"),
            ("show tables", "1:1", ""),
            ("explain select 1", "1:1", "this is EXPLAIN"),
            ("begin", "1:1", "this is BEGIN"),
            ("select 1 as x into b", "1:1", "this is SELECT … INTO"),
            (
                "select 1 as x; insert into b values (1)",
                "1:16",
                "there are 2 statements here; write one",
            ),
        ] {
            let said = planned(sql).await.unwrap_err();
            let start = format!("cannot plan model main.a\n-> models/a.sql:{place}");
            assert!(said.starts_with(&start), "{sql}: {said}");
            assert!(said.contains(cause), "{sql}: {said}");
        }
    }

    #[tokio::test]
    async fn a_model_that_writes_is_refused_whatever_it_writes() {
        for sql in [
            "insert into b select 1",
            "insert into b values (1)",
            "update b set x = 1",
            "delete from b",
            "truncate table b",
            "copy (select 1) to '/tmp/b.csv'",
            "merge into b using c on b.x = c.x when matched then delete",
        ] {
            let said = planned(sql).await.unwrap_err();
            let word = sql.split(' ').next().unwrap().to_uppercase();
            let cause = format!("a model is one SELECT, and this is {word}");
            assert!(
                said.starts_with("cannot plan model main.a\n-> models/a.sql:1:1"),
                "{sql}: {said}"
            );
            assert!(said.contains(&cause), "{sql}: {said}");
        }
        let said =
            planned("with a as (insert into b values (1) returning x) select * from a").await;
        let said = said.unwrap_err();
        assert!(
            said.starts_with("cannot plan model main.a\n-> models/a.sql:1:12"),
            "{said}"
        );
    }
}
