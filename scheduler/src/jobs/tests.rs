use std::path::Path;

use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use retail_api::clock::now_us;
use retail_api::events::EventKind;
use retail_api::{FailureKind, Unpublished};
use retail_engine::{Cluster, ClusterStatus, EngineConfig, InProcess, Query, QueryError, QueryRun};
use retail_jobs::run_job;
use retail_lakehouse::{CatalogConfig, Claim, Lakehouse, Lease};
use retail_project::ProjectFile;
use retail_storage::ObjectStores;
use tokio::sync::mpsc;

use super::*;
use crate::admission::Limits;

/// A cluster in this process whose queries wait until they are let go.
pub(crate) struct Held {
    inner: InProcess,
    pub(crate) open: watch::Sender<bool>,
    /// Whether there is an executor.
    pub(crate) there: watch::Sender<bool>,
    /// How many queries wait or have waited.
    pub(crate) begun: watch::Sender<usize>,
    /// Whether a query was stopped while it waited.
    pub(crate) stopped: CancellationToken,
}

impl Held {
    pub(crate) fn new(stores: &ObjectStores, is_open: bool) -> Arc<Self> {
        let inner = InProcess::new(EngineConfig::default(), 2, stores).unwrap();
        let open = watch::Sender::new(is_open);
        Arc::new(Self {
            inner,
            open,
            there: watch::Sender::new(true),
            begun: watch::Sender::new(0),
            stopped: CancellationToken::new(),
        })
    }
}

impl Cluster for Held {
    fn session(&self) -> Result<SessionContext, QueryError> {
        self.inner.session()
    }

    fn execute(&self, query: Query) -> BoxFuture<'_, Result<QueryRun, QueryError>> {
        async move {
            let mut open = self.open.subscribe();
            self.begun.send_modify(|begun| *begun += 1);
            let opened = async {
                let _ = open.wait_for(|open| *open).await;
            };
            tokio::select! {
                () = opened => {}
                () = query.cancel.cancelled() => {
                    self.stopped.cancel();
                    return Err(QueryError::cancelled());
                }
            }
            self.inner.execute(query).await
        }
        .boxed()
    }

    fn status(&self) -> BoxFuture<'_, ClusterStatus> {
        async move {
            let there = *self.there.borrow();
            match there {
                true => self.inner.status().await,
                false => ClusterStatus::default(),
            }
        }
        .boxed()
    }

    fn wait_for_executor(&self, timeout: Option<Duration>) -> BoxFuture<'_, bool> {
        async move {
            let mut there = self.there.subscribe();
            let _ = there.wait_for(|there| *there).await;
            self.inner.wait_for_executor(timeout).await
        }
        .boxed()
    }
}

struct World {
    lake: Lakehouse,
    cluster: Arc<Held>,
    jobs: Arc<JobManager>,
}

/// Takes the ownership, whoever had it.
pub(crate) async fn lease(lake: &Lakehouse) -> Lease {
    let mut owner = None;
    loop {
        match lake.claim("test", 1_000, owner.as_ref()).await.unwrap() {
            Claim::Granted(lease) => return lease,
            Claim::Held(held) => owner = Some(held),
        }
    }
}

/// A scheduler's jobs on the files in `dir`, one at a time.
async fn world(dir: &Path) -> World {
    let stores = ObjectStores::default();
    let config = CatalogConfig {
        uri: format!("sqlite://{}/catalog.db", dir.display()),
        name: "retail".to_owned(),
        warehouse: format!("file://{}/warehouse", dir.display()),
    };
    let lake = Lakehouse::open(&config, stores.clone()).await.unwrap();
    let cluster = Held::new(&stores, true);
    let store = JobStore::open(lake.pool()).await.unwrap();
    let gate = Gate::new(Limits {
        jobs: 1,
        statements: 1,
    });
    let lease = lease(&lake).await;
    let context = JobContext {
        lake: lake.clone(),
        cluster: cluster.clone(),
        lease: Some(lease),
    };
    let (ours, lost) = (Ownership::Ours(lease), CancellationToken::new());
    let jobs = JobManager::start(store, context, ours, lost, gate, &JobsConfig::default())
        .await
        .unwrap();
    World {
        lake,
        cluster,
        jobs,
    }
}

/// Two models, one reading the other.
fn shop() -> Submission {
    let file = |path: &str, text: &str| ProjectFile {
        path: path.to_owned(),
        content: text.as_bytes().to_vec(),
    };
    let table = "{{ config(materialized='table', schema='marts') }}\n";
    let files = [
        file(
            "dbt_project.yml",
            "name: shop\nversion: '1.0'\nmodel-paths: [models]\n",
        ),
        file(
            "models/a.sql",
            &format!("{table}SELECT 1 AS id UNION ALL SELECT 2"),
        ),
        file(
            "models/b.sql",
            &format!("{table}SELECT SUM(id) AS total FROM {{{{ ref('a') }}}}"),
        ),
    ];
    let project = Arc::new(retail_project::load(&files, &serde_json::Map::new()).unwrap());
    let selected = retail_project::select::select(&project, &[], &[]).unwrap();
    Submission {
        project,
        selected,
        submitted_by: "test".to_owned(),
        executor_timeout: None,
        tests_only: false,
        traceparent: None,
        allow_removed_files: false,
        keep_foreign_rows: false,
    }
}

async fn events(jobs: &JobManager, id: &JobId, after_seq: u64) -> Vec<JobEvent> {
    let watch = jobs.watch(id, after_seq).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(60), watch.map(Result::unwrap).collect())
        .await
        .unwrap()
}

fn durable(events: &[JobEvent]) -> Vec<&JobEvent> {
    events.iter().filter(|e| e.kind.is_durable()).collect()
}

async fn state(jobs: &JobManager, id: &JobId) -> JobState {
    jobs.get(id).await.unwrap().unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_every_event_once_whenever_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.cluster.open.send_replace(false);
    let id = world.jobs.submit(shop()).await.unwrap();
    let early = tokio::spawn({
        let (jobs, id) = (Arc::clone(&world.jobs), id.clone());
        async move { events(&jobs, &id, 0).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.cluster.open.send_replace(true);
    let early = early.await.unwrap();
    let late = events(&world.jobs, &id, 0).await;
    assert_eq!(durable(&early), durable(&late));
    let numbers: Vec<_> = late.iter().map(|e| e.seq).collect();
    assert_eq!(numbers, (1..=late.len() as u64).collect::<Vec<_>>());
    assert!(matches!(
        late[0].kind,
        EventKind::Queued { position: 0, .. }
    ));
    let last = &late.last().unwrap().kind;
    assert!(
        matches!(
            last,
            EventKind::Finished {
                state: JobState::Succeeded,
                ..
            }
        ),
        "{last:?}"
    );
    let rest = events(&world.jobs, &id, 3).await;
    assert_eq!(rest[0].seq, 4);

    let job = world.jobs.get(&id).await.unwrap().unwrap();
    assert_eq!(
        (
            job.state,
            job.models_done,
            job.models_total,
            job.rows_written
        ),
        (JobState::Succeeded, 2, 2, 3)
    );
    assert_eq!(world.lake.list(Some("marts")).await.unwrap().len(), 2);
    assert!(world.jobs.watch(&"nope".into(), 0).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_job_waits_for_the_first_and_can_be_cancelled_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.cluster.open.send_replace(false);
    let first = world.jobs.submit(shop()).await.unwrap();
    let second = world.jobs.submit(shop()).await.unwrap();
    let third = world.jobs.submit(shop()).await.unwrap();
    assert_eq!(world.jobs.counts(), (1, 2));
    assert_eq!(state(&world.jobs, &second).await, JobState::Queued);
    assert_eq!(
        world.jobs.cancel(&second).await.unwrap(),
        Some(JobState::Cancelled)
    );
    world.cluster.open.send_replace(true);
    for id in [&first, &third] {
        events(&world.jobs, id, 0).await;
        assert_eq!(state(&world.jobs, id).await, JobState::Succeeded);
    }
    let seen = events(&world.jobs, &third, 0).await;
    assert!(matches!(
        seen[0].kind,
        EventKind::Queued { position: 2, .. }
    ));
    let reasons: Vec<_> = seen
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Waiting { reason } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    assert!(
        reasons[0].ends_with("1 job is before this one")
            && reasons[1].ends_with("this one is next"),
        "{reasons:?}"
    );
    assert_eq!(world.jobs.cancel(&"nope".into()).await.unwrap(), None);
    assert_eq!(
        world.jobs.cancel(&first).await.unwrap(),
        Some(JobState::Succeeded)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.cluster.open.send_replace(false);
    let id = world.jobs.submit(shop()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(
        world.jobs.cancel(&id).await.unwrap(),
        Some(JobState::Cancelled)
    );
    assert_eq!(world.lake.list(None).await.unwrap(), []);
    let job = world.jobs.get(&id).await.unwrap().unwrap();
    assert_eq!(
        (job.failure.unwrap().kind, job.rows_written),
        (FailureKind::Cancelled, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_scheduler_takes_no_jobs_and_interrupts_those_that_do_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.cluster.open.send_replace(false);
    let running = world.jobs.submit(shop()).await.unwrap();
    let waiting = world.jobs.submit(shop()).await.unwrap();
    let watcher = tokio::spawn({
        let (jobs, id) = (Arc::clone(&world.jobs), running.clone());
        async move { events(&jobs, &id, 0).await }
    });
    world.jobs.shutdown(Duration::from_millis(100)).await;
    assert!(matches!(
        world.jobs.submit(shop()).await,
        Err(SubmitError::Stopping)
    ));
    for id in [&running, &waiting] {
        let job = world.jobs.get(id).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Interrupted);
        let unpublished = job.failure.unwrap().unpublished;
        assert_eq!(unpublished, Some(Unpublished::Everything));
    }
    let last = watcher.await.unwrap().pop().unwrap().kind;
    assert!(
        matches!(
            last,
            EventKind::Finished {
                state: JobState::Interrupted,
                ..
            }
        ),
        "{last:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_scheduler_lets_a_running_job_end() {
    let dir = tempfile::tempdir().unwrap();
    let world = world(dir.path()).await;
    world.cluster.open.send_replace(false);
    let id = world.jobs.submit(shop()).await.unwrap();
    let open = world.cluster.open.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        open.send_replace(true);
    });
    world.jobs.shutdown(Duration::from_secs(30)).await;
    assert_eq!(state(&world.jobs, &id).await, JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_tables_are_in_the_catalog_is_not_called_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let World { lake, cluster, .. } = world(dir.path()).await;
    let store = JobStore::open(lake.pool()).await.unwrap();
    // As if a scheduler had died right after the publish, before it could record it: the driver ran, no event was stored.
    let submission = shop();
    let new = NewJob {
        project: "shop".to_owned(),
        submitted_by: String::new(),
        models_total: 2,
    };
    let published = store.create(&new, now_us()).await.unwrap().id;
    let lost = store.create(&new, now_us()).await.unwrap().id;
    let (events, mut received) = mpsc::unbounded_channel();
    let spec = JobSpec {
        id: published.clone(),
        project: submission.project,
        selected: submission.selected,
        executor_timeout: None,
        tests_only: false,
        allow_removed_files: false,
        keep_foreign_rows: false,
    };
    let context = JobContext {
        lake: lake.clone(),
        cluster,
        lease: None,
    };
    run_job(&spec, &context, &events, &CancellationToken::new())
        .await
        .unwrap();
    let planned = received.recv().await.unwrap();
    assert!(matches!(planned, EventKind::Planned { .. }));
    for id in [&published, &lost] {
        let event = JobEvent {
            job_id: id.clone(),
            seq: 1,
            time_us: now_us(),
            kind: planned.clone(),
        };
        store.append(&event).await.unwrap();
    }
    let restarted = world(dir.path()).await;
    assert_eq!(
        state(&restarted.jobs, &published).await,
        JobState::Succeeded
    );
    assert_eq!(state(&restarted.jobs, &lost).await, JobState::Interrupted);
}
