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
