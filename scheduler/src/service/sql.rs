//! `retail.v1.Query/Sql`: one statement, its rows streamed as Arrow IPC.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use retail_api::events::StageProgress;
use retail_api::{Failure, FailureKind, codec};
use retail_engine::statement::{Statement, StatementEvent};
use retail_engine::{Cluster, QueryProgress, catalog_session};
use retail_lakehouse::Lakehouse;
use retail_proto::v1;
use retail_proto::v1::sql_response::Response;
use retail_telemetry::{metrics, trace};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::rows::send_rows;
use crate::admission::{Class, Gate, Ticket, Turn};

/// Messages that lie ready for a client that reads slowly.
const BUFFERED: usize = 4;

/// What a client requests.
pub(super) struct Request {
    pub(super) text: String,
    /// `None` = all.
    pub(super) max_rows: Option<usize>,
    /// `None` waits without end.
    pub(super) executor_timeout: Option<Duration>,
    /// The client's span, as W3C writes it.
    pub(super) traceparent: Option<String>,
}

pub(super) type Out = mpsc::Sender<Result<v1::SqlResponse, Status>>;

/// Runs a statement. Dropping the stream cancels it.
pub(super) fn run(
    request: Request,
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
    if let Some(client) = &request.traceparent {
        trace::follow(&span, client);
    }
    let answering = async move {
        let mut work = std::pin::pin!(answer(&request, &lake, &cluster, &gate, &cancel, &out));
        let answer = tokio::select! {
            answer = &mut work => answer,
            () = out.closed() => {
                // A query that is dropped would go on; one that is cancelled stops its tasks.
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
    request: &Request,
    lake: &Lakehouse,
    cluster: &Arc<dyn Cluster>,
    gate: &Gate,
    cancel: &CancellationToken,
    out: &Out,
) -> Result<(), Box<Failure>> {
    let session = catalog_session(Arc::clone(cluster), lake).await?;
    let statement = Statement::plan(session, &request.text, request.max_rows).await?;
    // Held until the rows are sent: till then the query holds memory and files of executors.
    let mut ticket = None;
    if !statement.is_local() {
        let ticket = ticket.insert(gate.enter(Class::Statement));
        admit(ticket, cancel, out).await?;
    }
    // A client that reads slowly gets fewer of these.
    let on_event = |event| {
        let _ = out.try_send(Ok(response(shown(event))));
    };
    let rows = statement
        .run(cluster.as_ref(), request.executor_timeout, cancel, on_event)
        .await?;
    tokio::select! {
        sent = send_rows(rows, out) => sent,
        () = cancel.cancelled() => Err(disconnected()),
    }
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
            () = cancel.cancelled() => return Err(disconnected()),
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

fn shown(event: StatementEvent) -> Response {
    match event {
        StatementEvent::Waiting(reason) => Response::Waiting(v1::Waiting { reason }),
        StatementEvent::Progress(progress) => Response::Progress(stage_progress(&progress).into()),
    }
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

pub(super) async fn send(out: &Out, part: Response) -> Result<(), Box<Failure>> {
    let sent = out.send(Ok(response(part))).await;
    sent.map_err(|_| disconnected())
}

fn response(part: Response) -> v1::SqlResponse {
    v1::SqlResponse {
        response: Some(part),
    }
}

fn disconnected() -> Box<Failure> {
    Box::new(Failure::new(
        FailureKind::Cancelled,
        "the client disconnected",
    ))
}
