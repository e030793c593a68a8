//! The numbers on the dashboards are true: a run moves exactly the counters it should, by what it did.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::metrics::Metrics;
use crate::support::wait;

const ROWS: u32 = 3_000;
const CUSTOMERS: u32 = 17;

async fn cluster(executors: usize) -> Cluster {
    Cluster::start(Setup {
        executors,
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_moves_the_counters_by_what_it_did() {
    let cluster = cluster(2).await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, ROWS);
    let project = Project::over(&orders).write(cluster.dir());
    let (quiet_s, quiet_e) = (
        scheduler(&cluster),
        Metrics::of(cluster.executor_admin_ports()),
    );
    assert_eq!(
        quiet_s.get("retail_executors{state=\"active\"}"),
        2.0,
        "before the run"
    );
    assert_eq!(quiet_s.get("retail_slots"), 4.0);
    assert_eq!(quiet_s.get("retail_tables"), 0.0);

    cluster.submit().project(&project, &[]).succeeded();

    let s = scheduler(&cluster);
    let rows = f64::from(ROWS + CUSTOMERS);
    let lake = cluster.lake.summaries().await;
    for (series, expected) in [
        ("retail_jobs_total{state=\"succeeded\"}", 1.0),
        ("retail_jobs_total{state=\"failed\"}", 0.0),
        ("retail_jobs_running", 0.0),
        ("retail_jobs_queued", 0.0),
        ("retail_job_seconds_count{state=\"succeeded\"}", 1.0),
        ("retail_job_queue_seconds_count", 1.0),
        // Two tables and a view.
        ("retail_models_total{outcome=\"staged\"}", 3.0),
        ("retail_models_total{outcome=\"failed\"}", 0.0),
        ("retail_model_seconds_count", 3.0),
        ("retail_rows_written_total", rows),
        ("retail_snapshots_total", 2.0),
        ("retail_commit_seconds_count{step=\"stage\"}", 2.0),
        ("retail_commit_seconds_count{step=\"publish\"}", 1.0),
        ("retail_catalog_seconds_count{operation=\"publish\"}", 1.0),
        ("retail_catalog_errors_total{operation=\"publish\"}", 0.0),
        ("retail_publish_conflicts_total", 0.0),
        ("retail_retries_total{what=\"task\"}", 0.0),
        ("retail_retries_total{what=\"query\"}", 0.0),
        ("retail_retries_total{what=\"attempt\"}", 0.0),
        ("retail_tables", 3.0),
        (
            "retail_table_rows{table=\"staging.stg_orders\"}",
            f64::from(ROWS),
        ),
        (
            "retail_table_rows{table=\"marts.totals\"}",
            f64::from(CUSTOMERS),
        ),
        ("retail_table_snapshots{table=\"marts.totals\"}", 1.0),
        (
            "retail_grpc_requests_total{code=\"ok\",method=\"retail.v1.Jobs/Submit\"}",
            1.0,
        ),
    ] {
        assert_eq!(s.get(series), expected, "{series}");
    }
    assert_eq!(lake.len(), 2, "{lake:?}");
    let per_table = |metric: &str| {
        ["staging.stg_orders", "marts.totals"]
            .map(|table| s.get(&format!("{metric}{{table=\"{table}\"}}")))
            .iter()
            .sum::<f64>()
    };
    assert_eq!(
        per_table("retail_table_files"),
        s.get("retail_data_file_bytes_count"),
        "every file of the new tables was counted when it was staged"
    );
    assert_eq!(
        per_table("retail_table_bytes"),
        s.get("retail_bytes_written_total")
    );
    assert_eq!(
        s.get("retail_data_file_bytes_sum"),
        s.get("retail_bytes_written_total")
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let age_s = now.as_secs_f64()
        - s.get("retail_table_published_timestamp_seconds{table=\"marts.totals\"}");
    assert!((-1.0..300.0).contains(&age_s), "{age_s} s old");

    let e = Metrics::of(cluster.executor_admin_ports());
    // The CSV file once, and the staged table once.
    assert_eq!(e.get("retail_rows_read_total"), f64::from(2 * ROWS));
    assert!(e.get("retail_bytes_read_total") >= std::fs::metadata(&orders).unwrap().len() as f64);
    assert_eq!(
        e.get("retail_bytes_read_total"),
        e.get("retail_object_store_bytes_total{direction=\"read\"}")
    );
    assert_eq!(
        e.get("retail_object_store_bytes_total{direction=\"written\"}"),
        s.get("retail_bytes_written_total"),
        "executors write data files and nothing else"
    );
    assert!(e.get("retail_rows_shuffled_total") >= f64::from(CUSTOMERS));
    let tasks = e.get("retail_tasks_total{outcome=\"succeeded\"}");
    assert!(
        tasks >= s.get("retail_stages_total") && s.get("retail_stages_total") >= 2.0,
        "{tasks}"
    );
    assert_eq!(e.get("retail_task_seconds_count"), tasks);
    assert_eq!(e.get("retail_tasks_running"), 0.0);
    assert!(e.get("retail_memory_pool_limit_bytes") > 0.0);

    let mut grown = s.grown_since(&quiet_s);
    grown.extend(e.grown_since(&quiet_e));
    let unexpected = [
        "error",
        "failed",
        "cancelled\"",
        "conflict",
        "spill",
        "retries",
    ];
    let wrong: Vec<_> = grown
        .iter()
        .filter(|series| !series.contains("grpc"))
        .filter(|series| unexpected.iter().any(|word| series.contains(word)))
        .collect();
    assert_eq!(wrong, Vec::<&String>::new(), "nothing went wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_run_counts_as_one_and_writes_nothing() {
    let cluster = cluster(1).await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 100);
    let bad = "SELECT customer, cast(customer AS int) AS number FROM {{ ref('stg_orders') }}\n";
    let project = Project::over(&orders)
        .with("models/marts/totals.sql", bad)
        .with(
            "models/marts/best.sql",
            "SELECT number FROM {{ ref('totals') }}\n",
        )
        .write(cluster.dir());
    let answer = cluster.submit().project(&project, &[]);
    assert_eq!(answer.code, 1, "{}{}", answer.stdout, answer.stderr);

    let s = scheduler(&cluster);
    for (series, expected) in [
        ("retail_jobs_total{state=\"failed\"}", 1.0),
        ("retail_jobs_total{state=\"succeeded\"}", 0.0),
        ("retail_job_seconds_count{state=\"failed\"}", 1.0),
        ("retail_models_total{outcome=\"staged\"}", 1.0),
        ("retail_models_total{outcome=\"failed\"}", 1.0),
        ("retail_models_total{outcome=\"skipped\"}", 1.0),
        ("retail_snapshots_total", 0.0),
        ("retail_commit_seconds_count{step=\"publish\"}", 0.0),
        ("retail_tables", 0.0),
        ("job_failed_total", 1.0),
    ] {
        assert_eq!(s.get(series), expected, "{series}");
    }
    let e = Metrics::of(cluster.executor_admin_ports());
    assert!(
        e.get("retail_tasks_total{outcome=\"failed\"}") >= 1.0,
        "a failed task is no succeeded one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_are_shown_as_they_are_now() {
    let mut cluster = cluster(2).await;
    assert_eq!(
        scheduler(&cluster).get("retail_executors{state=\"active\"}"),
        2.0
    );
    cluster.executors[1].terminate();
    cluster.executors[1].wait(Duration::from_secs(60)).await;
    wait::until(
        "one executor to be left",
        Duration::from_secs(30),
        async || {
            let s = scheduler(&cluster);
            (s.get("retail_executors{state=\"active\"}") == 1.0 && s.get("retail_slots") == 2.0)
                .then_some(())
        },
    )
    .await;
}

fn scheduler(cluster: &Cluster) -> Metrics {
    Metrics::of(&[cluster.admin_port()])
}
