//! What is reported of a publish is true: however late its commit comes, whoever owns the catalog, whatever is full or
//! locked meanwhile.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::LakeAt;
use crate::support::prerequisites;
use crate::support::program::Program;
use crate::support::proxy::{Late, Proxy};
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(90);

/// A cluster whose catalog is a new PostgreSQL database behind a proxy, its project, and the database's own URL.
async fn behind_a_proxy(dir: &Path) -> Option<(Cluster, Proxy, String)> {
    let url = prerequisites::postgres()?.database().await;
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let server: SocketAddr = server.replace("localhost", "127.0.0.1").parse().unwrap();
    let proxy = Proxy::closed(server).await;
    proxy.open();
    let lake = LakeAt {
        catalog: format!("{user}@{}/{database}", proxy.addr),
        ..LakeAt::local(dir)
    };
    let cluster = Cluster::start(Setup {
        lake: Some(lake),
        ..Setup::default()
    });
    Some((cluster.await, proxy, url))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_counts_when_it_comes_late_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let Some((cluster, proxy, _)) = behind_a_proxy(dir.path()).await else {
        return;
    };
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 400);
    let project = Project::over(&orders).write(dir.path());
    proxy.take_commit(Late::After(Duration::from_millis(2_000)));
    cluster.submit().project(&project, &[]).succeeded();
    assert_eq!(proxy.commits_taken(), 1, "the fault did not fire");
    let published = cluster.lake.publish_ids().await;
    assert_eq!(published.values().collect::<BTreeSet<_>>().len(), 1);
    assert!(
        cluster
            .scheduler
            .log()
            .contains("the commit's answer was lost")
    );

    // One that never comes is ruled out before it is reported.
    fixtures::orders(&orders, 500);
    proxy.forget_connections();
    proxy.take_commit(Late::Never);
    let lost = cluster.submit().project(&project, &[]);
    lost.failed(1, &["cannot publish", "nothing was published"]);
    assert_eq!(proxy.commits_taken(), 2, "the fault did not fire");
    assert_eq!(cluster.lake.publish_ids().await, published);
    cluster.submit().project(&project, &[]).succeeded();
    assert_eq!(
        cluster.lake.summaries().await["staging.stg_orders"].rows,
        500
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_waits_for_a_row_reports_it_and_ends_when_it_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let Some((cluster, _proxy, url)) = behind_a_proxy(dir.path()).await else {
        return;
    };
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 100);
    let project = Project::over(&orders).write(dir.path());
    cluster.submit().project(&project, &[]).succeeded();
    let before = cluster.lake.publish_ids().await;

    let somebody = sqlx::PgPool::connect(&url).await.unwrap();
    let mut lock = somebody.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM iceberg_tables WHERE table_name = 'totals' FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let job = cluster.submit().detached(&project, &[]);
    wait::until("the scheduler to wait for the row", LIMIT, async || {
        let log = cluster.scheduler.log();
        log.contains("catalog busy, publishing again").then_some(())
    })
    .await;
    let requested = Instant::now();
    cluster.submit().run(["cancel", &job]).succeeded();
    assert!(
        requested.elapsed() < Duration::from_secs(10),
        "{:?}",
        requested.elapsed()
    );
    assert_eq!(cluster.submit().job(&job)["state"], "cancelled");
    let watched = cluster.submit().watch(&job);
    let text = format!("{}{}", watched.stdout, watched.stderr);
    assert!(
        text.contains("another session holds the catalog's row of marts.totals"),
        "{text}"
    );
    lock.rollback().await.unwrap();
    assert_eq!(cluster.lake.publish_ids().await, before);
    cluster.submit().project(&project, &[]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_lands_while_a_run_waits_is_read_and_one_that_goes_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let Some((cluster, _proxy, _)) = behind_a_proxy(dir.path()).await else {
        return;
    };
    let day = |n: u32| dir.path().join(format!("day={n}/orders.csv"));
    let land = |n: u32, rows: u32| {
        std::fs::create_dir_all(day(n).parent().unwrap()).unwrap();
        fixtures::orders(&day(n), rows);
    };
    land(1, 100);
    let project = Project::over(&dir.path().join("day=*/orders.csv")).write(dir.path());
    // One that runs, and one that waits for it; day 2 lands after both were taken.
    cluster.executors[0].signal("STOP");
    let runs = cluster.submit().detached(&project, &[]);
    wait::until("the first job to run", LIMIT, async || {
        (cluster.submit().job(&runs)["state"] == "running").then_some(())
    })
    .await;
    let waits = cluster.submit().detached(&project, &[]);
    land(2, 50);
    cluster.executors[0].signal("CONT");
    for job in [&runs, &waits] {
        cluster.submit().watch(job).succeeded();
        assert_eq!(cluster.submit().job(job)["state"], "succeeded");
    }
    let summaries = cluster.lake.summaries().await;
    assert_eq!(summaries["staging.stg_orders"].rows, 150);

    let before = cluster.lake.publish_ids().await;
    std::fs::remove_file(day(1)).unwrap();
    let lost = cluster.submit().project(&project, &[]);
    lost.failed(1, &["day=1/orders.csv", "nothing was published"]);
    assert_eq!(cluster.lake.publish_ids().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_scheduler_waits_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt::local(dir.path());
    let setup = || Setup {
        lake: Some(lake.clone()),
        lease_s: 60,
        ..Setup::default()
    };
    let first = Cluster::start(setup()).await;
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 400);
    let project = Project::over(&orders).write(dir.path());
    first.executors[0].signal("STOP");
    let job = first.submit().detached(&project, &[]);
    wait::until("the job to run", LIMIT, async || {
        (first.submit().job(&job)["state"] == "running").then_some(())
    })
    .await;

    let mut second = Cluster::start_without_waiting(setup());
    let reason = wait::until(
        "the second one to say whom it waits for",
        LIMIT,
        async || {
            let (status, reason) = wait::http_get(second.admin_port(), "/readyz")?;
            (status == 503 && reason.contains("owns this catalog since")).then_some(reason)
        },
    )
    .await;
    let pid = format!("process {}", first.scheduler.pid());
    assert!(reason.contains(&pid), "{reason}");
    first.executors[0].signal("CONT");
    first.submit().watch(&job).succeeded();
    assert_eq!(first.submit().job(&job)["state"], "succeeded");

    // A clean stop lets go at once, and a process that was killed is seen to be gone: nobody waits for the lease.
    let since = Instant::now();
    first.scheduler.terminate();
    second.scheduler.ready(second.admin_port(), LIMIT).await;
    second.scheduler.kill();
    let mut third = Cluster::start_without_waiting(setup());
    third.scheduler.ready(third.admin_port(), LIMIT).await;
    assert!(
        since.elapsed() < Duration::from_secs(45),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_hung_and_was_replaced_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    hung_and_replaced(dir.path(), LakeAt::local(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_hung_on_postgresql_and_was_replaced_publishes_nothing() {
    let Some(postgres) = prerequisites::postgres() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        catalog: postgres.database().await,
        ..LakeAt::local(dir.path())
    };
    hung_and_replaced(dir.path(), lake).await;
}

async fn hung_and_replaced(dir: &Path, lake: LakeAt) {
    let setup = || Setup {
        lake: Some(lake.clone()),
        lease_s: 2,
        ..Setup::default()
    };
    let mut first = Cluster::start(setup()).await;
    let orders = dir.join("orders.csv");
    fixtures::orders(&orders, 400);
    let project = Project::over(&orders).write(dir);
    first.submit().project(&project, &[]).succeeded();
    let before = lake.publish_ids().await;
    first.executors[0].signal("STOP");
    let job = first.submit().detached(&project, &[]);
    wait::until("the job to run", LIMIT, async || {
        (first.submit().job(&job)["state"] == "running").then_some(())
    })
    .await;
    stop_between_transactions(&first.scheduler, &lake).await;

    let mut second = Cluster::start_without_waiting(setup());
    second.scheduler.ready(second.admin_port(), LIMIT).await;
    assert_eq!(second.submit().job(&job)["state"], "interrupted");
    first.executors[0].signal("CONT");
    first.scheduler.signal("CONT");
    assert!(!first.scheduler.wait(LIMIT).await.success());
    let log = first.scheduler.log();
    assert!(
        log.contains("another scheduler has taken over the catalog"),
        "{log}"
    );
    assert_eq!(second.submit().job(&job)["state"], "interrupted");
    assert_eq!(lake.publish_ids().await, before);
    second.add_executor().await;
    second.wait_for_executors(1).await;
    second.submit().project(&project, &[]).succeeded();
}

/// Stops `program` where it holds no transaction on `lake`'s catalog: SQLite lets nobody write to a file in which a process
/// was stopped in mid-transaction, and PostgreSQL nobody to its rows, until that process goes on or ends.
async fn stop_between_transactions(program: &Program, lake: &LakeAt) {
    wait::until("a moment without a transaction", LIMIT, async || {
        program.signal("STOP");
        let free = lake.has_no_transaction().await;
        if !free {
            program.signal("CONT");
        }
        free.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_cannot_write_to_a_locked_catalog_names_its_owner_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt::local(dir.path());
    let setup = || Setup {
        lake: Some(lake.clone()),
        ..Setup::default()
    };
    let first = Cluster::start(setup()).await;
    let second = Cluster::start_without_waiting(setup());
    let waits_for = async |words: &str| {
        wait::until(
            &format!("a scheduler that waits for {words}"),
            LIMIT,
            async || {
                wait::http_get(second.admin_port(), "/readyz")
                    .filter(|(_, why)| why.contains(words))
            },
        )
        .await
    };
    waits_for("owns this catalog since").await;
    stop_between_transactions(&first.scheduler, &lake).await;
    let _lock = wait::until("the write lock", LIMIT, async || lake.lock().await).await;
    let (_, why) = waits_for("database is locked").await;
    for words in [
        "owns this catalog since",
        "end that process or its transaction",
    ] {
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_whose_disk_was_full_goes_on_when_there_is_room_again() {
    let Some(disk) = prerequisites::small_disk(2) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        catalog: format!("sqlite://{}/catalog.db", disk.path().display()),
        ..LakeAt::local(dir.path())
    };
    let cluster = Cluster::start(Setup {
        lake: Some(lake),
        ..Setup::default()
    })
    .await;
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 100);
    let project = Project::over(&orders).write(dir.path());
    cluster.submit().project(&project, &[]).succeeded();
    let before = cluster.lake.publish_ids().await;

    cluster.executors[0].signal("STOP");
    let job = cluster.submit().detached(&project, &[]);
    wait::until("the job to run", LIMIT, async || {
        (cluster.submit().job(&job)["state"] == "running").then_some(())
    })
    .await;
    disk.fill();
    cluster.executors[0].signal("CONT");
    wait::until("the disk to be full for the scheduler", LIMIT, async || {
        let log = cluster.scheduler.log();
        (log.contains("database or disk is full") && log.contains("job ended")).then_some(())
    })
    .await;
    assert_eq!(cluster.lake.publish_ids().await, before);
    disk.free();
    wait::until("the job's end to be stored", LIMIT, async || {
        (cluster.submit().job(&job)["state"] == "failed").then_some(())
    })
    .await;
    let failure = cluster.submit().job(&job)["failure"].to_string();
    assert!(
        failure.contains("\"unpublished\":\"everything\"") && failure.contains("disk is full"),
        "{failure}"
    );
    assert_eq!(cluster.lake.publish_ids().await, before);
    for _ in 0..3 {
        cluster.submit().project(&project, &[]).succeeded();
    }
    let log = cluster.scheduler.log();
    assert!(!log.contains("non-zero transaction depth"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_command_reads_beside_a_scheduler_and_starts_at_once_after_one_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt::local(dir.path());
    let setup = Setup {
        lake: Some(lake),
        ..Setup::default()
    };
    let mut cluster = Cluster::start(setup).await;
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 100);
    let project = Project::over(&orders).write(dir.path());
    cluster.submit().project(&project, &[]).succeeded();
    let local = |arguments: &[&str]| {
        let more = [
            "--local",
            "--executors",
            "1",
            "--dir",
            dir.path().to_str().unwrap(),
        ];
        cluster.submit().run([arguments, &more].concat())
    };
    let sql = "select count(*) as n from staging.stg_orders";
    let answer = local(&["sql", sql, "--format", "csv"]).succeeded();
    assert_eq!(answer.stdout, "n\n100\n");
    let run = ["run", "--project", project.to_str().unwrap()];
    local(&run).failed(
        1,
        &["cannot run jobs on this catalog", "owns this catalog since"],
    );
    let submit = cluster.submit();
    cluster.scheduler.kill();
    let since = Instant::now();
    let more = [
        "--local",
        "--executors",
        "1",
        "--dir",
        dir.path().to_str().unwrap(),
    ];
    submit.run([&run[..], &more].concat()).succeeded();
    // Less than the lease of the one that was killed.
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
}
