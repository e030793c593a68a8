//! Failing rows that tests keep: published beside a run that does not publish, and reported whatever becomes of it.

use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use retail_api::FailureKind;
use retail_engine::{Cluster, ClusterStatus, EngineConfig, InProcess, Query, QueryError, QueryRun};

use super::truth_tests::{Run, Shop, run, shown};
use super::*;

/// Lets something happen whenever a query begins to write one table: after the table was pinned, before it is published.
struct Meanwhile<F> {
    inner: InProcess,
    table: &'static str,
    /// How often it may happen.
    left: AtomicU32,
    happens: F,
}

impl<F: Fn() -> BoxFuture<'static, ()>> Meanwhile<F> {
    fn new(shop: &Shop, table: &'static str, times: u32, happens: F) -> Arc<Self> {
        Arc::new(Self {
            inner: InProcess::new(EngineConfig::default(), 2, &shop.stores).unwrap(),
            table,
            left: AtomicU32::new(times),
            happens,
        })
    }
}

impl<F: Fn() -> BoxFuture<'static, ()> + Send + Sync> Cluster for Meanwhile<F> {
    fn session(&self) -> Result<SessionContext, QueryError> {
        self.inner.session()
    }

    fn execute(&self, query: Query) -> BoxFuture<'_, Result<QueryRun, QueryError>> {
        async move {
            let writes = format!("TableWrite: {}", self.table);
            let plan = query.plan.display_indent().to_string();
            if plan.lines().any(|line| line.trim() == writes)
                && self
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    .is_ok()
            {
                (self.happens)().await;
            }
            self.inner.execute(query).await
        }
        .boxed()
    }

    fn status(&self) -> BoxFuture<'_, ClusterStatus> {
        async move { self.inner.status().await }.boxed()
    }

    fn wait_for_executor(&self, timeout: Option<Duration>) -> BoxFuture<'_, bool> {
        async move { self.inner.wait_for_executor(timeout).await }.boxed()
    }
}

/// Ids are odd, and those that are not are kept.
const FAILS: &str = "models: [{name: a, columns: [{name: id, tests: [{accepted_values: {name: odd, values: [1, 3], quote: false, \
                     config: {store_failures: true}}}]}]}]";

fn warns() -> String {
    FAILS.replace(
        "store_failures: true",
        "store_failures: true, severity: warn",
    )
}

const KEPT: &str = "dbt_test__audit.odd";

fn run_with<'a>(id: &'a str, yaml: &'a str) -> Run<'a> {
    Run { yaml, ..run(id) }
}

async fn shop() -> Arc<Shop> {
    let shop = Arc::new(Shop::new().await);
    shop.deliver("day=1/orders.csv", 3);
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_rows_are_written_again_where_somebody_changed_their_table() {
    let shop = shop().await;
    shop.run(run_with("first", FAILS)).await.unwrap_err();
    assert_eq!(shop.table(KEPT).await.row_count(), 2);
    shop.deliver("day=2/orders.csv", 5);
    let others = Arc::clone(&shop);
    let cluster = Meanwhile::new(&shop, KEPT, 1, move || {
        let shop = Arc::clone(&others);
        Box::pin(async move {
            let row = "SELECT CAST(7 AS BIGINT) AS value_field, CAST(1 AS BIGINT) AS n_records";
            shop.append_to(KEPT, row).await;
        })
    });
    let (outcome, _) = shop.run_on(cluster, run_with("second", FAILS)).await;
    let failure = outcome.unwrap_err();
    let text = shown(&failure);
    assert_eq!(failure.kind, FailureKind::Test);
    assert!(
        text.contains("its failing rows are in dbt_test__audit.odd"),
        "{text}"
    );
    // 0, 2 and 4: the row that somebody added is replaced as well.
    assert_eq!(shop.table(KEPT).await.row_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_rows_that_cannot_be_stored_are_reported_with_the_reason() {
    let shop = shop().await;
    shop.run(run_with("first", FAILS)).await.unwrap_err();
    let other = |shop: &Arc<Shop>| {
        let others = Arc::clone(shop);
        Meanwhile::new(shop, KEPT, 100, move || {
            let shop = Arc::clone(&others);
            Box::pin(async move {
                let row = "SELECT CAST(7 AS BIGINT) AS value_field, CAST(1 AS BIGINT) AS n_records";
                shop.append_to(KEPT, row).await;
            })
        })
    };
    // A test that fails is what the run fails with.
    let (outcome, _) = shop.run_on(other(&shop), run_with("fails", FAILS)).await;
    let failure = outcome.unwrap_err();
    let text = shown(&failure);
    assert_eq!(failure.kind, FailureKind::Test);
    for part in [
        "test odd failed: 2 values of id are not accepted",
        "its failing rows could not be stored: table dbt_test__audit.odd changed while this run was writing it",
        "nothing was published; the tables are as they were",
        "the query, on what this run wrote: ",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("rows are in"), "{text}");
    // Where none fails, rows that are not stored fail it.
    let (outcome, _) = shop.run_on(other(&shop), run_with("warns", &warns())).await;
    let failure = outcome.unwrap_err();
    let text = shown(&failure);
    assert!(
        text.starts_with("cannot store the failing rows of test odd at models/tests.yml:1: table dbt_test__audit.odd changed"),
        "{text}"
    );
    assert!(
        text.contains("; nothing was published")
            && text.contains("somebody else changed it first in 3 attempts"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_after_its_tests_names_the_tables_of_failing_rows_it_replaced() {
    let shop = shop().await;
    let yaml = warns();
    shop.run(run_with("first", &yaml)).await.unwrap();
    shop.deliver("day=2/orders.csv", 5);
    // Another run of the same tables is faster, each time.
    let others = Arc::clone(&shop);
    let cluster = Meanwhile::new(&shop, "marts.b", 100, move || {
        let shop = Arc::clone(&others);
        Box::pin(async move {
            let id = uuid::Uuid::new_v4().to_string();
            shop.run(run(&id)).await.unwrap();
        })
    });
    let (outcome, _) = shop.run_on(cluster, run_with("slow", &yaml)).await;
    let failure = outcome.unwrap_err();
    let text = shown(&failure);
    assert_eq!(failure.kind, FailureKind::Publish);
    assert!(
        text.contains(
            "the failing rows of its tests were stored: dbt_test__audit.odd was replaced"
        ),
        "{text}"
    );
    let everything = text.replace("of the run's tables nothing was published", "");
    assert!(!everything.contains("nothing was published"), "{text}");
    assert_eq!(shop.table(KEPT).await.row_count(), 3);

    // So does one whose test fails.
    let failure = shop.run(run_with("fails", FAILS)).await.unwrap_err();
    let text = shown(&failure);
    for part in [
        "of the run's tables nothing was published; the tables are as they were",
        "dbt_test__audit.odd was replaced",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // A job of tests alone publishes nothing else.
    let alone = Run {
        tests_only: true,
        ..run_with("alone", FAILS)
    };
    let text = shown(&shop.run(alone).await.unwrap_err());
    assert!(text.contains("dbt_test__audit.odd was replaced"), "{text}");
    assert!(!text.contains("nothing was published"), "{text}");
    // Without tests that keep rows nothing of the kind is reported.
    let failing = FAILS.replace("store_failures: true", "severity: error");
    let failure = shop.run(run_with("none", &failing)).await.unwrap_err();
    let text = shown(&failure);
    assert!(
        !text.contains("replaced") && text.contains("; nothing was published"),
        "{text}"
    );
}
