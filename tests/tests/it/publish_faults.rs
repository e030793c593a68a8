//! All tables of a run become visible together, or none does, whatever dies while it publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::{LakeAt, publish_ids};
use crate::support::program::Program;

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn death_before_publish_leaves_the_tables_as_they_were() {
    assert!(!published_in_spite_of("publish.begin").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn death_between_two_tables_leaves_both_as_they_were() {
    assert!(!published_in_spite_of("publish.between_tables").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn death_before_the_commit_leaves_the_tables_as_they_were() {
    assert!(!published_in_spite_of("publish.before_commit").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn death_after_the_commit_leaves_all_tables_new() {
    assert!(published_in_spite_of("publish.after_commit").await);
}

/// Publishes once, lets the scheduler die at `fault` in a second run, and returns whether that run is visible.
async fn published_in_spite_of(fault: &'static str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt::local(dir.path());
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 400);
    let project = Project::over(&orders).write(dir.path());
    let setup = |fault| Setup {
        lake: Some(lake.clone()),
        fault,
        ..Setup::default()
    };

    let first = Cluster::start(setup(None)).await;
    first.submit().project(&project, &[]).succeeded();
    drop(first);
    let (before, rows_before) = (lake.publish_ids().await, lake.summaries().await);
    assert_eq!(
        before.values().collect::<BTreeSet<_>>().len(),
        1,
        "{before:?}"
    );

    let reader = Reader::start(&lake);
    fixtures::orders(&orders, 500);
    let mut cluster = Cluster::start(setup(Some(fault))).await;
    let job = cluster.submit().detached(&project, &[]);
    let status = cluster.scheduler.wait(LIMIT).await;
    assert!(!status.success());
    assert!(
        cluster
            .scheduler
            .log()
            .contains(&format!("failpoint {fault}")),
        "{}",
        cluster.scheduler.log()
    );
    let (after, rows_after) = (lake.publish_ids().await, lake.summaries().await);
    assert_eq!(
        after.values().collect::<BTreeSet<_>>().len(),
        1,
        "a mixture: {after:?}"
    );
    let visible = after != before;
    assert_eq!(rows_after != rows_before, visible);

    // The next scheduler reports what became of the job, and the same run again ends as if nothing had happened.
    cluster.restart_scheduler().await;
    let state = cluster.submit().job(&job)["state"]
        .as_str()
        .unwrap()
        .to_owned();
    if !visible {
        assert_eq!(state, "interrupted");
    }
    cluster.submit().project(&project, &[]).succeeded();
    let rows = lake.summaries().await;
    assert_eq!(rows["staging.stg_orders"].rows, 500);
    if visible {
        assert_eq!(rows, rows_after);
    }
    let looks = reader.stop().await;
    assert!(looks > 10, "the reader looked only {looks} times");
    visible
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_does_not_stop_its_job() {
    let cluster = Cluster::start(Setup::default()).await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 400);
    let project = Project::over(&orders).write(cluster.dir());
    for executor in &cluster.executors {
        executor.signal("STOP");
    }
    let arguments = [
        "run",
        "--project",
        project.to_str().unwrap(),
        "--scheduler",
        &cluster.url,
    ];
    let arguments = arguments.map(str::to_owned);
    let mut client = Program::start("retail-submit", "client", cluster.dir(), &arguments, &[]);
    let job = crate::support::wait::until("the job to run", LIMIT, async || {
        let answer = cluster.submit().run(["jobs", "--json"]);
        let job: serde_json::Value = serde_json::from_str(answer.stdout.lines().next()?).ok()?;
        (job["state"] == "running").then(|| job["id"].as_str().map(str::to_owned))?
    })
    .await;
    client.kill();
    for executor in &cluster.executors {
        executor.signal("CONT");
    }
    cluster.submit().watch(&job).succeeded();
    assert_eq!(
        cluster.lake.summaries().await["staging.stg_orders"].rows,
        400
    );
}

/// Looks at all tables again and again, and fails if it ever sees tables of two runs.
struct Reader {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<usize>,
}

impl Reader {
    fn start(lake: &LakeAt) -> Self {
        let (stop, lake) = (Arc::new(AtomicBool::new(false)), lake.clone());
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let lake = lake.open().await;
            let mut looks = 0;
            while !stopped.load(Ordering::Relaxed) {
                let seen: BTreeMap<_, _> = publish_ids(&lake).await;
                let runs: BTreeSet<_> = seen.values().collect();
                assert!(runs.len() <= 1, "a reader saw tables of two runs: {seen:?}");
                looks += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            looks
        });
        Self { stop, task }
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the reader never saw a mixture")
    }
}
