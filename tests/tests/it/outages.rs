//! What a process does while the one it needs is unavailable.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::LakeAt;
use crate::support::prerequisites;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(60);

/// Looks until the admin port's answer to `/readyz` is `status`, and returns its text.
async fn readyz(port: u16, status: u16) -> String {
    wait::until(&format!("/readyz to say {status}"), LIMIT, async || {
        let (now, text) = wait::http_get(port, "/readyz")?;
        (now == status).then_some(text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_waits_for_its_catalog_and_is_not_ready_without_it() {
    let Some(postgres) = prerequisites::postgres() else {
        return;
    };
    let url = postgres.database().await;
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let server: SocketAddr = server.replace("localhost", "127.0.0.1").parse().unwrap();
    let proxy = Proxy::closed(server).await;
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        catalog: format!("{user}@{}/{database}", proxy.addr),
        ..LakeAt::local(dir.path())
    };

    let mut cluster = Cluster::start_without_waiting(Setup {
        lake: Some(lake),
        ..Setup::default()
    });
    let port = cluster.admin_port();
    let reason = readyz(port, 503).await;
    let reason = match reason.contains("starting") {
        true => {
            wait::until("the reason", LIMIT, async || {
                let (_, reason) = wait::http_get(port, "/readyz")?;
                reason.contains("catalog").then_some(reason)
            })
            .await
        }
        false => reason,
    };
    assert!(reason.contains("cannot reach the catalog"), "{reason}");
    assert!(reason.contains(&proxy.addr.to_string()), "{reason}");
    assert_eq!(wait::http_get(port, "/healthz").unwrap().0, 200);
    // A request for the demand gets the same answer.
    let (status, work) = wait::http_get(port, "/work").unwrap();
    assert_eq!((status, work), (503, reason));
    assert!(proxy.cut() > 0);

    proxy.open();
    readyz(port, 200).await;
    cluster.add_executor().await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 100);
    let project = Project::over(&orders).write(cluster.dir());
    cluster.submit().project(&project, &[]).succeeded();
    let before = cluster.lake.publish_ids().await;

    let cut = proxy.cut();
    proxy.close();
    let reason = readyz(port, 503).await;
    assert!(reason.contains("catalog"), "{reason}");
    assert!(proxy.cut() > cut);
    // A job fails with the reason, and changes nothing.
    let refused = cluster.submit().project(&project, &[]);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("the catalog's database"),
        "{}",
        refused.stderr
    );

    proxy.open();
    readyz(port, 200).await;
    assert_eq!(cluster.lake.publish_ids().await, before);
    cluster.submit().project(&project, &[]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_refuses_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let lake = LakeAt {
        catalog: format!("sqlite://{}/file/catalog.db", dir.path().display()),
        ..LakeAt::local(dir.path())
    };
    let mut cluster = Cluster::start_without_waiting(Setup {
        lake: Some(lake),
        ..Setup::default()
    });
    assert!(!cluster.scheduler.wait(LIMIT).await.success());
    let log = cluster.scheduler.log();
    assert!(log.contains("cannot open the catalog"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_registers_however_often_its_first_calls_are_cut_off() {
    let cluster = Cluster::start(Setup {
        executors: 0,
        ..Setup::default()
    })
    .await;
    let server = cluster
        .url
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let proxy = Proxy::closed(server).await;
    let admin_port = wait::free_port();
    let url = format!("http://{}", proxy.addr);
    let admin = admin_port.to_string();
    let arguments = [
        "--scheduler",
        &url,
        "--port",
        "0",
        "--grpc-port",
        "0",
        "--admin-port",
        &admin,
        "--work-dir",
        "work-cut-off",
    ]
    .map(str::to_owned);
    let mut executor = Program::start("retail-executor", "cut-off", cluster.dir(), &arguments, &[]);
    wait::until("a cut call", LIMIT, async || {
        assert!(executor.ended().is_none(), "{}", executor.log());
        let is_cut = executor.log().contains("cannot ask for locations yet");
        is_cut.then_some(())
    })
    .await;
    assert!(proxy.cut() > 0);
    assert_eq!(wait::http_get(admin_port, "/readyz").unwrap().0, 503);
    proxy.open();
    executor.ready(admin_port, LIMIT).await;
    cluster.wait_for_executors(1).await;
}
