//! `run`, `test` and `watch`: hand in a job, follow it to its end.

use retail_proto::v1;
use serde_json::json;

use crate::cli::RunArgs;
use crate::error::SubmitError;
use crate::project::{Packed, submitted_by};
use crate::session::{App, Session};
use crate::steps::job::{follow_to_end, submit_and_follow};

/// `retail-submit run`, and with `tests_only` `retail-submit test`.
pub(crate) async fn run(app: &App, args: &RunArgs, tests_only: bool) -> Result<(), SubmitError> {
    let packed = Packed::read(&args.project)?;
    let session = Session::open_for(app, &args.local, true, &packed.places()?).await?;
    let result = run_on(app, &session, &packed, args, tests_only).await;
    session.close().await;
    result
}

async fn run_on(
    app: &App,
    session: &Session,
    packed: &Packed,
    args: &RunArgs,
    tests_only: bool,
) -> Result<(), SubmitError> {
    let request = v1::SubmitRequest {
        files: packed.wire_files(),
        project_dir: packed.dir.clone(),
        select: args.select.clone(),
        exclude: args.exclude.clone(),
        vars_json: packed.vars_json(),
        submitted_by: submitted_by(),
        executor_timeout_ms: args.timeout.unwrap_or(0),
        tests_only,
        allow_removed_files: args.allow_removed_files,
        keep_foreign_rows: args.keep_foreign_rows,
    };
    if args.detach {
        let job_id = session.client.submit(request).await?;
        app.console.note(&format!(
            "watch it: {}",
            session.advise(&format!("watch {}", job_id.short()))
        ));
        return match app.console.json {
            true => app.console.print_json(&json!({"job_id": job_id})),
            false => app.console.print(job_id.as_str()),
        };
    }
    submit_and_follow(app, session, request).await.map(|_| ())
}

/// `retail-submit watch JOB`.
pub(crate) async fn watch(app: &App, job_id: &str) -> Result<(), SubmitError> {
    let session = Session::remote(app).await?;
    follow_to_end(app, &session, &job_id.into(), None)
        .await
        .map(|_| ())
}
