//! Holds the declared tests of a job: on what it staged, or, for a job of tests only, on what is published.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use retail_api::events::EventKind;
use retail_api::job::{TestCounts, TestResult, TestState};
use retail_api::{Failure, FailureKind};
use retail_engine::PinnedCatalog;
use retail_project::{Materialized, ModelName};
use tokio_util::sync::CancellationToken;

use super::inputs;
use crate::job::{Attempt, JobContext, JobSpec, JobSummary};
use crate::quality::StoredRows;
use crate::quality::run::{self, Tested};
use crate::sql_errors;

/// Failed tests that the job's failure names.
const NAMED: usize = 10;

/// Plans the tests against the planned columns, before anything runs.
///
/// # Errors
/// The first test that cannot be planned.
pub(super) async fn check(
    spec: &JobSpec,
    context: &JobContext,
    catalog: &Arc<PinnedCatalog>,
) -> Result<(), Failure> {
    let (cancel, stored) = (CancellationToken::new(), StoredRows::default());
    let tested = Tested {
        spec,
        context,
        catalog,
        cancel: &cancel,
        stored: &stored,
    };
    run::check(&tested, &spec.built()).await
}

/// Holds the tests on what the run staged, before it is published.
///
/// # Errors
/// A test of severity error has failures, or a test could not be run; nothing may be published then.
pub(super) async fn staged(
    attempt: &Attempt<'_>,
    catalog: &Arc<PinnedCatalog>,
    stored: &StoredRows,
) -> Result<TestCounts, Failure> {
    let tested = Tested {
        spec: attempt.spec,
        context: attempt.context,
        catalog,
        cancel: attempt.cancel,
        stored,
    };
    hold(attempt, &tested, &attempt.spec.built()).await
}

/// Holds the tests of the selected models on what is published and on the sources as they are now.
///
/// # Errors
/// A selected model was never built, a test of severity error has failures, or a test could not be run.
pub(super) async fn published(
    attempt: &Attempt<'_>,
    stored: &StoredRows,
) -> Result<JobSummary, Failure> {
    let Attempt { spec, context, .. } = *attempt;
    let inputs = inputs::open(spec, context).await?;
    let catalog = inputs.catalog(context);
    let mut there = HashSet::new();
    for model in spec.models_in_order() {
        if model.materialized == Materialized::Ephemeral {
            let view = catalog.view(&model.sql).await;
            let view = view.map_err(|e| sql_errors::plan_failure(model, &e))?;
            catalog.put(model.table.clone(), view);
        } else if catalog.pin().metadata_location(&model.table).is_none() {
            let message = format!("cannot test model {}: it was never built", model.table);
            return Err(Failure::new(FailureKind::Project, message)
                .model(model.table.to_string())
                .at(model.path.clone(), 0, 0)
                .note(format!(
                    "build it first: retail-submit run --select {}",
                    model.name
                ))
                .note("or leave it out: --exclude"));
        }
        there.insert(&model.name);
    }
    let tested = Tested {
        spec,
        context,
        catalog: &catalog,
        cancel: attempt.cancel,
        stored,
    };
    let tests = hold(attempt, &tested, &there).await?;
    Ok(JobSummary {
        tests,
        attempts: 1,
        ..JobSummary::default()
    })
}

async fn hold(
    attempt: &Attempt<'_>,
    tested: &Tested<'_>,
    built: &HashSet<&ModelName>,
) -> Result<TestCounts, Failure> {
    let started = Instant::now();
    let begin = |tests, queries| attempt.send(EventKind::TestsStarted { tests, queries });
    let results = run::run(tested, built, begin).await?;
    if results.is_empty() {
        return Ok(TestCounts::default());
    }
    let counts = TestCounts::of(&results);
    let elapsed_ms = started.elapsed().as_millis() as u64;
    tracing::info!(
        job = %tested.spec.id,
        passed = counts.passed,
        warned = counts.warned,
        failed = counts.failed,
        skipped = counts.skipped,
        elapsed_ms,
        "tests held"
    );
    let failure = failed(&results, counts);
    attempt.send(EventKind::Tested {
        results,
        elapsed_ms,
    });
    failure.map_or(Ok(counts), Err)
}

/// What the job fails with when tests have failed: the test's own words, or all of their names.
fn failed(results: &[TestResult], counts: TestCounts) -> Option<Failure> {
    let failed: Vec<&Failure> = results
        .iter()
        .filter(|r| r.state == TestState::Failed)
        .filter_map(|r| r.failure.as_deref())
        .collect();
    match failed.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        many => {
            let message = format!("{} of {} tests failed", counts.failed, counts.total());
            let mut failure = Failure::new(FailureKind::Test, message);
            for one in many.iter().take(NAMED) {
                let place = one.file.as_deref().unwrap_or_default();
                failure = failure.note(format!("{place}:{}: {}", one.line, one.message));
            }
            if many.len() > NAMED {
                failure = failure.note(format!("and {} more", many.len() - NAMED));
            }
            Some(failure)
        }
    }
}
