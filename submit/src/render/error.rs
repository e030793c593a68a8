//! A [`SubmitError`] as lines for stderr, or as one JSON object.

use serde_json::json;

use crate::error::SubmitError;
use crate::render::failure::{self, Places};
use crate::term::Paint;

/// The lines of an error; none where nobody reads.
pub(crate) fn lines(error: &SubmitError, paint: Paint, chain: bool) -> Vec<String> {
    let exit = error.exit_code();
    let title = |text: &str| format!("{} {}", paint.red("error:"), paint.bold(text));
    let notes = |notes: &[String]| {
        notes
            .iter()
            .map(|note| format!("  {} {note}", paint.blue("=")))
            .collect::<Vec<_>>()
    };
    match error {
        SubmitError::ClosedPipe => vec![],
        SubmitError::Job {
            job_id,
            state,
            failure,
            project_dir,
        } => {
            let mut out = failure::lines(
                failure,
                &Places::of_project(project_dir.clone()),
                paint,
                chain,
            );
            out.push(failure::ending(job_id.short(), *state, exit));
            out
        }
        SubmitError::Refused {
            failure,
            project_dir,
        }
        | SubmitError::Project {
            failure,
            project_dir,
        } => failure::lines(
            failure,
            &Places::of_project(project_dir.clone()),
            paint,
            chain,
        ),
        SubmitError::Unreachable { .. } => {
            let way_out = format!(
                "start one with retail-scheduler, or add --local to run inside this process (exit {})",
                exit.code()
            );
            vec![
                title(&error.to_string()),
                format!("  {} {way_out}", paint.blue("=")),
            ]
        }
        SubmitError::Interrupted { notes } => notes.clone(),
        SubmitError::Lost { notes: more, .. } | SubmitError::Config { notes: more, .. } => {
            let mut out = vec![title(&error.to_string())];
            out.extend(notes(more));
            out
        }
        SubmitError::LocalStart {
            chain: causes,
            notes: more,
        } => {
            let mut out = vec![title(&error.to_string())];
            out.extend(notes(more));
            if chain {
                let causes: Vec<_> = causes
                    .iter()
                    .enumerate()
                    .map(|(i, cause)| format!("cause {}: {cause}", i + 1))
                    .collect();
                out.extend(notes(&causes));
            }
            out
        }
        SubmitError::Differs { .. } | SubmitError::Io { .. } | SubmitError::Answer { .. } => {
            vec![title(&error.to_string())]
        }
    }
}

/// The error as one JSON object, for `--json`.
pub(crate) fn json(error: &SubmitError) -> serde_json::Value {
    let failure = match error {
        SubmitError::Job { failure, .. }
        | SubmitError::Refused { failure, .. }
        | SubmitError::Project { failure, .. } => serde_json::to_value(failure).ok(),
        _ => None,
    };
    let notes = match error {
        SubmitError::Lost { notes, .. }
        | SubmitError::Config { notes, .. }
        | SubmitError::Interrupted { notes }
        | SubmitError::LocalStart { notes, .. } => notes.as_slice(),
        _ => &[],
    };
    json!({
        "error": error.to_string(),
        "exit_code": error.exit_code().code(),
        "retryable": error.retryable(),
        "notes": notes,
        "failure": failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_names_how_to_get_a_scheduler() {
        let error = SubmitError::Unreachable {
            url: "http://localhost:50050".into(),
            reason: "connection refused".into(),
        };
        assert_eq!(
            lines(&error, Paint::OFF, false).join("\n"),
            "error: no scheduler at http://localhost:50050 (connection refused)\n  \
             = start one with retail-scheduler, or add --local to run inside this process (exit 69)"
        );
        assert_eq!(json(&error)["exit_code"], 69);
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let error = SubmitError::stdout(std::io::ErrorKind::BrokenPipe.into());
        assert!(lines(&error, Paint::OFF, true).is_empty());
        assert_eq!(error.exit_code().code(), 0);
    }
}
