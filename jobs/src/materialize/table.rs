//! Tables: a model's rows into data files on the cluster, its files into staged metadata.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use retail_api::Failure;
use retail_api::events::{EventKind, StageProgress};
use retail_engine::{Query, QueryError, QueryProgress, retry_lost_results};
use retail_lakehouse::{
    LakehouseError, PUBLISH_ID, Relation, Staged, WriteMode, WriteOptions, data_files, write_plan,
};
use retail_project::Model;
use tokio::sync::watch;

use super::Reads;
use super::outcome::Outcome;
use crate::job::{Attempt, EventSink, JobContext, send};
use crate::quality::contract;
use crate::{failures, sql_errors};

pub(super) async fn write(
    attempt: &Attempt<'_>,
    reads: Reads<'_>,
    model: &Model,
) -> Result<Outcome, Failure> {
    let (context, events) = (attempt.context, attempt.events);
    let catalog = reads.catalog;
    let cannot = |doing: &'static str| {
        move |e: LakehouseError| e.to_failure(&format!("cannot {doing} table {}", model.table))
    };
    let published = context.lake.load(catalog.pin(), &model.table).await;
    let (base, replaced) = match published.map_err(cannot("read"))? {
        Some(Relation::Table(table)) => (Some(table), None),
        Some(Relation::View(view)) => (None, Some(view)),
        None => (None, None),
    };
    let session = catalog
        .session()
        .map_err(|e| sql_errors::plan_failure(model, &e))?;
    let plan = retail_sql::plan(&session.state(), &model.sql).await;
    let plan = plan.map_err(|e| sql_errors::plan_failure(model, &e))?;
    let plan = contract::in_order(model, plan).map_err(|e| sql_errors::plan_failure(model, &e))?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    let target = context
        .lake
        .begin_write(&model.table, base.as_ref(), &schema, &write_options(model))
        .map_err(cannot("write"))?;
    let plan = write_plan(&target, plan).map_err(cannot("write"))?;

    let progress = watch::Sender::new(QueryProgress::default());
    let forwarded = forward(progress.subscribe(), model.table.to_string(), events);
    let query = Query {
        label: format!("{} {}", attempt.spec.id, model.table),
        session: Arc::new(session),
        plan,
        cancel: attempt.cancel.clone(),
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
    // The last progress is sent before the model's end: forwarding stops when the query drops its sender.
    let (outcome, ()) = tokio::join!(whole, forwarded);
    let (written, stages) = match outcome {
        Ok(done) => done,
        Err(error) => {
            let read = attempt.spec.project.sources_behind(model);
            let failure = failures::query(model, &read, context.lake.stores(), error).await;
            return Err(failure.note(format!(
                "files that were written and no table refers to: {}",
                target.orphans()
            )));
        }
    };
    let files = data_files(&target, &written).map_err(cannot("write"))?;
    let rows = files.rows();
    let bytes = files.bytes();
    let count = files.len() as u32;
    let mut summary = match reads.files {
        Some(files) => context
            .lake
            .remember_sources(&target, files)
            .await
            .map_err(cannot("stage"))?,
        None => HashMap::new(),
    };
    summary.extend([
        (PUBLISH_ID.to_string(), attempt.spec.id.to_string()),
        ("retail.model".to_string(), model.table.to_string()),
        (
            "retail.project".to_string(),
            attempt.spec.project.name.clone(),
        ),
    ]);
    let staged = context
        .lake
        .stage(&target, WriteMode::Overwrite, files, summary)
        .await
        .map_err(cannot("stage"))?;
    let staged = match replaced {
        Some(view) => staged.replacing(&view),
        None => staged,
    };
    let provider = context.lake.scan(staged.table()).await;
    let provider = provider.map_err(cannot("read back"))?;
    catalog.put(model.table.clone(), provider);
    Ok(Outcome {
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
pub(crate) fn write_options(model: &Model) -> WriteOptions {
    WriteOptions {
        partition_by: model.config.partition_by.clone(),
        ..WriteOptions::default()
    }
}
