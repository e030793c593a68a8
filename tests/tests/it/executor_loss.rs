//! An executor dies in the middle of a job: its tasks run again elsewhere, and the rows are right.

use std::time::Duration;

use retail_proto::v1;
use retail_proto::v1::job_event::Event;
use tokio_stream::StreamExt;

use crate::cluster_matches_single_process::reference;
use crate::support::cluster::{Cluster, Setup};
use crate::support::{shop, wait};

const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn executor_loss_reruns_its_tasks_and_changes_no_row() {
    let mut cluster = Cluster::start(Setup {
        executors: 3,
        executor_timeout_s: 3,
        ..Setup::default()
    })
    .await;
    let input = shop::marketplace(cluster.dir(), 2_000, 2);
    let input = format!("input={}", input.display());

    // A stopped process takes tasks and finishes none: so its loss is sure to lose some.
    cluster.executors[0].signal("STOP");
    let job = cluster
        .submit()
        .detached(&shop::retail_project(), &["--vars", &input]);
    let stopped = wait::until("a task on the stopped executor", LIMIT, async || {
        let status = cluster.status().await?;
        let busy = status.executors.iter().filter(|e| e.slots_free < e.slots);
        // The others finish what they have; what stays busy is the stopped one's.
        let busy: Vec<_> = busy.map(|e| e.id.clone()).collect();
        (busy.len() == 1).then(|| busy[0].clone())
    })
    .await;
    let before = job_now(&cluster, &job).await;
    assert_eq!(before.state(), v1::JobState::Running);
    cluster.executors[0].kill();

    let answer = cluster.submit().watch(&job).succeeded();
    let events = events(&cluster, &job).await;
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::ExecutorLost(lost) if lost.executor_id == stopped)),
        "no event tells of the lost executor:\n{}{}\n{events:?}",
        answer.stdout,
        answer.stderr
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
    let input = shop::marketplace(cluster.dir(), 2_000, 2);
    let input = format!("input={}", input.display());
    let job = cluster
        .submit()
        .detached(&shop::retail_project(), &["--vars", &input]);
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

/// All events of a job that has ended.
async fn events(cluster: &Cluster, id: &str) -> Vec<Event> {
    let request = v1::WatchRequest {
        job_id: id.to_owned(),
        after_seq: 0,
    };
    let stream = cluster
        .jobs()
        .await
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    stream
        .filter_map(|event| event.unwrap().event)
        .collect()
        .await
}
