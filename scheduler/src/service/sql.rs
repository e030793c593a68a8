//! One statement of a person: planned against the published tables, run on the executors, its rows streamed.
//!
//! ```text
//! text ─ allowed? ─ plan ─┬─ SELECT …                      ─ Cluster::execute ─┐
//!                         └─ SHOW, DESCRIBE, EXPLAIN, and   ─ this process    ─┴─ Arrow IPC chunks
//!                            what reads the information schema
//! ```

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use futures::stream::BoxStream;
use retail_api::events::StageProgress;
use retail_api::{Failure, FailureKind, codec};
use retail_engine::{
    Cluster, Query, QueryError, QueryErrorKind, QueryProgress, catalog_session, retry_lost_results,
};
use retail_jobs::sql_errors::{at_suspects_of, run_words, sql_failure};
use retail_lakehouse::Lakehouse;
use retail_proto::v1;
use retail_proto::v1::sql_response::Response;
use retail_sql as sql;
use retail_telemetry::{metrics, trace};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::rows::send_rows;
use crate::admission::{Class, Gate, Ticket, Turn};

/// Messages that lie ready for a client that reads slowly.
const BUFFERED: usize = 4;
/// The way out of everything that is not a question.
pub(super) const ONLY_QUESTIONS: &str =
    "tables change only through jobs; use SELECT, SHOW, DESCRIBE or EXPLAIN here";

/// What a client asks for.
pub(super) struct Statement {
    pub(super) text: String,
    /// None = all.
    pub(super) max_rows: Option<usize>,
    /// None waits without end.
    pub(super) executor_timeout: Option<Duration>,
    /// The client's span, as W3C writes it.
    pub(super) traceparent: Option<String>,
}

pub(super) type Out = mpsc::Sender<Result<v1::SqlResponse, Status>>;

/// Runs a statement. Dropping the stream cancels it.
pub(super) fn run(
    statement: Statement,
    lake: Lakehouse,
    cluster: Arc<dyn Cluster>,
    gate: Gate,
) -> BoxStream<'static, Result<v1::SqlResponse, Status>> {
    let (out, messages) = mpsc::channel(BUFFERED);
    let cancel = CancellationToken::new();
    let guard: DropGuard = cancel.clone().drop_guard();
    let span = tracing::info_span!(
        parent: None,
        "sql",
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    if let Some(client) = &statement.traceparent {
        trace::follow(&span, client);
    }
    let answering = async move {
        let mut work = std::pin::pin!(answer(&statement, &lake, &cluster, &gate, &cancel, &out));
        let answer = tokio::select! {
            answer = &mut work => answer,
            () = out.closed() => {
                // A query that is dropped would go on; one that hears of it stops its tasks.
                cancel.cancel();
                work.await
            }
        };
        count(&answer);
        if let Err(failure) = answer {
            tracing::info!(%failure, "statement failed");
            let span = Span::current();
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", failure.kind.as_ref());
            let _ = out.send(Err(codec::status_of(*failure))).await;
        }
    };
    tokio::spawn(answering.instrument(span));
    ReceiverStream::new(messages)
        .map(move |message| {
            let _keep = &guard;
            message
        })
        .boxed()
}

/// Counts a statement that ended, by what it came to.
fn count(answer: &Result<(), Box<Failure>>) {
    let outcome = match answer.as_ref().map_err(|failure| failure.kind) {
        Ok(()) => "succeeded",
        Err(FailureKind::Cancelled) => "cancelled",
        // It is no question, or there is no plan for it.
        Err(FailureKind::Project) => "refused",
        Err(_) => "failed",
    };
    metrics()
        .statements_total
        .with_label_values(&[outcome])
        .inc();
}

async fn answer(
    statement: &Statement,
    lake: &Lakehouse,
    cluster: &Arc<dyn Cluster>,
    gate: &Gate,
    cancel: &CancellationToken,
    out: &Out,
) -> Result<(), Box<Failure>> {
    let session = catalog_session(Arc::clone(cluster), lake).await?;
    let (mut plan, place) = plan(&session, &statement.text).await?;
    if let (Some(max_rows), Place::Cluster) = (statement.max_rows, place) {
        let limited = LogicalPlanBuilder::from(plan)
            .limit(0, Some(max_rows))
            .and_then(LogicalPlanBuilder::build);
        plan = limited.map_err(|e| plan_failure(&statement.text, &e))?;
    }
    // Held until the rows are sent: till then the query holds memory and files of executors.
    let mut ticket = None;
    let rows = match place {
        Place::Here => {
            let frame = session.execute_logical_plan(plan).await;
            let frame = frame.map_err(|e| plan_failure(&statement.text, &e))?;
            frame
                .execute_stream()
                .await
                .map_err(|e| plan_failure(&statement.text, &e))?
        }
        Place::Cluster => {
            let admitted = ticket.insert(gate.enter(Class::Statement));
            admit(admitted, cancel, out).await?;
            on_cluster(statement, cluster, session, plan, cancel, out).await?
        }
    };
    tokio::select! {
        sent = send_rows(rows, &statement.text, out) => sent,
        () = cancel.cancelled() => Err(gone()),
    }
}

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    Cluster,
}

/// Plans a statement, if it is a question.
pub(super) async fn plan(
    session: &SessionContext,
    text: &str,
) -> Result<(LogicalPlan, Place), Box<Failure>> {
    let state = session.state();
    let parsed = sql::parse(&state, text).map_err(|e| plan_failure(text, &e))?;
    let asks_about = match &parsed {
        Parsed::Explain(_) => true,
        Parsed::Statement(statement) => match statement.as_ref() {
            ast::Statement::Query(_) => false,
            ast::Statement::Explain { .. }
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowVariable { .. }
            | ast::Statement::ShowVariables { .. }
            | ast::Statement::ShowCreate { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowSchemas { .. }
            | ast::Statement::ShowDatabases { .. } => true,
            other => return Err(Box::new(refused(&other.to_string()))),
        },
        other => return Err(Box::new(refused(&other.to_string()))),
    };
    let plan = sql::plan_statement(&state, parsed)
        .await
        .map_err(|e| plan_failure(text, &e))?;
    // What the statement's first word hides: WITH … INSERT, EXPLAIN of a DELETE, SELECT … INTO.
    let questions = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    if questions.verify_plan(&plan).is_err() {
        return Err(Box::new(refused(text)));
    }
    let here = asks_about || reads_information_schema(&plan).map_err(|e| plan_failure(text, &e))?;
    Ok((plan, if here { Place::Here } else { Place::Cluster }))
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

/// Waits for a statement's turn.
async fn admit(
    ticket: &mut Ticket,
    cancel: &CancellationToken,
    out: &Out,
) -> Result<(), Box<Failure>> {
    loop {
        let turn = tokio::select! {
            turn = ticket.turn() => turn,
            () = cancel.cancelled() => return Err(gone()),
        };
        match turn {
            Some(Turn::Wait { reason }) => {
                send(out, Response::Waiting(v1::Waiting { reason })).await?;
            }
            Some(Turn::Start { waited }) => {
                let seconds = waited.as_secs_f64();
                metrics().statement_queue_seconds.observe(seconds);
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

async fn on_cluster(
    statement: &Statement,
    cluster: &Arc<dyn Cluster>,
    session: SessionContext,
    plan: LogicalPlan,
    cancel: &CancellationToken,
    out: &Out,
) -> Result<SendableRecordBatchStream, Box<Failure>> {
    if cluster.status().await.slots() == 0 {
        let reason =
            "no executor has a free slot (0 of 0); start one with retail-executor".to_owned();
        send(out, Response::Waiting(v1::Waiting { reason })).await?;
        let came = tokio::select! {
            came = cluster.wait_for_executor(statement.executor_timeout) => came,
            () = cancel.cancelled() => return Err(gone()),
        };
        if !came {
            return Err(Box::new(no_executor(statement.executor_timeout)));
        }
    }
    let progress = watch::Sender::new(QueryProgress::default());
    let mut changes = progress.subscribe();
    let query = Query {
        label: "sql".to_owned(),
        session: Arc::new(session),
        plan,
        cancel: cancel.clone(),
        progress,
    };
    // Rows that the client has are not taken back: once they flow, what is lost is an error.
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
                let now = stage_progress(&changes.borrow_and_update()).into();
                // A client that reads slowly gets fewer of these.
                let _ = out.try_send(Ok(v1::SqlResponse { response: Some(Response::Progress(now)) }));
            }
        }
    };
    Ok(run.map_err(|e| query_failure(&statement.text, e))?.rows)
}

/// How far a query outside jobs is; it has no model.
fn stage_progress(of: &QueryProgress) -> StageProgress {
    StageProgress {
        model: String::new(),
        stage: of.stage,
        stages: of.stages,
        tasks_done: of.tasks_done,
        tasks: of.tasks,
        tasks_retried: of.tasks_retried,
        rows: of.rows,
        bytes: of.bytes,
    }
}

pub(super) async fn send(out: &Out, response: Response) -> Result<(), Box<Failure>> {
    let sent = out
        .send(Ok(v1::SqlResponse {
            response: Some(response),
        }))
        .await;
    sent.map_err(|_| gone())
}

fn gone() -> Box<Failure> {
    Box::new(Failure::new(
        FailureKind::Cancelled,
        "the client disconnected",
    ))
}

fn refused(statement: &str) -> Failure {
    let word = statement
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    Failure::new(
        FailureKind::Project,
        format!("cannot run {word}: this is not a question"),
    )
    .note(ONLY_QUESTIONS)
}

fn no_executor(timeout: Option<Duration>) -> Failure {
    let waited = timeout.map_or_else(String::new, |t| format!(" after {:.0} s", t.as_secs_f64()));
    Failure::new(FailureKind::NoExecutor, format!("no executor came{waited}"))
        .note("start one with retail-executor --scheduler URL, or wait longer with --timeout")
        .retryable(true)
}

/// SQL that does not parse or plan, with the place in the text where it is known.
fn plan_failure(text: &str, error: &DataFusionError) -> Box<Failure> {
    Box::new(sql_failure(text, error))
}

pub(super) fn query_failure(text: &str, error: QueryError) -> Box<Failure> {
    if error.kind == QueryErrorKind::Plan
        && let Some(source) = &error.source
    {
        return plan_failure(text, source);
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
        failure = at_suspects_of(failure, text, &error.message);
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
