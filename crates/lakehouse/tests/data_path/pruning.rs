use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileScanConfig, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext};
use datafusion::prelude::SessionConfig;

use crate::harness::{Harness, over_the_wire, physical, query};

fn with_scan<T>(plan: &Arc<dyn ExecutionPlan>, f: impl Fn(&FileScanConfig) -> T) -> Option<T> {
    let mut found = None;
    plan.apply(|plan| {
        let scan = plan
            .downcast_ref::<DataSourceExec>()
            .and_then(|s| s.downcast_to_file_source::<ParquetSource>());
        if let Some((scan, _)) = scan {
            found = Some(f(scan));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    found
}

fn files_read(plan: &Arc<dyn ExecutionPlan>) -> usize {
    with_scan(plan, |scan| scan.file_groups.iter().map(|g| g.len()).sum()).unwrap_or(0)
}

async fn three_files() -> Harness {
    let harness = Harness::new().await;
    for (from, to, flag) in [(1, 100, "a"), (101, 200, "b"), (201, 300, "c")] {
        let sql = format!(
            "SELECT value AS id, '{flag}' || value AS code, CAST(value AS decimal(9,2)) - 150 AS amount,
             CASE WHEN value <= 200 THEN value END AS gone FROM generate_series({from}, {to})"
        );
        harness.append("lake.t", &sql).await;
    }
    harness
}

#[tokio::test]
async fn only_files_that_may_match_are_read() {
    let harness = three_files().await;
    for (filter, files, rows) in [
        ("id = 150", 1, 1),
        ("id > 300", 0, 0),
        ("id >= 200", 2, 101),
        ("id BETWEEN 100 AND 101", 2, 2),
        ("code = 'b150'", 1, 1),
        ("code LIKE 'c%'", 1, 100),
        ("amount < -100", 1, 49),
        ("id = 5 OR id = 299", 2, 2),
        ("gone IS NOT NULL", 2, 200),
        ("gone IS NULL", 1, 100),
        ("id + 0 = 150", 3, 1),
        ("id <> 150", 3, 299),
    ] {
        let session = harness.reading("lake.t").await;
        let plan = physical(&session, &format!("SELECT id FROM t WHERE {filter}")).await;
        assert_eq!(files_read(&plan), files, "{filter}");
        let count = query(&session, &format!("SELECT count(id) FROM t WHERE {filter}")).await;
        assert_eq!(count, [rows.to_string()], "{filter}");
    }
}

#[tokio::test]
async fn nan_and_both_zeros_are_found() {
    let harness = Harness::new().await;
    harness
        .append(
            "lake.t",
            "SELECT * FROM (VALUES (1.0), (CAST('NaN' AS double))) AS v(x)",
        )
        .await;
    harness
        .append("lake.t", "SELECT CAST(0.0 AS double) AS x")
        .await;
    harness
        .append("lake.t", "SELECT CAST('-0.0' AS double) AS x")
        .await;
    // Rows decide what is right: the same filter where no file can be left out.
    for filter in [
        "isnan(x)",
        "x = 0.0",
        "x >= 0.0",
        "x < 0.5",
        "x IS NOT NULL",
    ] {
        let found = harness
            .query("lake.t", &format!("SELECT count(x) FROM t WHERE {filter}"))
            .await;
        let by_row = format!("SELECT sum(CASE WHEN {filter} THEN 1 ELSE 0 END) FROM t");
        assert_eq!(found, harness.query("lake.t", &by_row).await, "{filter}");
    }
    let plan = physical(
        &harness.reading("lake.t").await,
        "SELECT x FROM t WHERE x > 5.0",
    )
    .await;
    // NaN is above everything, and above every bound.
    assert!(files_read(&plan) >= 1);
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(x) FROM t WHERE isnan(x)")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn a_big_file_is_read_in_parts_and_each_row_once() {
    let harness = Harness::new().await;
    harness
        .write(
            "lake.t",
            "SELECT value AS id FROM generate_series(1, 50000)",
            &[],
        )
        .await;
    let mut config = SessionConfig::new().with_target_partitions(4);
    config.options_mut().optimizer.repartition_file_min_size = 0;
    let session = harness.session_with(config);
    harness.register(&session, "lake.t").await;
    let plan = physical(&session, "SELECT id % 7, sum(id) FROM t GROUP BY 1").await;
    let groups = with_scan(&plan, |scan| scan.file_groups.len()).unwrap();
    assert!(groups > 1, "{groups} groups");
    assert_eq!(
        query(
            &session,
            "SELECT count(id), sum(id), count(DISTINCT id) FROM t"
        )
        .await,
        ["50000 1250025000 50000"]
    );
}

#[tokio::test]
async fn a_plan_over_one_snapshot_is_the_same_plan_again() {
    let harness = three_files().await;
    let mut seen = vec![];
    for _ in 0..3 {
        let plan = physical(&harness.reading("lake.t").await, "SELECT id FROM t").await;
        let paths = |scan: &FileScanConfig| {
            let groups = scan.file_groups.iter();
            groups
                .map(|g| g.iter().map(|f| f.path().to_string()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        seen.push(with_scan(&plan, paths).unwrap());
    }
    assert_eq!(seen[0].len(), 3);
    assert!(seen.iter().all(|groups| *groups == seen[0]));
}

#[tokio::test]
async fn the_planner_knows_how_many_rows_a_table_has() {
    let harness = three_files().await;
    let session = harness.reading("lake.t").await;
    let plan = physical(&session, "SELECT id, code FROM t").await;
    let plan = over_the_wire(&session, plan).unwrap();
    let statistics = StatisticsContext::new()
        .compute(plan.as_ref(), &StatisticsArgs::new())
        .unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(300));
    assert!(statistics.total_byte_size.get_value().is_some());
    let id = &statistics.column_statistics[0];
    assert_eq!(id.min_value.get_value().unwrap().to_string(), "1");
    assert_eq!(id.max_value.get_value().unwrap().to_string(), "300");
}
