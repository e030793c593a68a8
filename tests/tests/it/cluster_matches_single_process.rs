//! However a run is spread over executors, tasks and plans, its tables hold the same rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use retail_engine::{EngineConfig, InProcess};
use retail_jobs::{JobContext, JobSpec, run_job};
use retail_project::select;
use serde_json::{Map, json};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use crate::support::checksum::Summary;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures;
use crate::support::lake::LakeAt;

const ORDERS: u32 = 2_000;
const DAYS: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn one_executor_whole_stages() {
    check(Setup {
        executors: 1,
        max_partitions_per_task: 0,
        ..Setup::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_executor_one_partition_per_task() {
    check(Setup {
        executors: 1,
        max_partitions_per_task: 1,
        ..Setup::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_executors_whole_stages() {
    check(Setup {
        executors: 3,
        max_partitions_per_task: 0,
        ..Setup::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_executors_one_partition_per_task() {
    check(Setup {
        executors: 3,
        max_partitions_per_task: 1,
        ..Setup::default()
    })
    .await;
}

/// Runs the retail project on a cluster like this and compares every table with the reference.
async fn check(setup: Setup) {
    let expected = reference().await;
    let cluster = Cluster::start(setup).await;
    let input = fixtures::marketplace(cluster.dir(), ORDERS, DAYS);
    let input = format!("input={}", input.display());
    cluster
        .submit()
        .project(&fixtures::retail_project(), &["--vars", &input])
        .succeeded();
    let seen = cluster.lake.summaries().await;
    for (table, summary) in expected {
        assert_eq!(
            seen.get(table),
            Some(summary),
            "{table} differs from the single process's"
        );
    }
    assert_eq!(seen.len(), expected.len());
}

/// The tables as plain DataFusion makes them in this process, without Ballista; computed once.
pub(crate) async fn reference() -> &'static BTreeMap<String, Summary> {
    static REFERENCE: OnceCell<BTreeMap<String, Summary>> = OnceCell::const_new();
    REFERENCE
        .get_or_init(|| async {
            let dir = tempfile::tempdir().unwrap();
            let input = fixtures::marketplace(dir.path(), ORDERS, DAYS);
            let lake = LakeAt::local(dir.path());
            in_this_process(&lake, &fixtures::retail_project(), &input).await;
            let tables = lake.summaries().await;
            assert!(tables.len() > 5, "{:?}", tables.keys());
            assert!(
                tables.values().filter(|s| s.rows > 0).count() > 5,
                "{tables:?}"
            );
            tables
        })
        .await
}

async fn in_this_process(lake: &LakeAt, project: &Path, input: &Path) {
    let lake = lake.open().await;
    let files = retail_project::read_dir(project).unwrap();
    let vars: Map<_, _> = [("input".to_owned(), json!(input))].into_iter().collect();
    let project = retail_project::load(&files, &vars).unwrap();
    let spec = JobSpec {
        id: "reference".into(),
        selected: select::select(&project, &[], &[]).unwrap(),
        project: Arc::new(project),
        executor_timeout: None,
        tests_only: false,
        allow_removed_files: false,
        keep_foreign_rows: false,
    };
    let cluster = InProcess::new(EngineConfig::default(), 2, lake.stores()).unwrap();
    let context = JobContext {
        lake,
        cluster: Arc::new(cluster),
        lease: None,
    };
    let (events, _all) = mpsc::unbounded_channel();
    run_job(&spec, &context, &events, &CancellationToken::new())
        .await
        .unwrap();
}
