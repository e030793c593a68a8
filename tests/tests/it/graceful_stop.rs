//! A process that receives SIGTERM finishes what it has and leaves; its admin port reports its state.

use std::collections::BTreeSet;
use std::time::Duration;

use retail_proto::v1;

use crate::cluster_matches_single_process::reference;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_receives_sigterm_leaves_and_changes_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 2,
        ..Setup::default()
    })
    .await;
    let input = format!(
        "input={}",
        fixtures::marketplace(cluster.dir(), 2_000, 2).display()
    );
    let job = cluster
        .submit()
        .detached(&fixtures::retail_project(), &["--vars", &input]);
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
    let watched = cluster.submit().watch(&job).succeeded();
    let watched = watched.stdout + &watched.stderr;
    assert!(!watched.contains(" lost"), "it left in peace:\n{watched}");
    let log = cluster.scheduler.log();
    assert!(log.contains("executor left, drained"), "{log}");
    assert_eq!(&cluster.lake.summaries().await, reference().await);
}

/// The last query before the stop has left rows on the executor that somebody still reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_draining_executor_stays_while_its_rows_are_read() {
    let mut cluster = Cluster::start(Setup {
        executors: 2,
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 2_000);
    let project = Project::over(&orders).write(cluster.dir());
    cluster.submit().project(&project, &[]).succeeded();

    // Rows that nobody reads on: more than gRPC lets flow ahead of the reader.
    let sql = "select a.*, b.order_id as other from staging.stg_orders a join staging.stg_orders b using (customer)";
    let mut rows = cluster.rows(sql).await;
    loop {
        let message = rows.message().await.unwrap().expect("rows come");
        if let Some(v1::sql_response::Response::ArrowIpc(_)) = message.response {
            break;
        }
    }
    for executor in &mut cluster.executors {
        executor.terminate();
    }
    let waits = "waiting for tasks, and for queries that read rows from here";
    wait::until("an executor to say what it waits for", LIMIT, async || {
        let logs = cluster.executors.iter().map(|e| e.log());
        logs.into_iter()
            .any(|log| log.contains(waits))
            .then_some(())
    })
    .await;
    drop(rows);
    for executor in &mut cluster.executors {
        assert!(executor.wait(LIMIT).await.success(), "{}", executor.log());
        assert!(!executor.log().contains("the time to drain is over"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_an_executor_is_reported_as_demand() {
    let mut cluster = Cluster::start(Setup {
        executors: 0,
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 300);
    let project = Project::over(&orders).write(cluster.dir());
    let job = cluster.submit().detached(&project, &[]);
    wait::until("the job to wait", LIMIT, async || {
        (cluster.work()["queries_waiting"] == 1).then_some(())
    })
    .await;
    assert_eq!(cluster.work()["jobs_running"], 1);
    cluster.add_executor().await;
    cluster.submit().watch(&job).succeeded();
    let work = cluster.work();
    for idle in [
        "jobs_running",
        "jobs_queued",
        "queries_waiting",
        "tasks_running",
        "tasks_queued",
    ] {
        assert_eq!(work[idle], 0, "{idle}: {work}");
    }
    let executor = &work["executors"][0];
    assert_eq!(
        (&executor["state"], &executor["slots"]),
        (&"active".into(), &2.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_receives_sigterm_leaves_no_half_published_run() {
    let mut cluster = Cluster::start(Setup::default()).await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 300);
    let project = Project::over(&orders).write(cluster.dir());
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
