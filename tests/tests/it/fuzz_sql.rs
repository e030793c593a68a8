//! More than five hundred generated queries give the same rows in one process, on clusters of several shapes, and in DuckDB.

use retail_tests::fuzz::claims::run_claims;
use retail_tests::fuzz::run::{Fleet, Plan, run};

use crate::support::prerequisites;

#[tokio::test(flavor = "multi_thread")]
async fn generated_queries_give_the_same_rows_everywhere() {
    let duckdb = prerequisites::python().is_some();
    let plan = Plan {
        duckdb,
        cases: Some(400),
        ..Plan::default()
    };
    let fleet = Fleet::start(&plan).await.unwrap();
    let summary = run(&fleet, &plan, |line| eprintln!("{line}"))
        .await
        .unwrap();
    fleet.stop().await;
    eprintln!("{}\n{}", summary.line(), summary.refusals().join("\n"));
    assert!(summary.findings.is_empty(), "see above: {}", summary.line());
    assert!(summary.statements > 500, "{}", summary.line());
    // A generator whose queries are refused, or find nothing, tests nothing.
    let refused: usize = summary.refused.values().map(Vec::len).sum();
    assert!(
        refused * 10 < summary.cases as usize,
        "{:?}",
        summary.refusals()
    );
    assert!(summary.with_rows * 2 > summary.cases, "{}", summary.line());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plans_of_generated_queries_claim_of_their_rows_is_true() {
    let plan = Plan {
        cases: Some(60),
        ..Plan::default()
    };
    let summary = run_claims(&plan, |line| eprintln!("{line}")).await.unwrap();
    assert!(summary.found.is_empty(), "see above: {}", summary.line());
    assert!(summary.looked_at > 40, "{}", summary.line());
}
