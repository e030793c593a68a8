//! PyIceberg and DuckDB see every table with the rows that we see, and we see what PyIceberg appends.

use crate::support::checksum::Summary;
use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::{self, Project};
use crate::support::lake::LakeAt;
use crate::support::prerequisites::{self, Python};

#[tokio::test(flavor = "multi_thread")]
async fn pyiceberg_and_duckdb_read_every_table_of_the_retail_project() {
    let Some(python) = prerequisites::python() else {
        return;
    };
    let cluster = Cluster::start(Setup {
        executors: 2,
        ..Setup::default()
    })
    .await;
    let input = format!(
        "input={}",
        fixtures::marketplace(cluster.dir(), 1_000, 2).display()
    );
    cluster
        .submit()
        .project(&fixtures::retail_project(), &["--vars", &input])
        .succeeded();
    others_see_the_same(&python, &cluster.lake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_pyiceberg_appends_are_read_and_named_before_a_rebuild_replaces_them() {
    let Some(python) = prerequisites::python() else {
        return;
    };
    let cluster = Cluster::start(Setup::default()).await;
    let orders = cluster.dir().join("orders.csv");
    fixtures::orders(&orders, 100);
    let project = Project::over(&orders).write(cluster.dir());
    cluster.submit().project(&project, &[]).succeeded();
    let before = cluster.lake.summaries().await;

    let options = cluster.lake.options();
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["--table", "staging.stg_orders", "--rows", "7"]);
    let appended = python.run("append.py", &arguments);
    let after = cluster.lake.summaries().await;
    assert_eq!(after["staging.stg_orders"].rows, 107);
    assert_eq!(after["staging.stg_orders"], Summary::from_json(&appended));
    assert_eq!(after["marts.totals"], before["marts.totals"]);

    let sql = "select count(*) as n from staging.stg_orders";
    let answer = cluster
        .submit()
        .run(["sql", sql, "--format", "csv"])
        .succeeded();
    assert_eq!(answer.stdout, "n\n107\n");
    others_see_the_same(&python, &cluster.lake).await;

    let refused = cluster.submit().project(&project, &["--keep-foreign-rows"]);
    let texts = [
        "staging.stg_orders",
        "appended 7 rows",
        "--keep-foreign-rows",
    ];
    refused.failed(1, &texts);
    assert_eq!(cluster.lake.summaries().await, after);
    let named = cluster.submit().project(&project, &[]);
    assert!(
        named
            .succeeded()
            .stderr
            .contains("staging.stg_orders is rebuilt")
    );
    assert_eq!(cluster.lake.summaries().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_pyiceberg_evolved_or_imported_are_read_on_executors() {
    let Some(python) = prerequisites::python() else {
        return;
    };
    let cluster = Cluster::start(Setup {
        executors: 2,
        ..Setup::default()
    })
    .await;
    let options = cluster.lake.options();
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["--warehouse", &cluster.lake.warehouse]);
    python.run("evolved.py", &arguments);
    for (sql, rows) in [
        (
            "select id, area, price from ice.hive where area is not null order by id",
            "0,North West,9.99\n1,North West,9.99\n10,a/b,-0.01\n11,a/b,-0.01\n90,South,1.00\n",
        ),
        (
            "select area, count(*) as n from ice.hive group by area order by n desc, area nulls last",
            "North West,2\na/b,2\n,2\nSouth,1\n",
        ),
        (
            "select id, place['town'] as town, lines[1]['code'] as code from ice.nested order by id",
            "1,Ulm,a\n2,,\n3,Bonn,c\n",
        ),
        (
            "select i.total, p.n from ice.imported i join ice.promoted p on p.n = 7 order by 1",
            "10,7\n10,7\n20,7\n",
        ),
    ] {
        let answer = cluster
            .submit()
            .run(["sql", sql, "--format", "csv"])
            .succeeded();
        let body = answer.stdout.split_once('\n').map(|(_, body)| body);
        assert_eq!(body, Some(rows), "{sql}");
    }
}

/// Compares what PyIceberg, DuckDB and we see in every table.
pub(crate) async fn others_see_the_same(python: &Python, lake: &LakeAt) {
    let ours = lake.summaries().await;
    let options = lake.options();
    let theirs = python.run(
        "read_all.py",
        &options.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let theirs = theirs.as_object().unwrap();
    assert_eq!(
        theirs.keys().collect::<Vec<_>>(),
        ours.keys().collect::<Vec<_>>()
    );
    assert!(!ours.is_empty());
    for (table, ours) in &ours {
        assert_eq!(
            &Summary::from_json(&theirs[table]["pyiceberg"]),
            ours,
            "{table} in PyIceberg"
        );
        assert_eq!(
            &Summary::from_json(&theirs[table]["duckdb"]),
            ours,
            "{table} in DuckDB"
        );
    }
}
