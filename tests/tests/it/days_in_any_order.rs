//! Daily deliveries may land in any order and be run any number of times: the tables end the same.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::checksum::Summary;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures;

const DAYS: [u32; 3] = [1, 2, 3];

#[tokio::test(flavor = "multi_thread")]
async fn days_in_any_order_and_run_twice_end_in_the_same_tables() {
    let dir = tempfile::tempdir().unwrap();
    let delivered = fixtures::marketplace(dir.path(), 900, DAYS.len() as u32);
    let in_order = run(&delivered, &[1, 2, 3]).await;
    assert!(
        in_order.values().any(|table| table.rows > 100),
        "{in_order:?}"
    );
    for order in [&[3, 1, 2][..], &[2, 3, 1], &[1, 1, 2, 3, 2, 3]] {
        let tables = run(&delivered, order).await;
        for (table, summary) in &in_order {
            assert_eq!(
                tables.get(table),
                Some(summary),
                "{table} after days {order:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_day_does_not_double_the_first_days_facts() {
    let dir = tempfile::tempdir().unwrap();
    let delivered = fixtures::marketplace(dir.path(), 600, 2);
    let cluster = Cluster::start(Setup::default()).await;
    let landing = cluster.dir().join("landing");
    deliver(&delivered, &landing, 1);
    run_once(&cluster, &landing);
    let first = cluster.lake.summaries().await;
    deliver(&delivered, &landing, 2);
    run_once(&cluster, &landing);
    let second = cluster.lake.summaries().await;
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(delivered.join("truth.json")).unwrap()).unwrap();
    assert!(second["marts.fact_order_summary"].rows >= first["marts.fact_order_summary"].rows);
    assert_eq!(
        second["marts.fact_order_summary"].rows, second["staging.stg_orders"].rows,
        "{truth}"
    );
    assert_eq!(
        second["marts.fact_order_items"].rows,
        second["staging.stg_order_items"].rows
    );
    let answer = cluster.submit().run([
        "verify",
        "--truth",
        delivered.join("truth.json").to_str().unwrap(),
    ]);
    answer.succeeded();
}

/// Delivers days one after the other, runs the project after each, and returns what the tables hold at the end.
async fn run(delivered: &Path, order: &[u32]) -> BTreeMap<String, Summary> {
    let cluster = Cluster::start(Setup::default()).await;
    let landing = cluster.dir().join("landing");
    for day in order {
        deliver(delivered, &landing, *day);
        run_once(&cluster, &landing);
    }
    cluster.lake.summaries().await
}

fn run_once(cluster: &Cluster, landing: &Path) {
    let input = format!("input={}", landing.display());
    cluster
        .submit()
        .project(&fixtures::retail_project(), &["--vars", &input])
        .succeeded();
}

/// Copies one day's folder to where the project looks.
fn deliver(from: &Path, to: &Path, day: u32) {
    let (from, to) = (
        from.join(format!("day={day}")),
        to.join(format!("day={day}")),
    );
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
