//! One statement of a person or tool: planned against the published tables, run, its rows returned. Knows no protocol.
//!
//! ```text
//! text ─ allowed? ─ plan ─┬─ SELECT …                      ─ Cluster::execute ─┐
//!                         └─ SHOW, DESCRIBE, EXPLAIN, and   ─ this process    ─┴─ rows
//!                            what reads the information schema
//! ```

use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use retail_api::{Failure, FailureKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{ExecutorWait, no_executor, wait_for_executor};
use crate::sql_diagnostics::{at_suspects, run_words, sql_failure};
use crate::{Cluster, Query, QueryError, QueryErrorKind, QueryProgress, retry_lost_results};

/// The way out of everything that is not a question.
pub const ONLY_QUESTIONS: &str =
    "tables change only through jobs; use SELECT, SHOW, DESCRIBE or EXPLAIN here";

/// A statement that was planned and may run: it reads only.
pub struct Statement {
    text: String,
    session: SessionContext,
    plan: LogicalPlan,
    is_local: bool,
}

/// What is worth showing to a person while a statement runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementEvent {
    /// It cannot go on yet, for this reason.
    Waiting(String),
    Progress(QueryProgress),
}

/// A statement's rows as they come.
pub struct StatementRows {
    text: String,
    rows: SendableRecordBatchStream,
}

impl Statement {
    /// Plans a statement, if it is a question; `rows_max` limits its rows where it runs on executors.
    ///
    /// # Errors
    /// The text does not parse or plan, at its place; it would change something.
    pub async fn plan(
        session: SessionContext,
        text: &str,
        rows_max: Option<usize>,
    ) -> Result<Self, Box<Failure>> {
        let failed = |error: DataFusionError| Box::new(sql_failure(text, &error));
        let state = session.state();
        let parsed = retail_sql::parse(&state, text).map_err(failed)?;
        let is_about_tables = is_about_tables(&parsed)?;
        let mut plan = retail_sql::plan_statement(&state, parsed)
            .await
            .map_err(failed)?;
        // What the statement's first word hides: WITH … INSERT, EXPLAIN of a DELETE, SELECT … INTO.
        let questions = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        if questions.verify_plan(&plan).is_err() {
            return Err(refused(text));
        }
        let is_local = is_about_tables || reads_information_schema(&plan).map_err(failed)?;
        if let (Some(rows_max), false) = (rows_max, is_local) {
            plan = LogicalPlanBuilder::from(plan)
                .limit(0, Some(rows_max))
                .and_then(LogicalPlanBuilder::build)
                .map_err(failed)?;
        }
        Ok(Self {
            text: text.to_owned(),
            session,
            plan,
            is_local,
        })
    }

    /// Whether it runs in this process, without executors: what asks about tables.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Runs it, and returns when its rows can be read. Waits for an executor where there is none, without end where
    /// `executor_timeout` is `None`.
    ///
    /// # Errors
    /// It failed, was cancelled, or no executor came in time.
    pub async fn run(
        self,
        cluster: &dyn Cluster,
        executor_timeout: Option<Duration>,
        cancel: &CancellationToken,
        on_event: impl Fn(StatementEvent),
    ) -> Result<StatementRows, Box<Failure>> {
        let text = self.text.clone();
        let rows = match self.is_local {
            true => self.run_here().await?,
            false => {
                let on_wait = |reason| on_event(StatementEvent::Waiting(reason));
                match wait_for_executor(cluster, executor_timeout, cancel, on_wait).await {
                    ExecutorWait::NotNeeded | ExecutorWait::Came => {}
                    ExecutorWait::TimedOut => return Err(Box::new(no_executor(executor_timeout))),
                    ExecutorWait::Cancelled => return Err(cancelled()),
                }
                self.run_on(cluster, cancel, &on_event).await?
            }
        };
        Ok(StatementRows { text, rows })
    }

    async fn run_here(self) -> Result<SendableRecordBatchStream, Box<Failure>> {
        let failed = |error: DataFusionError| Box::new(sql_failure(&self.text, &error));
        let frame = self.session.execute_logical_plan(self.plan).await;
        let rows = frame.map_err(failed)?.execute_stream().await;
        rows.map_err(failed)
    }

    async fn run_on(
        self,
        cluster: &dyn Cluster,
        cancel: &CancellationToken,
        on_event: &impl Fn(StatementEvent),
    ) -> Result<SendableRecordBatchStream, Box<Failure>> {
        let progress = watch::Sender::new(QueryProgress::default());
        let mut changes = progress.subscribe();
        let query = Query {
            label: "sql".to_owned(),
            session: self.session.into(),
            plan: self.plan,
            cancel: cancel.clone(),
            progress,
        };
        // Rows that were returned are not taken back: once they flow, what is lost is an error.
        let running = retry_lost_results(query, |_, _| {}, |query| cluster.execute(query));
        let mut running = std::pin::pin!(running);
        let run = loop {
            tokio::select! {
                biased;
                run = &mut running => break run,
                changed = changes.changed() => {
                    if changed.is_err() {
                        break running.await;
                    }
                    on_event(StatementEvent::Progress(changes.borrow_and_update().clone()));
                }
            }
        };
        Ok(run.map_err(|e| run_failure(&self.text, e))?.rows)
    }
}

impl StatementRows {
    /// The columns, known before the first row.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// The query failed on its way.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Box<Failure>>> {
        let batch = self.rows.next().await?;
        Some(batch.map_err(|error| run_failure(&self.text, error.into())))
    }
}

/// Whether a statement asks about tables rather than for their rows.
///
/// # Errors
/// It is no question at all.
fn is_about_tables(parsed: &Parsed) -> Result<bool, Box<Failure>> {
    match parsed {
        Parsed::Explain(_) => Ok(true),
        Parsed::Statement(statement) => match statement.as_ref() {
            ast::Statement::Query(_) => Ok(false),
            ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowVariable { .. }
            | ast::Statement::ShowVariables { .. }
            | ast::Statement::ShowCreate { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowSchemas { .. }
            | ast::Statement::ShowDatabases { .. } => Ok(true),
            other => Err(refused(&other.to_string())),
        },
        other => Err(refused(&other.to_string())),
    }
}

/// Tables about tables exist only in this process.
fn reads_information_schema(plan: &LogicalPlan) -> Result<bool, DataFusionError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.schema() == Some("information_schema")
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn cancelled() -> Box<Failure> {
    Box::new(Failure::new(
        FailureKind::Cancelled,
        "the statement was cancelled",
    ))
}

fn refused(statement: &str) -> Box<Failure> {
    let word = statement
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    Box::new(
        Failure::new(
            FailureKind::Project,
            format!("cannot run {word}: this is not a question"),
        )
        .note(ONLY_QUESTIONS),
    )
}

/// A statement that failed while it ran, at the place of its SQL where that shows it.
fn run_failure(text: &str, error: QueryError) -> Box<Failure> {
    if error.kind == QueryErrorKind::Plan
        && let Some(source) = &error.source
    {
        return Box::new(sql_failure(text, source));
    }
    let (kind, note) = match error.kind {
        QueryErrorKind::Plan => (FailureKind::Project, ""),
        QueryErrorKind::Cancelled => (FailureKind::Cancelled, ""),
        QueryErrorKind::NoExecutor => (FailureKind::NoExecutor, "start an executor and ask again"),
        QueryErrorKind::ResultLost => (FailureKind::Execution, "ask again"),
        QueryErrorKind::Storage if error.is_of_changed_file() => (FailureKind::Storage, ""),
        QueryErrorKind::Storage => (
            FailureKind::Storage,
            "check that the store can be reached, then ask again",
        ),
        QueryErrorKind::Resources => (
            FailureKind::Execution,
            "give executors more memory (resources.memory_bytes) or fewer slots",
        ),
        QueryErrorKind::Execution => (FailureKind::Execution, ""),
    };
    let (cause, way_out) = run_words(&error.message);
    let mut failure = Failure::new(kind, "cannot run the statement")
        .cause(cause)
        .caused_by(&error);
    if kind == FailureKind::Execution {
        failure = at_suspects(failure, text, &error.message);
    }
    failure.notes.extend(way_out);
    failure.stage = error.stage;
    failure.retryable = matches!(kind, FailureKind::NoExecutor | FailureKind::Storage)
        && !error.is_of_changed_file();
    if !note.is_empty() {
        failure = failure.note(note);
    }
    Box::new(failure)
}
