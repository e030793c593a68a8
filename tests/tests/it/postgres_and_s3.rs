//! The same on a PostgreSQL catalog and an S3 store as on SQLite and a folder.

use crate::other_engines::others_see_the_same;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::LakeAt;
use crate::support::prerequisites;

#[tokio::test(flavor = "multi_thread")]
async fn the_retail_project_ends_the_same_on_postgres_and_s3() {
    let (Some(postgres), Some(s3)) = (prerequisites::postgres(), prerequisites::s3()) else {
        return;
    };
    let lake = LakeAt {
        catalog: postgres.database().await,
        warehouse: s3.prefix(),
        s3: Some(s3),
    };
    let remote = Cluster::start(Setup {
        executors: 2,
        lake: Some(lake),
        ..Setup::default()
    })
    .await;
    let local = Cluster::start(Setup::default()).await;
    let input = format!(
        "input={}",
        fixtures::marketplace(remote.dir(), 1_000, 2).display()
    );
    for cluster in [&remote, &local] {
        cluster
            .submit()
            .project(&fixtures::retail_project(), &["--vars", &input])
            .succeeded();
    }
    assert_eq!(remote.lake.summaries().await, local.lake.summaries().await);
    assert_eq!(
        remote
            .submit()
            .run(["jobs"])
            .succeeded()
            .stdout
            .matches("succeeded")
            .count(),
        1
    );
    if let Some(python) = prerequisites::python() {
        others_see_the_same(&python, &remote.lake).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_refused_and_nothing_is_published() {
    let Some(mut s3) = prerequisites::s3() else {
        return;
    };
    let prefix = s3.prefix();
    s3.secret = "not-the-secret".to_owned();
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        warehouse: prefix.clone(),
        s3: Some(s3),
        ..LakeAt::local(dir.path())
    };
    let cluster = Cluster::start(Setup {
        lake: Some(lake),
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 50);
    let project = Project::over(&orders).write(cluster.dir());
    let answer = cluster
        .submit()
        .project(&project, &[])
        .failed(1, &["nothing was published", "s3://"]);
    assert!(
        !answer.stderr.contains("not-the-secret"),
        "{}",
        answer.stderr
    );
    assert_eq!(cluster.lake.summaries().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_read_from_s3() {
    let Some(s3) = prerequisites::s3() else {
        return;
    };
    let lake_dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        s3: Some(s3.clone()),
        ..LakeAt::local(lake_dir.path())
    };
    let prefix = s3.prefix();
    let file = lake_dir.path().join("orders.csv");
    fixtures::orders(&file, 60);
    let stores = retail_storage::ObjectStores::new(lake.storage_config());
    let (_, path, store) = stores.resolve(&format!("{prefix}/in/orders.csv")).unwrap();
    store
        .put_opts(
            &path,
            std::fs::read(&file).unwrap().into(),
            Default::default(),
        )
        .await
        .unwrap();
    let cluster = Cluster::start(Setup {
        lake: Some(lake),
        ..Setup::default()
    })
    .await;
    let project = Project::over(format!("{prefix}/in/*.csv").as_ref()).write(cluster.dir());
    cluster.submit().project(&project, &[]).succeeded();
    assert_eq!(
        cluster.lake.summaries().await["staging.stg_orders"].rows,
        60
    );
}
