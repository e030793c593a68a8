//! The published tables beside the truth that the generator counted.

use futures::StreamExt;
use retail_datagen::{Check, Truth, checks, compare};
use serde_json::json;

use super::query::{Spinner, first_rows};
use crate::error::SubmitError;
use crate::render::checks::{differing, lines, summarised, verdict};
use crate::session::{App, Session};

/// Rows that no check answers with: a year of days and every status are far fewer.
const MOST_ROWS: usize = 10_000;
/// Queries at once.
const AT_ONCE: usize = 4;

/// Runs every query of the truth, several at once; the answers in the truth's order.
///
/// # Errors
/// A query fails.
pub(crate) async fn check(
    app: &App,
    session: &Session,
    truth: &Truth,
) -> Result<Vec<Check>, SubmitError> {
    let queries = checks(truth);
    let total = queries.len();
    let spinner = Spinner::new(&app.console);
    let mut answers = futures::stream::iter(queries)
        .map(|query| async move {
            let page = first_rows(app, session, &query.sql, MOST_ROWS).await?;
            let rows: Vec<Vec<Option<String>>> = page
                .rows
                .into_iter()
                .map(|row| row.into_iter().map(Some).collect())
                .collect();
            Ok::<_, SubmitError>(compare(&query, &rows))
        })
        .buffered(AT_ONCE)
        .enumerate();
    let mut compared = vec![];
    spinner.say(format!("checking: 0 of {total} queries answered"));
    while let Some((answered, checks)) = answers.next().await {
        compared.extend(checks?);
        spinner.say(format!(
            "checking: {} of {total} queries answered",
            answered + 1
        ));
    }
    Ok(compared)
}

/// Prints each number beside the truth, or a summary; fails if any differs.
pub(crate) fn show(app: &App, checks: &[Check], summary: bool) -> Result<(), SubmitError> {
    if app.console.json {
        for check in checks {
            app.console.print_json(&json!({"check": check.name, "found": check.found, "truth": check.truth, "ok": check.ok}))?;
        }
    } else {
        let shown = if summary {
            summarised(checks)
        } else {
            checks.to_vec()
        };
        app.console.print_all(lines(&shown, app.console.out))?;
        app.console.print(&verdict(checks, app.console.out))?;
    }
    match differing(checks) {
        0 => Ok(()),
        differing => Err(SubmitError::Differs {
            differing,
            total: checks.len(),
        }),
    }
}
