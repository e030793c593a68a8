//! A job from its submission to its end.

use retail_api::JobId;
use retail_api::job::JobState;
use retail_proto::v1;

use crate::error::SubmitError;
use crate::progress::follow::{Watched, follow, settle};
use crate::progress::screen::Screen;
use crate::progress::terminal::MARGIN;
use crate::progress::view::{Outcome, View};
use crate::render::failure::{self, Places};
use crate::session::{App, Session};

/// Hands in a job and follows it; fails unless it succeeds.
pub(crate) async fn submit_and_follow(
    app: &App,
    session: &Session,
    request: v1::SubmitRequest,
) -> Result<Outcome, SubmitError> {
    let project_dir = Some(request.project_dir.clone());
    let job_id = session.client.submit(request).await?;
    follow_to_end(app, session, &job_id, project_dir).await
}

/// Follows a job; fails unless it succeeds. `project_dir` is where its files are here, for places of errors.
pub(crate) async fn follow_to_end(
    app: &App,
    session: &Session,
    job_id: &JobId,
    project_dir: Option<String>,
) -> Result<Outcome, SubmitError> {
    let console = &app.console;
    let width = console
        .width
        .saturating_sub(if console.animates() { MARGIN } else { 0 });
    let short = job_id.short();
    let mut view = View::new(short, console.err, width, &session.advise("sql"));
    let screen = Screen::new(console);
    let mut interrupt = app.interrupt.clone();
    match follow(&session.client, job_id, &mut view, &screen, &mut interrupt).await? {
        Watched::Ended(outcome) => {
            let places = Places::of_project(project_dir.clone());
            settle(job_id, outcome, project_dir, |earlier| {
                if !console.json {
                    failure::lines(earlier, &places, console.err, console.verbose > 0)
                        .iter()
                        .for_each(|line| console.warn(line));
                }
            })
        }
        Watched::Left if session.is_local() => {
            // Its cluster ends with this process: stop it in order rather than tear it.
            let state = session.client.cancel(job_id.as_str()).await;
            let what = what_was_left(state.ok());
            Err(SubmitError::Interrupted {
                notes: vec![format!("job {short} {what} (exit 130)")],
            })
        }
        Watched::Left => Err(SubmitError::Interrupted {
            notes: vec![
                format!(
                    "job {short} goes on; watch it again: {}",
                    session.advise(&format!("watch {short}"))
                ),
                format!(
                    "stop it: {} (exit 130)",
                    session.advise(&format!("cancel {short}"))
                ),
            ],
        }),
    }
}

/// What is said of a local job when its process ends; `state` is the one that its cancellation found, if it was answered.
fn what_was_left(state: Option<JobState>) -> &'static str {
    match state {
        Some(JobState::Cancelled | JobState::Interrupted) => {
            "was cancelled; of its tables nothing was published"
        }
        Some(JobState::Succeeded) => "had succeeded before it could be cancelled",
        Some(JobState::Failed) => "had failed before it could be cancelled",
        Some(JobState::Queued | JobState::Running) | None => {
            "ends with this process; whether its tables were published: retail-submit jobs"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_was_cancelled_is_said_to_have_published_nothing() {
        let states = [
            None,
            Some(JobState::Queued),
            Some(JobState::Running),
            Some(JobState::Succeeded),
            Some(JobState::Failed),
        ];
        for state in states {
            let said = what_was_left(state);
            assert!(!said.contains("nothing was published"), "{state:?}: {said}");
        }
        let said = what_was_left(Some(JobState::Cancelled));
        assert!(said.contains("nothing was published"), "{said}");
    }
}
