//! Runs a query again whose rows were lost.

use super::{Query, QueryError, QueryErrorKind};

/// How often a query is run before it counts as failed, when executors take rows of it with them each time.
const RUNS: u32 = 5;

/// What `run` makes of the query; again as a whole, as a query of its own, where rows of it were lost with an executor.
///
/// `again` is told of each run after the first: its number, from 2, and why.
///
/// # Errors
/// Any but lost rows, or lost rows in each of five runs.
pub async fn until_whole<T, Run>(
    query: Query,
    again: impl Fn(u32, &QueryError),
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
        if !lost || runs == RUNS || query.cancel.is_cancelled() {
            return Err(error);
        }
        runs += 1;
        tracing::warn!(query = %query.label, run = runs, %error, "rows were lost, the query runs again");
        again(runs, &error);
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

    /// What comes of a query whose runs end as `ends` says, and the runs of which `again` was told.
    async fn after(query: Query, ends: &[Result<u32, &str>]) -> (Result<u32, String>, Vec<u32>) {
        let (ends, told) = (RefCell::new(ends.iter()), RefCell::new(vec![]));
        let outcome = until_whole(
            query,
            |run, _| told.borrow_mut().push(run),
            |_| {
                let end = ends
                    .borrow_mut()
                    .next()
                    .expect("no run more than there are ends");
                std::future::ready(end.map_err(QueryError::from_text))
            },
        );
        let outcome = outcome.await.map_err(|error| error.message);
        (outcome, told.into_inner())
    }

    #[tokio::test]
    async fn lost_rows_are_worth_four_runs_more() {
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
