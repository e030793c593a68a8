//! An executor dies in the middle of a job: its tasks run again elsewhere, and the rows are right.

use std::time::Duration;

use retail_proto::v1;

use crate::cluster_matches_single_process::reference;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::metrics::Metrics;
use crate::support::program::Program;
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn executor_loss_reruns_its_tasks_and_changes_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 3,
        executor_timeout_s: 10, // it stands still while the job is checked, and must be in the list at its first task
        ..Setup::default()
    })
    .await;
    let input = fixtures::marketplace(cluster.dir(), 2_000, 2);
    let input = format!("input={}", input.display());

    // A stopped process takes tasks and finishes none: so its loss is sure to lose some.
    let stopped = id_of(&cluster.executors[0]);
    cluster.executors[0].signal("STOP");
    let job = cluster
        .submit()
        .detached(&fixtures::retail_project(), &["--vars", &input]);
    wait::until("a task on the stopped executor", LIMIT, async || {
        let status = cluster.status().await?;
        let stopped = status.executors.iter().find(|e| e.id == stopped)?;
        (stopped.slots_free < stopped.slots).then_some(())
    })
    .await;
    let before = job_now(&cluster, &job).await;
    assert_eq!(before.state(), v1::JobState::Running);
    cluster.executors[0].kill();

    let watched = cluster.submit().watch(&job).succeeded();
    assert!(
        watched.stderr.contains(&format!("executor {stopped} lost"))
            || watched.stdout.contains(&format!("executor {stopped} lost")),
        "{}{}",
        watched.stdout,
        watched.stderr
    );
    let log = cluster.scheduler.log();
    let lost = format!("on lost Executor {stopped}");
    let reset = log.lines().filter(|line| line.contains(&lost));
    let rerun = reset
        .filter(|line| line.contains("tasks for running job/stage"))
        .count();
    assert!(
        rerun > 0,
        "no running task of the lost executor was handed out again:\n{log}"
    );
    assert_eq!(&cluster.lake.summaries().await, reference().await);
    cluster.wait_for_executors(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_killed_at_any_moment_change_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 3,
        executor_timeout_s: 3,
        ..Setup::default()
    })
    .await;
    let input = fixtures::marketplace(cluster.dir(), 2_000, 2);
    let input = format!("input={}", input.display());
    let job = cluster
        .submit()
        .detached(&fixtures::retail_project(), &["--vars", &input]);
    for staged in [2, 6] {
        wait::until("some models to be staged", LIMIT, async || {
            let job = job_now(&cluster, &job).await;
            (job.models_done >= staged || job.finished_at_us > 0).then_some(())
        })
        .await;
        cluster.executors[0].kill();
        cluster.executors.remove(0);
        cluster.add_executor().await;
    }
    cluster.submit().watch(&job).succeeded();
    assert_eq!(&cluster.lake.summaries().await, reference().await);
}

/// As a container does that ran out of memory. The scheduler takes the new process for another executor. Rows that the old one
/// had produced are gone, and a stage that still reads them begins again, of which another executor had done a part.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_comes_back_at_its_address_doubles_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 1,
        slots: 1,
        target_partitions: 8,
        executor_timeout_s: 3,
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 2_000);
    // Slow where it is grouped: customers are few, and each takes a while.
    let slow = "SELECT customer, count(*) AS orders, sha512(repeat(customer, 3000000)) AS print\nFROM {{ ref('stg_orders') }}\nGROUP BY customer\n";
    let project = Project::over(&orders).with("models/marts/slow.sql", slow);
    let project = project.write(cluster.dir());
    let job = cluster
        .submit()
        .detached(&project, &["--select", "stg_orders", "slow"]);
    let request = v1::WatchRequest {
        job_id: job.clone(),
        after_seq: 0,
    };
    let mut events = cluster.jobs().await.watch(request).await.unwrap();
    let groups = async {
        while let Some(event) = events.get_mut().message().await.unwrap() {
            let Some(v1::job_event::Event::StageProgress(now)) = event.event else {
                continue;
            };
            if now.model == "marts.slow" && now.stage == 2 {
                return;
            }
        }
        panic!("the job ended");
    };
    tokio::time::timeout(LIMIT, groups).await.unwrap();

    cluster.add_executor().await;
    let second = cluster.executor_admin_ports()[1];
    wait::until("a part from the second executor", LIMIT, async || {
        let metrics = Metrics::of(&[second]);
        (metrics.get("retail_tasks_total{outcome=\"succeeded\"}") > 0.0).then_some(())
    })
    .await;
    cluster.restart_executor(0).await;

    let watched = cluster.submit().watch(&job).succeeded();
    let tables = cluster.lake.summaries().await;
    assert_eq!(tables["marts.slow"].rows, 17, "{tables:?}");
    let why = "runs again: the query's result is lost: rows went with an executor, stage 1 was begun again";
    let watched = watched.stdout + &watched.stderr;
    assert!(watched.contains(why), "{watched}");
    let metrics = Metrics::of(&[cluster.admin_port()]);
    assert!(metrics.get("retail_retries_total{what=\"query\"}") >= 1.0);
}

async fn job_now(cluster: &Cluster, id: &str) -> v1::Job {
    cluster
        .jobs()
        .await
        .get(v1::GetJobRequest {
            job_id: id.to_owned(),
        })
        .await
        .unwrap()
        .into_inner()
}

/// The id under which an executor registered, from its log.
fn id_of(executor: &Program) -> String {
    let log = executor.log();
    let (_, rest) = log
        .split_once("executor registered executor=")
        .expect("it is registered");
    rest.split_whitespace()
        .next()
        .expect("an id follows")
        .to_owned()
}
