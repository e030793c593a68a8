//! Runs the tests of a job on what it staged, and reports their results.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use retail_api::TableName;
use retail_engine::{
    PinnedCatalog, Query, QueryError, QueryErrorKind, QueryProgress, retry_lost_results,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::answer::{ROWS, lines, number};
use super::kept::{Keep, StoredRows};
use super::plan::{CheckQuery, plan};
use super::statement::{
    SchemaOf, cannot, counting, counting_kept, failing, is_written_by_hand, limited, sample,
    sample_kept,
};
use super::verdict::Look;
use super::{chosen, verdict};
use crate::job::{JobContext, JobSpec};
use crate::one_query::other_than_query;
use crate::{failures, sql_errors};
use retail_api::job::{TestResult, TestState};
use retail_api::source::SourceRef;
use retail_api::{Failure, FailureKind};
use retail_connect::files;
use retail_project::{DataTest, Materialized, ModelName, Subject, TestKind};

/// Queries of tests that run side by side.
const SIDE_BY_SIDE: usize = 4;
/// Tests whose failing rows are looked up; the others say how many there are.
const SHOWN: usize = 20;

/// What the tests of a job need.
pub(crate) struct Tested<'a> {
    pub spec: &'a JobSpec,
    pub context: &'a JobContext,
    pub catalog: &'a Arc<PinnedCatalog>,
    pub cancel: &'a CancellationToken,
    /// Gets the tables of failing rows that are published.
    pub stored: &'a StoredRows,
}

/// The tests of a job, and why some of them cannot be run.
struct Chosen<'a> {
    run: Vec<&'a DataTest>,
    /// Position among all chosen tests, the test, and why.
    skipped: Vec<(usize, &'a DataTest, String)>,
}

/// The tests of a job, those that cannot be run among them.
pub(crate) fn of<'a>(spec: &'a JobSpec, built: &HashSet<&ModelName>) -> Vec<&'a DataTest> {
    let read: HashSet<SourceRef> = built
        .iter()
        .filter_map(|name| spec.project.model(name))
        .flat_map(|model| model.sources.iter().cloned())
        .collect();
    chosen(&spec.project, &spec.selected, &read)
}

/// Plans what people wrote in tests, so that a mistake fails the job before anything runs.
///
/// # Errors
/// The first test that cannot be planned, at the line where it is declared.
pub(crate) async fn check(tested: &Tested<'_>, built: &HashSet<&ModelName>) -> Result<(), Failure> {
    let Chosen { run, .. } = tested.chosen(built);
    let schemas = tested.schemas(&run).await?;
    let schema_of = |table: &TableName| schemas.get(table).cloned();
    plan(&run, &schema_of)?;
    let session = tested.session()?;
    for test in run.into_iter().filter(|t| is_written_by_hand(t)) {
        if let TestKind::Query { query, .. } = &test.kind {
            // By itself first: what is put around it would be in the error's way.
            let planned = retail_sql::plan(&session.state(), &query.sql).await;
            let planned = planned.map_err(|error| unplanned(test, &query.sql, &error))?;
            if let Some(other) = other_than_query(&planned, &query.sql) {
                let cause = format!("a test is one SELECT, and this is {other}");
                return Err(cannot(test, cause));
            }
        }
        let sql = counting(test, &failing(test, &schema_of)?);
        let planned = retail_sql::plan(&session.state(), &sql).await;
        // Types are compared when the plan is optimized.
        let planned = planned.and_then(|plan| session.state().optimize(&plan));
        if let Err(error) = planned {
            return Err(unplanned(test, &sql, &error));
        }
        if let Some(table) = &test.stored_in {
            let sql = limited(test, &failing(test, &schema_of)?);
            tested.can_keep(&Keep { test, table, sql }).await?;
        }
    }
    Ok(())
}

/// Runs the tests: what each came to, in the order in which they are declared. `begin` gets how many tests and queries
/// there are.
///
/// # Errors
/// A query that could not be run, or failing rows that could not be kept where no test has failed. Failing tests are
/// results.
pub(crate) async fn run(
    tested: &Tested<'_>,
    built: &HashSet<&ModelName>,
    begin: impl Fn(u32, u32),
) -> Result<Vec<TestResult>, Failure> {
    let Chosen { run, skipped } = tested.chosen(built);
    if run.is_empty() && skipped.is_empty() {
        return Ok(vec![]);
    }
    let schemas = tested.schemas(&run).await?;
    let schema_of = |table: &TableName| schemas.get(table).cloned();
    let queries = plan(&run, &schema_of)?;
    begin((run.len() + skipped.len()) as u32, queries.len() as u32);
    let (all, schema) = (run.as_slice(), &schema_of);
    let counted: Vec<Vec<Counted>> = stream::iter(queries)
        .map(|query| async move { tested.count(all, query, schema).await })
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    let mut counted: Vec<Counted> = counted.into_iter().flatten().collect();
    let kept = tested.keep_all(all, &mut counted, schema).await?;
    counted.sort_by_key(|c| c.test);
    let fails = |c: &Counted| verdict::state(run[c.test], c.failures) == TestState::Failed;
    let unkept = match kept {
        Err(failure) if counted.iter().any(fails) => Some(failure.cause),
        kept => kept.map(|()| None)?,
    };
    let mut shown = 0;
    let mut results = vec![];
    for Counted {
        test,
        failures,
        elapsed_ms,
    } in counted
    {
        let test = run[test];
        let state = verdict::state(test, failures);
        let failure = match state {
            TestState::Passed | TestState::Skipped => None,
            TestState::Warned | TestState::Failed => {
                let sql = failing(test, &schema_of)?;
                shown += 1;
                let some = match &test.stored_in {
                    Some(table) => sample_kept(table, ROWS),
                    None => sample(test, &sql, ROWS),
                };
                let rows = match shown <= SHOWN {
                    true => tested.rows(test, &some).await?,
                    false => vec![],
                };
                let staged =
                    !tested.spec.tests_only && !matches!(test.subject, Subject::Source { .. });
                let look = match (&test.stored_in, &unkept) {
                    (Some(table), None) => Look::Kept(table),
                    (stored, unkept) => Look::Query {
                        sql: &sql,
                        staged,
                        unkept: stored.as_ref().and(unkept.as_deref()),
                    },
                };
                Some(Box::new(verdict::failure(
                    test, state, failures, &rows, &look,
                )))
            }
        };
        results.push(result(test, state, failures, elapsed_ms, failure));
    }
    for (at, test, why) in skipped {
        let failure = verdict::at(test, format!("test {} was not run", test.name)).cause(why);
        let skipped = result(test, TestState::Skipped, 0, 0, Some(Box::new(failure)));
        results.insert(at.min(results.len()), skipped);
    }
    Ok(results)
}

fn result(
    test: &DataTest,
    state: TestState,
    failures: i64,
    elapsed_ms: u64,
    failure: Option<Box<Failure>>,
) -> TestResult {
    TestResult {
        test: test.name.clone(),
        about: test.subject.to_string(),
        column: test.column.clone(),
        path: test.at.file.clone(),
        line: test.at.line,
        state,
        failures,
        elapsed_ms,
        failure,
    }
}

/// How many failures a test has.
struct Counted {
    test: usize,
    failures: i64,
    elapsed_ms: u64,
}

impl Tested<'_> {
    /// The tests of the job. One whose tables are neither built by this run nor published is not run.
    fn chosen(&self, built: &HashSet<&ModelName>) -> Chosen<'_> {
        let (mut run, mut skipped) = (vec![], vec![]);
        for (at, test) in of(self.spec, built).into_iter().enumerate() {
            let project = &self.spec.project;
            let pin = self.catalog.pin();
            let missing = test
                .models
                .iter()
                .filter_map(|name| project.model(name))
                .find(|m| {
                    let published = pin.metadata_location(&m.table).is_some();
                    !built.contains(&m.name) && !published
                });
            let absent = test
                .sources
                .iter()
                .filter_map(|name| project.source(name))
                .find(|s| !s.is_files() && pin.metadata_location(&s.table).is_none());
            match (missing, absent) {
                (Some(model), _) if model.materialized == Materialized::Ephemeral => {
                    skipped.push((
                        at,
                        test,
                        format!(
                            "it reads {}, which is ephemeral and not selected",
                            model.name
                        ),
                    ))
                }
                (Some(model), _) => skipped.push((
                    at,
                    test,
                    format!("it reads {}, which was never built", model.table),
                )),
                (None, Some(source)) => skipped.push((
                    at,
                    test,
                    format!("there is no table {} in the catalog", source.table),
                )),
                (None, None) => run.push(test),
            }
        }
        Chosen { run, skipped }
    }

    /// Writes the failing rows of the tests that want them kept, and publishes them. Outside: a query that failed.
    /// Inside: the rows could not be kept.
    async fn keep_all(
        &self,
        tests: &[&DataTest],
        counted: &mut Vec<Counted>,
        schema_of: SchemaOf<'_>,
    ) -> Result<Result<(), Failure>, Failure> {
        let mut kept = vec![];
        for (index, test) in tests.iter().enumerate() {
            if let Some(table) = &test.stored_in {
                let known = counted.iter().find(|c| c.test == index).map(|c| c.failures);
                let sql = failing(test, schema_of)?;
                let sql = match known {
                    Some(0) => format!("select * from (\n{sql}\n) dbt_internal_test\nlimit 0"),
                    _ => limited(test, &sql),
                };
                kept.push((index, Keep { test, table, sql }));
            }
        }
        // All of them come to an end: a query that still writes would outlive its job.
        let mut writes = vec![];
        for (index, keep) in kept {
            writes.push(async move {
                let started = Instant::now();
                let written = self.keep(&keep).await;
                (index, keep, started, written)
            });
        }
        let written: Vec<_> = stream::iter(writes).buffered(SIDE_BY_SIDE).collect().await;
        let (mut kept, mut staged) = (vec![], vec![]);
        for (index, keep, started, written) in written {
            let (table, rows) = written?;
            kept.push(keep);
            staged.push(table);
            if let Some(counted) = counted.iter_mut().find(|c| c.test == index) {
                counted.failures = rows as i64;
                continue;
            }
            let test = tests[index];
            let sql = match &test.stored_in {
                Some(table) => counting_kept(test, table),
                None => continue,
            };
            counted.push(self.count_one(tests, index, &sql, started).await?);
        }
        Ok(self.publish_kept(&kept, staged).await)
    }

    pub(super) fn session(&self) -> Result<SessionContext, Failure> {
        self.catalog.open_session()
    }

    /// The columns of every relation that a test names.
    async fn schemas(&self, tests: &[&DataTest]) -> Result<HashMap<TableName, SchemaRef>, Failure> {
        let session = self.session()?;
        let mut schemas = HashMap::new();
        for test in tests {
            let to = match &test.kind {
                TestKind::Relationships { to, .. } => Some(to),
                _ => None,
            };
            for table in test.subject.table().into_iter().chain(to) {
                if schemas.contains_key(table) {
                    continue;
                }
                let name = TableReference::partial(table.namespace.as_str(), table.name.as_str());
                let provider = session.table_provider(name).await.map_err(|error| {
                    cannot(
                        test,
                        format!("cannot read {table}: {}", error.strip_backtrace()),
                    )
                    .caused_by(&error)
                })?;
                schemas.insert(table.clone(), provider.schema());
            }
        }
        Ok(schemas)
    }

    /// Runs a query of tests. When a shared one cannot be computed, each of its tests is run alone, so that the one
    /// that cannot is named.
    async fn count(
        &self,
        tests: &[&DataTest],
        query: CheckQuery,
        schema_of: SchemaOf<'_>,
    ) -> Result<Vec<Counted>, Failure> {
        let started = Instant::now();
        let (all, unique, sql) = match query {
            CheckQuery::One { test, sql } => {
                return Ok(vec![self.count_one(tests, test, &sql, started).await?]);
            }
            CheckQuery::Pass { tests, unique, sql } => (tests, unique, sql),
        };
        let of: Vec<usize> = all.iter().copied().chain(unique).collect();
        let counted_tests: Vec<&DataTest> = of.iter().map(|index| tests[*index]).collect();
        let (failed, repeated) = match self.query(&counted_tests, &sql).await {
            Ok(rows) => match (number(&rows, 0), number(&rows, 1)) {
                (Ok(failed), Ok(repeated)) => (failed, repeated),
                (Err(what), _) | (_, Err(what)) => {
                    return Err(verdict::at(
                        counted_tests[0],
                        "cannot count failing rows".to_string(),
                    )
                    .cause(format!("the query of its tests gives {what}")));
                }
            },
            Err(failure) if of.len() == 1 || failure.kind == FailureKind::Cancelled => {
                return Err(failure);
            }
            Err(shared) => {
                for index in of {
                    let sql = counting(tests[index], &failing(tests[index], schema_of)?);
                    self.count_one(tests, index, &sql, started).await?;
                }
                return Err(shared);
            }
        };
        let mut counted = vec![];
        for (bit, index) in of.into_iter().enumerate() {
            let fails = match bit < all.len() {
                true => failed >> bit & 1 == 1,
                false => repeated > 0,
            };
            if fails {
                let sql = counting(tests[index], &failing(tests[index], schema_of)?);
                counted.push(self.count_one(tests, index, &sql, started).await?);
            } else {
                counted.push(Counted {
                    test: index,
                    failures: 0,
                    elapsed_ms: started.elapsed().as_millis() as u64,
                });
            }
        }
        Ok(counted)
    }

    async fn count_one(
        &self,
        tests: &[&DataTest],
        index: usize,
        sql: &str,
        started: Instant,
    ) -> Result<Counted, Failure> {
        let test = tests[index];
        let rows = self.query(&[test], sql).await?;
        let failures =
            number(&rows, 0).map_err(|what| {
                let message = format!("cannot count the failures of test {}", test.name);
                let failure = verdict::at(test, message);
                match &test.config.fail_calc {
                Some(calc) => failure
                    .cause(format!("fail_calc {calc} gives {what}"))
                    .note("fail_calc is one whole number for all failing rows, such as count(*) or \
                           coalesce(sum(n_records), 0)"),
                None => failure.cause(format!("its query gives {what}")),
            }
            })?;
        Ok(Counted {
            test: index,
            failures,
            elapsed_ms: started.elapsed().as_millis() as u64,
        })
    }

    /// Some failing rows as the lines of a small table.
    async fn rows(&self, test: &DataTest, sql: &str) -> Result<Vec<String>, Failure> {
        let batches = self.query(&[test], sql).await?;
        Ok(lines(&batches, test.column.as_deref()))
    }

    /// Runs a query for these tests.
    async fn query(&self, tests: &[&DataTest], sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        let session = self.session()?;
        let plan = retail_sql::plan(&session.state(), sql).await;
        let plan = plan.map_err(|error| unplanned(tests[0], sql, &error))?;
        self.execute(tests, sql, session, plan).await
    }

    /// Runs the plan of a query for these tests.
    pub(super) async fn execute(
        &self,
        tests: &[&DataTest],
        sql: &str,
        session: SessionContext,
        plan: LogicalPlan,
    ) -> Result<Vec<RecordBatch>, Failure> {
        let query = Query {
            label: format!("{} test {}", self.spec.id, tests[0].name),
            session: Arc::new(session),
            plan,
            cancel: self.cancel.clone(),
            progress: watch::Sender::new(QueryProgress::default()),
        };
        let ran = retry_lost_results(
            query,
            |_, _| {},
            |query| async {
                let run = self.context.cluster.execute(query).await?;
                let rows: Result<Vec<RecordBatch>, QueryError> =
                    run.rows.map_err(QueryError::from).try_collect().await;
                rows
            },
        );
        match ran.await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.unanswered(tests, sql, error).await),
        }
    }

    /// A query of tests failed while it ran. Bad cells of sources are looked for and named.
    pub(super) async fn unanswered(
        &self,
        tests: &[&DataTest],
        sql: &str,
        error: QueryError,
    ) -> Failure {
        let test = tests[0];
        match (error.kind, &error.source) {
            (QueryErrorKind::Cancelled, _) => return failures::cancelled(),
            (QueryErrorKind::Plan, Some(source)) => return unplanned(test, sql, source),
            _ => {}
        }
        if error.kind == QueryErrorKind::Execution {
            let read: Vec<_> = tests
                .iter()
                .flat_map(|t| &t.sources)
                .filter_map(|source| self.spec.project.source(source))
                .collect();
            let stores = self.context.lake.stores();
            if let Some(failure) = files::diagnose(&read, stores, &error.message).await {
                return failure;
            }
        }
        let (kind, retryable) = match error.kind {
            QueryErrorKind::Storage => (FailureKind::Storage, !error.is_of_changed_file()),
            QueryErrorKind::NoExecutor | QueryErrorKind::ResultLost => {
                (FailureKind::NoExecutor, true)
            }
            _ => (FailureKind::Execution, false),
        };
        let mut failure = verdict::at(test, format!("cannot run test {}", test.name))
            .cause(error.message.clone())
            .note(match kind {
                FailureKind::Storage => failures::storage_way_out(&error),
                FailureKind::NoExecutor => "start an executor and run the job again",
                _ => "look at the test's SQL and the rows it reads",
            })
            .caused_by(&error)
            .retryable(retryable);
        failure.kind = kind;
        failure.stage = error.stage;
        failure
    }
}

/// A test whose SQL does not plan: at its file, or at the line that declares it.
pub(super) fn unplanned(
    test: &DataTest,
    sql: &str,
    error: &datafusion::error::DataFusionError,
) -> Failure {
    if let (TestKind::Query { query, .. }, Subject::Singular) = (&test.kind, &test.subject) {
        let mut failure = sql_errors::plan_failure(query, error);
        failure.message = format!("cannot plan test {}", test.name);
        failure.model = None;
        return failure;
    }
    let found = retail_engine::sql_diagnostics::sql_failure(sql, error);
    let mut failure = cannot(test, found.cause);
    failure.notes = found.notes;
    failure.chain = found.chain;
    if !found.snippet.trim().is_empty() {
        failure = failure.note(format!("in its query: {}", found.snippet.trim()));
    }
    failure
}
