//! Each thing that people get wrong, or that goes wrong under them, and the message that they read. After each, the
//! tables are as before.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection;

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::LakeAt;
use crate::support::prerequisites;
use crate::support::program::Program;
use crate::support::submit::{Answer, Submit};
use crate::support::wait;

const LIMIT: Duration = Duration::from_secs(120);

/// A cluster with one published run of the project.
struct Published {
    cluster: Cluster,
    orders: PathBuf,
    project: Project,
}

impl Published {
    async fn start(setup: Setup) -> Self {
        let cluster = Cluster::start(setup).await;
        let orders = cluster.dir().join("orders.csv");
        fixtures::orders(&orders, 200);
        let project = Project::over(&orders);
        let folder = project.write(cluster.dir());
        cluster.submit().project(&folder, &[]).succeeded();
        Self {
            cluster,
            orders,
            project,
        }
    }

    /// Runs a changed project, which must fail with this, and leave the tables as they were.
    async fn refuses(&self, project: Project, more: &[&str], code: i32, texts: &[&str]) -> Answer {
        let before = self.cluster.lake.publish_ids().await;
        let folder = project.write(self.cluster.dir());
        let answer = self
            .cluster
            .submit()
            .project(&folder, more)
            .failed(code, texts);
        assert_eq!(self.cluster.lake.publish_ids().await, before);
        self.project.write(self.cluster.dir());
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_project_is_refused_with_file_line_and_what_to_do() {
    let published = Published::start(Setup::default()).await;
    let good = || published.project.clone();

    // An unknown model, with the nearest name.
    published
        .refuses(
            good(),
            &["--select", "totls"],
            1,
            &["totls", "did you mean totals"],
        )
        .await;

    // A cycle, with its path.
    let cycle = good().with(
        "models/marts/totals.sql",
        "SELECT 1 AS a, customer, total\nFROM {{ ref('best') }}\n",
    );
    published
        .refuses(cycle, &[], 1, &["cycle", "totals", "best"])
        .await;

    // A ref to nothing.
    let undefined = good().with(
        "models/marts/totals.sql",
        "SELECT *\nFROM {{ ref('stg_ordrs') }}\n",
    );
    published
        .refuses(
            undefined,
            &[],
            1,
            &[
                "models/marts/totals.sql:2",
                "stg_ordrs",
                "did you mean stg_orders",
            ],
        )
        .await;

    // SQL that does not parse, with a caret.
    let broken = good().with(
        "models/marts/totals.sql",
        "SELECT customer,\n  sum(amount FROM {{ ref('stg_orders') }}\n",
    );
    published
        .refuses(broken, &[], 1, &["models/marts/totals.sql:2:", "^"])
        .await;

    // A column that is not there, with the nearest one.
    let column = good().with(
        "models/marts/totals.sql",
        "SELECT custmer\nFROM {{ ref('stg_orders') }}\n",
    );
    published
        .refuses(
            column,
            &[],
            1,
            &[
                "models/marts/totals.sql:1:8",
                "custmer",
                "did you mean",
                "customer",
                "^^^",
            ],
        )
        .await;

    // A construct that is not supported.
    let jinja = good().with(
        "models/marts/totals.sql",
        "SELECT 1 AS a\n{{ no_such_macro() }}\n",
    );
    published
        .refuses(
            jinja,
            &[],
            1,
            &["models/marts/totals.sql:2", "no_such_macro"],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_source_is_refused_with_file_row_and_column() {
    let published = Published::start(Setup::default()).await;
    let good = std::fs::read_to_string(&published.orders).unwrap();

    // A file that is not there.
    let missing = Project::over(&published.cluster.dir().join("nowhere.csv"));
    published
        .refuses(
            missing,
            &[],
            1,
            &[
                "raw.orders",
                "nowhere.csv",
                "models/sources.yml",
                "nothing was published",
            ],
        )
        .await;

    // A value of the wrong type: the header is line 1.
    std::fs::write(
        &published.orders,
        good.replacen("\n5,c5,5.05,", "\n5,c5,five,", 1),
    )
    .unwrap();
    published
        .refuses(
            published.project.clone(),
            &[],
            1,
            &[
                "raw.orders",
                "orders.csv:7",
                "amount",
                "five",
                "nothing was published",
            ],
        )
        .await;

    // A date that is none.
    std::fs::write(
        &published.orders,
        good.replacen(",2024-01-01\n", ",2024-13-01\n", 1),
    )
    .unwrap();
    published
        .refuses(
            published.project.clone(),
            &[],
            1,
            &[
                "orders.csv:2",
                "order_date",
                "2024-13-01",
                "nothing was published",
            ],
        )
        .await;

    // A column that is not there.
    std::fs::write(
        &published.orders,
        good.replacen("customer,amount", "client,amount", 1),
    )
    .unwrap();
    published
        .refuses(
            published.project.clone(),
            &[],
            1,
            &[
                "raw.orders",
                "customer",
                "orders.csv",
                "nothing was published",
            ],
        )
        .await;

    std::fs::write(&published.orders, good).unwrap();
    published
        .cluster
        .submit()
        .project(&published.project.write(published.cluster.dir()), &[])
        .succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_bucket_is_named() {
    let Some(s3) = prerequisites::s3() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let lake = LakeAt {
        s3: Some(s3),
        ..LakeAt::local(dir.path())
    };
    let cluster = Cluster::start(Setup {
        lake: Some(lake),
        ..Setup::default()
    })
    .await;
    let project = Project::over("s3://no-such-bucket/in/*.csv".as_ref()).write(cluster.dir());
    cluster.submit().project(&project, &[]).failed(
        1,
        &[
            "raw.orders",
            "s3://no-such-bucket",
            "no bucket",
            "nothing was published",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_executors_waits_and_reports_it() {
    let mut cluster = Cluster::start(Setup {
        executors: 0,
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 20);
    let project = Project::over(&orders).write(cluster.dir());
    cluster
        .submit()
        .project(&project, &["--timeout", "1s"])
        .failed(1, &["no executor", "retail-executor"]);

    let job = cluster.submit().detached(&project, &[]);
    wait::until("the job to wait", LIMIT, async || {
        (cluster.work()["queries_waiting"] == 1).then_some(())
    })
    .await;
    cluster.add_executor().await;
    let watched = cluster.submit().watch(&job).succeeded();
    let waiting = "waiting: no executor has a free slot (0 of 0); start one with retail-executor";
    let shown = format!("{}{}", watched.stdout, watched.stderr);
    assert!(shown.contains(waiting), "{shown}");
    assert_eq!(
        cluster.lake.summaries().await["staging.stg_orders"].rows,
        20
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_cannot_be_reached_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let orders = dir.path().join("orders.csv");
    fixtures::orders(&orders, 1);
    let project = Project::over(&orders).write(dir.path());
    let url = format!("http://127.0.0.1:{}", wait::free_port());
    let nobody = Submit::new(&url, dir.path());
    nobody
        .project(&project, &[])
        .failed(69, &["no scheduler at", &url, "--local"]);
    nobody.run(["jobs"]).failed(69, &["no scheduler at", &url]);
    nobody.run(["snapshot"]).failed(2, &["'snapshots'"]);
    nobody
        .run(["run", "--project", "nowhere"])
        .failed(64, &["nowhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configuration_ends_a_process_before_it_binds_a_port() {
    let dir = tempfile::tempdir().unwrap();
    for program in ["retail-scheduler", "retail-executor"] {
        let file = dir.path().join("bad.toml");
        std::fs::write(&file, "[server]\nprot = 1\n").unwrap();
        let arguments = ["--config".to_owned(), file.display().to_string()];
        let mut process = Program::start(program, program, dir.path(), &arguments, &[]);
        let status = process.wait(LIMIT).await;
        assert_eq!(status.code(), Some(64), "{}", process.log());
        assert!(process.log().contains("prot"), "{}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_larger_than_a_message_is_refused_before_it_is_sent() {
    let cluster = Cluster::start(Setup {
        executors: 0,
        ..Setup::default()
    })
    .await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 1);
    let comment = format!("-- {}\n", "x".repeat(1 << 20));
    let project = Project::over(&orders)
        .with("models/marts/huge.sql", &comment.repeat(70))
        .write(cluster.dir());
    cluster
        .submit()
        .project(&project, &[])
        .failed(64, &["64", "MB"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_job_and_leaves_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_small) = SmallDisk::mount(&dir.path().join("warehouse")) else {
        return;
    };
    let published = Published::start(Setup {
        lake: Some(LakeAt::local(dir.path())),
        ..Setup::default()
    })
    .await;
    fixtures::orders(&published.orders, 400_000);
    published
        .refuses(
            published.project.clone(),
            &[],
            1,
            &["space", "staging.stg_orders", "nothing was published"],
        )
        .await;
    fixtures::orders(&published.orders, 200);
    let rows = published.cluster.lake.summaries().await;
    assert_eq!(rows["staging.stg_orders"].rows, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_catalog_fails_the_publish_and_names_the_catalog() {
    let published = Published::start(Setup::default()).await;
    let before = published.cluster.lake.publish_ids().await;
    let job = published.submit_stopped().await;
    let file = published.cluster.dir().join("catalog.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    published.let_go();
    let answer = published.cluster.submit().watch(&job);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    answer.failed(1, &["locked", "catalog.db", "nothing was published"]);
    assert_eq!(published.cluster.lake.publish_ids().await, before);
    published
        .cluster
        .submit()
        .project(&published.project.write(published.cluster.dir()), &[])
        .succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_vanishes_before_the_publish_is_named() {
    let published = Published::start(Setup::default()).await;
    let before = published.cluster.lake.publish_ids().await;
    let job = published.submit_stopped().await;
    let (file, aside) = (
        published.cluster.dir().join("catalog.db"),
        published.cluster.dir().join("aside.db"),
    );
    std::fs::rename(&file, &aside).unwrap();
    published.let_go();
    published
        .cluster
        .submit()
        .watch(&job)
        .failed(1, &["catalog", "gone", "nothing was published"]);
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(published.cluster.lake.publish_ids().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_the_same_tables_at_once_end_in_one_of_them_whole() {
    let published = Published::start(Setup::default()).await;
    let project = published.project.write(published.cluster.dir());
    let submit = published.cluster.submit();
    let jobs = [
        submit.detached(&project, &[]),
        submit.detached(&project, &[]),
        submit.detached(&project, &[]),
    ];
    let answers = jobs.each_ref().map(|job| submit.watch(job));
    assert!(answers.iter().any(|answer| answer.code == 0));
    for answer in answers.into_iter().filter(|answer| answer.code != 0) {
        answer.failed(1, &["published", "nothing was published"]);
    }
    let runs = published.cluster.lake.publish_ids().await;
    let [first, rest @ ..] = &runs.values().collect::<Vec<_>>()[..] else {
        panic!("no tables")
    };
    assert!(rest.iter().all(|run| run == first), "{runs:?}");
    assert!(jobs.contains(first));
    assert_eq!(
        published.cluster.lake.summaries().await["staging.stg_orders"].rows,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_another_engine_appends_under_a_run_are_named_and_nothing_is_computed_twice() {
    let Some(python) = prerequisites::python() else {
        return;
    };
    let published = Published::start(Setup::default()).await;
    let job = published.submit_stopped().await;
    let options = published.cluster.lake.options();
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["--table", "marts.totals", "--rows", "2"]);
    python.run("append.py", &arguments);
    published.let_go();
    let answer = published.cluster.submit().watch(&job).succeeded();
    let shown = format!("{}{}", answer.stdout, answer.stderr);
    assert_eq!(
        published.cluster.submit().job(&job)["attempts"],
        1,
        "{shown}"
    );
    assert!(shown.contains("appended 2 rows"), "{shown}");
    let rows = published.cluster.lake.summaries().await;
    assert_eq!(rows["marts.totals"].rows, 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_publishes_nothing() {
    let published = Published::start(Setup::default()).await;
    let before = published.cluster.lake.publish_ids().await;
    let job = published.submit_stopped().await;
    published.cluster.submit().run(["cancel", &job]).succeeded();
    published.let_go();
    wait::until("the job to be cancelled", LIMIT, async || {
        (published.cluster.submit().job(&job)["state"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(published.cluster.lake.publish_ids().await, before);
    published
        .cluster
        .submit()
        .project(&published.project.write(published.cluster.dir()), &[])
        .succeeded();
}

impl Published {
    /// Submits the project while its executors stand still, and returns when a model is running: it has pinned its
    /// tables and cannot publish before [`Published::let_go`].
    async fn submit_stopped(&self) -> String {
        for executor in &self.cluster.executors {
            executor.signal("STOP");
        }
        let job = self
            .cluster
            .submit()
            .detached(&self.project.write(self.cluster.dir()), &[]);
        wait::until("a model to run", LIMIT, async || {
            let job = self.cluster.submit().job(&job);
            let models = job["models"].as_array()?;
            models.iter().any(|m| m["state"] == "running").then_some(())
        })
        .await;
        job
    }

    fn let_go(&self) {
        for executor in &self.cluster.executors {
            executor.signal("CONT");
        }
    }
}

/// A file system of 400 kB; needs the right to mount.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &std::path::Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=400k", "tmpfs"])
            .arg(folder)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self {
                folder: folder.to_owned(),
            });
        }
        prerequisites::skipped("a small file system cannot be mounted (needs root)");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(&self.folder)
            .status();
    }
}
