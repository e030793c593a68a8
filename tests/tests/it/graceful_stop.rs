//! A process that is asked to stop (SIGTERM) finishes what it has and leaves; its admin port says how it is.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster_matches_single_process::reference;
use crate::support::cluster::{Cluster, Setup};
use crate::support::shop::{self, Shop};
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_asked_to_stop_leaves_and_changes_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 2,
        ..Setup::default()
    })
    .await;
    let input = format!(
        "input={}",
        shop::marketplace(cluster.dir(), 2_000, 2).display()
    );
    let job = cluster
        .submit()
        .detached(&shop::retail_project(), &["--vars", &input]);
    wait::until("a model to be staged", LIMIT, async || {
        let done = cluster.submit().job(&job)["models_done"].as_u64()?;
        (done > 0).then_some(())
    })
    .await;
    cluster.executors[0].terminate();
    let status = cluster.executors[0].wait(LIMIT).await;
    assert!(
        status.success(),
        "{status}:\n{}",
        cluster.executors[0].log()
    );
    cluster.submit().watch(&job).succeeded();
    assert_eq!(&cluster.lake.summaries().await, reference().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_asked_to_stop_leaves_no_half_published_run() {
    let mut cluster = Cluster::start(Setup::default()).await;
    let orders = cluster.dir().join("orders.csv");
    shop::orders(&orders, 300);
    let project = Shop::over(&orders).write(cluster.dir());
    let job = cluster.submit().detached(&project, &[]);
    cluster.scheduler.terminate();
    let status = cluster.scheduler.wait(LIMIT).await;
    assert!(status.success(), "{status}:\n{}", cluster.scheduler.log());

    let runs: BTreeSet<_> = cluster.lake.publish_ids().await.into_values().collect();
    cluster.restart_scheduler().await;
    let state = cluster.submit().job(&job)["state"]
        .as_str()
        .unwrap()
        .to_owned();
    // The job ends within the grace, or is interrupted; its tables are all there or none is.
    assert!(runs.is_empty() || runs == BTreeSet::from([job]), "{runs:?}");
    assert!(
        ["succeeded", "interrupted", "cancelled", "failed"].contains(&state.as_str()),
        "{state}"
    );
    assert!(!runs.is_empty() || state != "succeeded");
    cluster.submit().project(&project, &[]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_are_served() {
    let cluster = Cluster::start(Setup::default()).await;
    let get = |path: &str| wait::http_get(cluster.admin_port(), path).unwrap();
    assert_eq!(get("/healthz").0, 200);
    assert_eq!(get("/readyz").0, 200);
    let (status, metrics) = get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("# TYPE retail_"), "{metrics}");
    let listed = cluster.submit().run(["executors", "--json"]).succeeded();
    assert!(listed.stdout.contains("\"active\""), "{}", listed.stdout);
}
