//! Runs one model: its SQL on the cluster, its rows into data files, its files into staged metadata.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use retail_engine::{Query, QueryError, QueryProgress, retry_lost_results};
use retail_lakehouse::WriteOptions;
use retail_lakehouse::{
    PUBLISH_ID, Relation, SourceFiles, Staged, WriteMode, data_files, write_plan,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::relations::Relations;
use super::views::{self, ViewInputs};
use super::{EventSink, JobContext, JobSpec, failures, send, spans};
use crate::quality::contract;
use crate::sql_errors;
use retail_api::Failure;
use retail_api::events::{EventKind, StageProgress};
use retail_project::{Materialized, Model};

/// What one model produced.
#[derive(Debug)]
pub(super) struct ModelResult {
    /// None for an ephemeral model.
    pub staged: Option<Staged>,
    pub rows: u64,
    pub bytes: u64,
    pub files: u32,
    pub stages: u32,
    pub elapsed_ms: u64,
}

/// What a model reads.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a> {
    /// The names that its SQL can use.
    pub relations: &'a Arc<Relations>,
    /// The files it is made of.
    pub sources: Option<&'a SourceFiles>,
}

/// Runs a model and puts its result where the models after it read it.
///
/// # Errors
/// What failed, with the model's file and, for SQL, its line and column.
pub(super) async fn run(
    spec: &JobSpec,
    context: &JobContext,
    reads: Reads<'_>,
    model: &Model,
    attempt: u32,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<ModelResult, Failure> {
    let span = spans::model(spec, model, attempt);
    let run = run_model(spec, context, reads, model, attempt, events, cancel);
    let outcome = run.instrument(span.clone()).await;
    spans::ended(&span, &outcome);
    outcome
}

async fn run_model(
    spec: &JobSpec,
    context: &JobContext,
    reads: Reads<'_>,
    model: &Model,
    attempt: u32,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<ModelResult, Failure> {
    let Reads { relations, sources } = reads;
    let started = Instant::now();
    send(
        events,
        EventKind::ModelStarted {
            model: model.table.to_string(),
            attempt,
        },
    );
    let mut result = match model.materialized {
        Materialized::Ephemeral => ephemeral(relations, model).await?,
        Materialized::View => view(spec, context, relations, model).await?,
        Materialized::Table => {
            table(spec, context, relations, model, sources, events, cancel).await?
        }
    };
    result.elapsed_ms = started.elapsed().as_millis() as u64;
    send(
        events,
        EventKind::ModelStaged {
            model: model.table.to_string(),
            rows: result.rows,
            bytes: result.bytes,
            files: result.files,
            stages: result.stages,
            elapsed_ms: result.elapsed_ms,
        },
    );
    Ok(result)
}

fn nothing_written(staged: Option<Staged>) -> ModelResult {
    ModelResult {
        staged,
        rows: 0,
        bytes: 0,
        files: 0,
        stages: 0,
        elapsed_ms: 0,
    }
}

async fn ephemeral(relations: &Arc<Relations>, model: &Model) -> Result<ModelResult, Failure> {
    let table = relations
        .view(&model.sql)
        .await
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    relations.put(model.table.clone(), table);
    Ok(nothing_written(None))
}

async fn view(
    spec: &JobSpec,
    context: &JobContext,
    relations: &Arc<Relations>,
    model: &Model,
) -> Result<ModelResult, Failure> {
    let table = relations
        .view(&model.sql)
        .await
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    let (base, replaced) = match load(context, relations, model).await? {
        Some(Relation::View(view)) => (Some(view), None),
        Some(Relation::Table(table)) => (None, Some(table)),
        None => (None, None),
    };
    let inputs = ViewInputs::needed_by(&spec.project, model).remember()?;
    let sql = model.sql.trim().trim_end_matches(';');
    let staged = context
        .lake
        .stage_view(&model.table, base.as_ref(), &table.schema(), sql, inputs)
        .await
        .map_err(|e| failures::lakehouse(&format!("cannot stage view {}", model.table), &e))?;
    let staged = match replaced {
        Some(table) => staged.replacing(&table),
        None => staged,
    };
    relations.put(model.table.clone(), table);
    Ok(nothing_written(Some(Staged::View(staged))))
}

async fn table(
    spec: &JobSpec,
    context: &JobContext,
    relations: &Arc<Relations>,
    model: &Model,
    sources: Option<&SourceFiles>,
    events: &EventSink,
    cancel: &CancellationToken,
) -> Result<ModelResult, Failure> {
    let cannot = |doing: &str| format!("cannot {doing} table {}", model.table);
    let (base, replaced) = match load(context, relations, model).await? {
        Some(Relation::Table(table)) => (Some(table), None),
        Some(Relation::View(view)) => (None, Some(view)),
        None => (None, None),
    };
    let session = relations
        .session()
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    let plan = retail_sql::plan(&session.state(), &model.sql).await;
    let plan = plan.map_err(|e| sql_errors::plan_failure(model, &e))?;
    let plan = contract::in_order(model, plan).map_err(|e| sql_errors::plan_failure(model, &e))?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    let target = context
        .lake
        .begin_write(&model.table, base.as_ref(), &schema, &write_options(model))
        .map_err(|e| failures::lakehouse(&cannot("write"), &e))?;
    let plan = write_plan(&target, plan).map_err(|e| failures::lakehouse(&cannot("write"), &e))?;

    let progress = watch::Sender::new(QueryProgress::default());
    let told = forward(progress.subscribe(), model.table.to_string(), events);
    let query = Query {
        label: format!("{} {}", spec.id, model.table),
        session: Arc::new(session),
        plan,
        cancel: cancel.clone(),
        progress,
    };
    let again = |run, error: &QueryError| {
        let restarted = EventKind::QueryRestarted {
            model: model.table.to_string(),
            run,
            reason: error.message.clone(),
        };
        send(events, restarted);
    };
    let whole = retry_lost_results(query, again, |query| rows_of(context, query));
    // The last progress is told before the model's end: telling stops when the query lets go of its sender.
    let (outcome, ()) = tokio::join!(whole, told);
    let (written, stages) = match outcome {
        Ok(done) => done,
        Err(error) => {
            let read = views::sources_behind(&spec.project, model);
            let failure = failures::query(model, &read, context.lake.stores(), error).await;
            return Err(failure.note(format!(
                "files that were written and no table refers to: {}",
                target.orphans()
            )));
        }
    };
    let files =
        data_files(&target, &written).map_err(|e| failures::lakehouse(&cannot("write"), &e))?;
    let rows = files.rows();
    let bytes = files.bytes();
    let count = files.len() as u32;
    let mut summary = match sources {
        Some(sources) => context
            .lake
            .remember_sources(&target, sources)
            .await
            .map_err(|e| failures::lakehouse(&cannot("stage"), &e))?,
        None => HashMap::new(),
    };
    summary.extend([
        (PUBLISH_ID.to_string(), spec.id.to_string()),
        ("retail.model".to_string(), model.table.to_string()),
        ("retail.project".to_string(), spec.project.name.clone()),
    ]);
    let staged = context
        .lake
        .stage(&target, WriteMode::Overwrite, files, summary)
        .await
        .map_err(|e| failures::lakehouse(&cannot("stage"), &e))?;
    let staged = match replaced {
        Some(view) => staged.replacing(&view),
        None => staged,
    };
    let provider = context.lake.scan(staged.table()).await;
    relations.put(
        model.table.clone(),
        provider.map_err(|e| failures::lakehouse(&cannot("read back"), &e))?,
    );
    Ok(ModelResult {
        staged: Some(Staged::Table(staged)),
        rows,
        bytes,
        files: count,
        stages,
        elapsed_ms: 0,
    })
}

/// Runs a query and reads its rows.
async fn rows_of(
    context: &JobContext,
    query: Query,
) -> Result<(Vec<RecordBatch>, u32), QueryError> {
    let run = context.cluster.execute(query).await?;
    let rows: Vec<_> = run.rows.try_collect().await.map_err(QueryError::from)?;
    Ok((rows, run.stages))
}

async fn load(
    context: &JobContext,
    relations: &Relations,
    model: &Model,
) -> Result<Option<Relation>, Failure> {
    let loaded = context.lake.load(relations.pin(), &model.table).await;
    loaded.map_err(|e| failures::lakehouse(&format!("cannot read table {}", model.table), &e))
}

/// Sends a query's progress as the model's.
async fn forward(mut progress: watch::Receiver<QueryProgress>, model: String, events: &EventSink) {
    while progress.changed().await.is_ok() {
        let now = progress.borrow_and_update().clone();
        send(
            events,
            EventKind::StageProgress(StageProgress {
                model: model.clone(),
                stage: now.stage,
                stages: now.stages,
                tasks_done: now.tasks_done,
                tasks: now.tasks,
                tasks_retried: now.tasks_retried,
                rows: now.rows,
                bytes: now.bytes,
            }),
        );
    }
}

/// How a model's table is written.
pub(super) fn write_options(model: &Model) -> WriteOptions {
    WriteOptions {
        partition_by: model.config.partition_by.clone(),
        ..WriteOptions::default()
    }
}
