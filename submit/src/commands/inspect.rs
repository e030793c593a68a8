//! Commands that show what there is and change nothing, and `cancel`.

use retail_api::clock::now_us;
use retail_api::job::JobState;
use retail_proto::v1;
use serde::Serialize;
use serde_json::json;

use crate::cli::{LocalArgs, ProjectArgs};
use crate::error::SubmitError;
use crate::project::Packed;
use crate::render::failure::{self, Places};
use crate::render::lists;
use crate::session::{App, Session};

/// One object per line, or the lines of a table.
fn show<T: Serialize>(
    app: &App,
    items: &[T],
    lines: impl FnOnce(&[T]) -> Vec<String>,
) -> Result<(), SubmitError> {
    match app.console.json {
        true => items
            .iter()
            .try_for_each(|item| app.console.print_json(item)),
        false => app.console.print_all(lines(items)),
    }
}

/// `retail-submit jobs`.
pub(crate) async fn jobs(app: &App, local: &LocalArgs, limit: u32) -> Result<(), SubmitError> {
    let session = Session::open(app, local, false).await?;
    let jobs = session.client.list_jobs(limit).await;
    session.close().await;
    show(app, &jobs?, |jobs| {
        lists::jobs(jobs, now_us(), app.console.out)
    })
}

/// `retail-submit job JOB`.
pub(crate) async fn job(app: &App, local: &LocalArgs, id: &str) -> Result<(), SubmitError> {
    let session = Session::open(app, local, false).await?;
    let job = session.client.job(id).await;
    session.close().await;
    let job = job?;
    if app.console.json {
        return app.console.print_json(&job);
    }
    let paint = app.console.out;
    app.console.print_all(lists::job(&job, now_us(), paint))?;
    match &job.failure {
        Some(failure) => app.console.print_all(failure::lines(
            failure,
            &Places::of_project(None),
            paint,
            app.console.verbose > 0,
        )),
        None => Ok(()),
    }
}

/// `retail-submit cancel JOB`.
pub(crate) async fn cancel(app: &App, id: &str) -> Result<(), SubmitError> {
    let session = Session::remote(app).await?;
    let state = session.client.cancel(id).await?;
    if app.console.json {
        return app
            .console
            .print_json(&json!({"job_id": id, "state": state}));
    }
    app.console.print(&match state {
        JobState::Cancelled => format!("job {id} cancelled; of its tables nothing was published"),
        JobState::Queued | JobState::Running => format!(
            "job {id} is being cancelled; see it end: {}",
            session.advise(&format!("watch {id}"))
        ),
        ended => format!(
            "job {id} had already {}; nothing was cancelled",
            match ended {
                JobState::Interrupted => "been interrupted",
                ref other => other.as_ref(),
            }
        ),
    })
}

/// `retail-submit executors`.
pub(crate) async fn executors(app: &App) -> Result<(), SubmitError> {
    let session = Session::remote(app).await?;
    let status = session.client.status().await?;
    match app.console.json {
        true => app.console.print_json(&status),
        false => app
            .console
            .print_all(lists::executors(&status, now_us(), app.console.out)),
    }
}

/// `retail-submit tables [NAMESPACE]`.
pub(crate) async fn tables(
    app: &App,
    local: &LocalArgs,
    namespace: &str,
) -> Result<(), SubmitError> {
    let session = Session::open(app, local, false).await?;
    let tables = session.client.tables(namespace).await;
    session.close().await;
    show(app, &tables?, |tables| {
        lists::tables(tables, now_us(), app.console.out)
    })
}

/// `retail-submit snapshots TABLE`.
pub(crate) async fn snapshots(
    app: &App,
    local: &LocalArgs,
    table: &str,
) -> Result<(), SubmitError> {
    let session = Session::open(app, local, false).await?;
    let snapshots = session.client.snapshots(table).await;
    session.close().await;
    show(app, &snapshots?, |snapshots| {
        lists::snapshots(snapshots, now_us(), app.console.out)
    })
}

/// `retail-submit explain MODEL…`.
pub(crate) async fn explain(
    app: &App,
    local: &LocalArgs,
    project: &ProjectArgs,
    models: &[String],
) -> Result<(), SubmitError> {
    let packed = Packed::read(project)?;
    let session = Session::open_for(app, local, false, &packed.places()?).await?;
    let request = v1::ExplainRequest {
        files: packed.wire_files(),
        project_dir: packed.dir.clone(),
        select: models.to_vec(),
        vars_json: packed.vars_json(),
    };
    let explained = session.client.explain(request).await;
    session.close().await;
    show(app, &explained?, |models| {
        let one = |model| lists::explanation(model, app.console.verbose > 0, app.console.out);
        models
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .join(&String::new())
    })
}
