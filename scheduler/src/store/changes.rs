//! What follows from an event for the rows of its job and models. Pure: the store performs it.

use super::statements::{self as sql, Statement, statement};
use retail_api::events::{EventKind, JobEvent};
use retail_api::job::{JobState, ModelState};

/// The statements that bring a job's rows up to date with an event.
pub(super) fn of(event: &JobEvent) -> Vec<Statement> {
    let job = event.job_id.as_str();
    let on_job = |text| statement(text).text(job);
    let on_model = |text, model: &str, state: ModelState| {
        statement(text).text(job).text(model).text(state.as_ref())
    };
    let count = || on_job(sql::COUNT_MODELS);
    match &event.kind {
        EventKind::Planned { models, .. } => {
            let start = on_job(sql::START_JOB)
                .text(JobState::Running.as_ref())
                .int(event.time_us)
                .int(models.len() as i64);
            let insert = |(at, model): (usize, &retail_api::events::PlannedModel)| {
                statement(sql::INSERT_MODEL)
                    .text(job)
                    .text(&model.model)
                    .int(at as i64)
                    .text(ModelState::Waiting.as_ref())
            };
            std::iter::once(start)
                .chain(models.iter().enumerate().map(insert))
                .collect()
        }
        EventKind::AttemptStarted { attempt } => vec![
            on_job(sql::SET_ATTEMPTS).int(i64::from(*attempt)),
            // What an earlier attempt staged is gone.
            on_job(sql::RESET_MODELS).text(ModelState::Waiting.as_ref()),
            on_job(sql::RESET_TESTS),
            count(),
        ],
        EventKind::ModelStarted { model, .. } => {
            vec![on_model(sql::START_MODEL, model, ModelState::Running).int(event.time_us)]
        }
        EventKind::ModelStaged {
            model,
            rows,
            bytes,
            files,
            stages,
            ..
        } => vec![
            on_model(sql::STAGE_MODEL, model, ModelState::Staged)
                .int(*rows as i64)
                .int(*bytes as i64)
                .int(i64::from(*files))
                .int(i64::from(*stages))
                .int(event.time_us),
            count(),
        ],
        EventKind::ModelFailed { model, .. } => {
            vec![on_model(sql::END_MODEL, model, ModelState::Failed).int(event.time_us)]
        }
        EventKind::ModelSkipped { model, .. } => {
            vec![on_model(sql::END_MODEL, model, ModelState::Skipped).int(event.time_us)]
        }
        EventKind::Tested { results, .. } => {
            let insert = |(at, result): (usize, &retail_api::job::TestResult)| {
                let failure = result
                    .failure
                    .as_ref()
                    .and_then(|f| serde_json::to_string(f).ok())
                    .unwrap_or_default();
                on_job(sql::INSERT_TEST)
                    .int(at as i64)
                    .text(&result.test)
                    .text(&result.about)
                    .text(result.column.as_deref().unwrap_or_default())
                    .text(&result.path)
                    .int(i64::from(result.line))
                    .text(result.state.as_ref())
                    .int(result.failures)
                    .int(result.elapsed_ms as i64)
                    .text(&failure)
            };
            results.iter().enumerate().map(insert).collect()
        }
        EventKind::Published { tables, .. } => {
            let published = tables.iter().map(|t| {
                on_model(sql::PUBLISH_MODEL, &t.table, ModelState::Published)
                    .int(t.snapshot_id.map_or(0, i64::from))
            });
            published.chain([all_published(job)]).collect()
        }
        EventKind::Finished { state, failure, .. } => {
            let failure = failure
                .as_ref()
                .and_then(|f| serde_json::to_string(f).ok())
                .unwrap_or_default();
            let finish = on_job(sql::FINISH_JOB)
                .text(state.as_ref())
                .int(event.time_us)
                .text(&failure);
            match state {
                JobState::Succeeded => vec![finish, all_published(job), count()],
                _ => vec![finish, on_job(sql::NOTHING_WRITTEN)],
            }
        }
        EventKind::Queued { .. }
        | EventKind::TestsStarted { .. }
        | EventKind::Waiting { .. }
        | EventKind::StageProgress(_)
        | EventKind::QueryRestarted { .. }
        | EventKind::Warning { .. }
        | EventKind::ExecutorLost { .. } => vec![],
    }
}

/// Everything that was staged became visible together.
fn all_published(job: &str) -> Statement {
    statement(sql::MOVE_MODELS)
        .text(job)
        .text(ModelState::Staged.as_ref())
        .text(ModelState::Published.as_ref())
}
