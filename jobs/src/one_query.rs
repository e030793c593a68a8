//! What a model's SQL may be: one query.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use retail_api::{Failure, FailureKind};
use retail_project::Model;

use crate::sql_errors;

/// Plans a model's SQL, which must be one query.
///
/// # Errors
/// What does not plan, with its place; more than one statement, or one that is no query.
pub(crate) async fn plan(model: &Model, session: &SessionContext) -> Result<LogicalPlan, Failure> {
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
    let word =
        retail_engine::sql_diagnostics::first_word(sql).map(|(_, _, word)| word.to_uppercase());
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
    let (line, column, word) =
        retail_engine::sql_diagnostics::first_word(&model.sql).unwrap_or_default();
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

    /// The failure of planning a model, which is a view unless its own config differs.
    async fn planned(sql: &str) -> Result<(), String> {
        let yml = "name: shop\nmodels:\n  shop: {+materialized: view}\n";
        let files = [("dbt_project.yml", yml), ("models/a.sql", sql)];
        let project = project(&files, json!({})).map_err(|failure| shown(&failure))?;
        let model = project.model(&"a".into()).unwrap();
        let planned = plan(model, &SessionContext::new()).await;
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
            let failure = planned(sql).await.unwrap_err();
            let start = format!("cannot plan model main.a\n-> models/a.sql:{place}");
            assert!(failure.starts_with(&start), "{sql}: {failure}");
            assert!(failure.contains(cause), "{sql}: {failure}");
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
            let failure = planned(sql).await.unwrap_err();
            let word = sql.split(' ').next().unwrap().to_uppercase();
            let cause = format!("a model is one SELECT, and this is {word}");
            assert!(
                failure.starts_with("cannot plan model main.a\n-> models/a.sql:1:1"),
                "{sql}: {failure}"
            );
            assert!(failure.contains(&cause), "{sql}: {failure}");
        }
        let failure =
            planned("with a as (insert into b values (1) returning x) select * from a").await;
        let failure = failure.unwrap_err();
        assert!(
            failure.starts_with("cannot plan model main.a\n-> models/a.sql:1:12"),
            "{failure}"
        );
    }
}
