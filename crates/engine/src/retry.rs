//! Retries a query whose shuffle or result data was lost with an executor.

use crate::cluster::{Query, QueryError, QueryErrorKind};

/// Most runs of a query whose data is lost each time.
const RUNS_MAX: u32 = 5;

/// Runs the query, and retries it as a whole, as a new query, while its shuffle or result data is lost with an executor.
///
/// `on_retry` is called before each run after the first with its number, from 2, and the error of the run before.
///
/// # Errors
/// The first error other than lost data, or the last of five runs that each lost data.
pub async fn retry_lost_results<T, Run>(
    query: Query,
    on_retry: impl Fn(u32, &QueryError),
    run: impl Fn(Query) -> Run,
) -> Result<T, QueryError>
where
    Run: Future<Output = Result<T, QueryError>>,
{
    let mut runs = 1;
    loop {
        let error = match run(query.clone()).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let lost = error.kind == QueryErrorKind::ResultLost;
        if !lost || runs == RUNS_MAX || query.cancel.is_cancelled() {
            return Err(error);
        }
        runs += 1;
        tracing::warn!(query = %query.label, run = runs, %error, "data of the query was lost with an executor, retrying it");
        on_retry(runs, &error);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::prelude::SessionContext;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use retail_api::cause::RESULT_LOST;

    use crate::QueryProgress;

    fn query() -> Query {
        Query {
            label: "model".to_owned(),
            session: Arc::new(SessionContext::new()),
            plan: LogicalPlanBuilder::empty(false).build().unwrap(),
            cancel: CancellationToken::new(),
            progress: watch::Sender::new(QueryProgress::default()),
        }
    }

    /// The outcome of a query whose runs end as given, and the runs that were reported as retries.
    async fn after(query: Query, ends: &[Result<u32, &str>]) -> (Result<u32, String>, Vec<u32>) {
        let (ends, retries) = (RefCell::new(ends.iter()), RefCell::new(vec![]));
        let outcome = retry_lost_results(
            query,
            |run, _| retries.borrow_mut().push(run),
            |_| {
                let end = ends
                    .borrow_mut()
                    .next()
                    .expect("no run more than there are ends");
                std::future::ready(end.map_err(QueryError::from_text))
            },
        );
        let outcome = outcome.await.map_err(|error| error.message);
        (outcome, retries.into_inner())
    }

    #[tokio::test]
    async fn lost_rows_are_retried_four_times() {
        let lost = Err(RESULT_LOST);
        assert_eq!(after(query(), &[Ok(7)]).await, (Ok(7), vec![]));
        assert_eq!(
            after(query(), &[lost, lost, Ok(7)]).await,
            (Ok(7), vec![2, 3])
        );
        assert_eq!(
            after(query(), &[lost; 5]).await,
            (Err(RESULT_LOST.to_owned()), vec![2, 3, 4, 5])
        );
    }

    #[tokio::test]
    async fn other_errors_and_cancelled_queries_end_at_once() {
        let full = "Resources exhausted";
        assert_eq!(
            after(query(), &[Err(full)]).await,
            (Err(full.to_owned()), vec![])
        );
        let stopped = query();
        stopped.cancel.cancel();
        assert_eq!(
            after(stopped, &[Err(RESULT_LOST)]).await,
            (Err(RESULT_LOST.to_owned()), vec![])
        );
    }
}
