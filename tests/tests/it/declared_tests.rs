//! Declared tests are held on what a run wrote, before anybody sees it: an error stops the publish, a warning is reported.

use std::path::Path;

use serde_json::Value;

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::Project;

const ORDERS: &str = "order_id,store_id,price,status
1,10,16.99,paid
2,10,4.07,paid
3,99,129.99,lost
4,,19.99,paid
4,20,19.99,paid
";
const REPAIRED: &str = "order_id,store_id,price,status
1,10,16.99,paid
2,10,4.07,paid
3,20,129.99,paid
4,20,19.99,paid
";

const SOURCES: &str = "sources:
  - name: raw
    tables:
      - name: orders
        meta: {external_location: \"{DIR}/orders.csv\"}
        columns:
          - {name: order_id, data_type: bigint, tests: [not_null]}
          - {name: store_id, data_type: bigint}
          - {name: price, data_type: \"decimal(12,2)\"}
          - {name: status, data_type: varchar}
      - name: stores
        meta: {external_location: \"{DIR}/stores.csv\"}
        columns:
          - {name: store_id, data_type: bigint}
          - {name: name, data_type: varchar}
";

const MODELS: &str = "models:
  - name: orders
    columns:
      - name: order_id
        tests: [unique, not_null]
      - name: store_id
        data_tests:
          - not_null
          - relationships: {to: ref('stores'), field: store_id}
      - name: price
        tests:
          - accepted_values: {values: [16.99, 4.07, 129.99, 19.99], quote: false}
      - name: status
        tests:
          - accepted_values: {values: ['paid']}
";

fn project_over_orders(dir: &Path) -> Project {
    std::fs::write(
        dir.join("stores.csv"),
        "store_id,name\n10,North\n20,South\n",
    )
    .unwrap();
    Project::empty(&["m"])
        .with(
            "models/sources.yml",
            &SOURCES.replace("{DIR}", dir.to_str().unwrap()),
        )
        .with("models/m/s.yml", MODELS)
        .with(
            "models/m/orders.sql",
            "select * from {{ source('raw','orders') }}\n",
        )
        .with(
            "models/m/stores.sql",
            "select * from {{ source('raw','stores') }}\n",
        )
        .with(
            "tests/deep/no_order_is_dear.sql",
            "{{ config(severity='warn') }}\nselect * from {{ ref('orders') }} where price > 100\n",
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_tests_stop_the_publish_and_warnings_do_not() {
    let cluster = Cluster::start(Setup::default()).await;
    let dir = cluster.dir().to_owned();
    std::fs::write(dir.join("orders.csv"), ORDERS).unwrap();
    let project = project_over_orders(&dir).write(&dir);
    let submit = cluster.submit();

    let nothing = cluster.lake.publish_ids().await;
    submit.project(&project, &[]).failed(
        1,
        &[
            "test unique_orders_order_id failed: 1 value of order_id is there more than once",
            "test not_null_orders_store_id failed: 1 row where store_id is null",
            "test relationships_orders_store_id__store_id__ref_stores_ failed: 1 row whose store_id is no store_id of m.stores",
            "test accepted_values_orders_status__paid failed: 1 value of status is not accepted",
            "models/m/s.yml:5",
            "99        3         129.99  lost",
            "4 of 8 tests failed",
            "test no_order_is_dear warns: 1 failing row",
            "nothing was published",
        ],
    );
    assert_eq!(cluster.lake.publish_ids().await, nothing);

    // The data is repaired: the run publishes, and reports what it held.
    std::fs::write(dir.join("orders.csv"), REPAIRED).unwrap();
    let ran = submit.project(&project, &[]).succeeded();
    assert!(
        ran.stdout.contains("7 of 8 tests passed, 1 warn"),
        "{}",
        ran.stdout
    );
    let jobs = submit.run(["jobs", "--json", "--limit", "1"]).succeeded();
    let listed: Value = serde_json::from_str(jobs.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(listed["test_counts"]["passed"], 7);
    let job = submit.job(listed["id"].as_str().unwrap());
    let tests = job["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 8);
    let warned: Vec<&Value> = tests.iter().filter(|t| t["state"] == "warned").collect();
    assert_eq!((warned.len(), &warned[0]["failures"]), (1, &Value::from(1)));

    // Alone they read what is published: bad sources are found, good tables are not blamed for them.
    std::fs::write(dir.join("orders.csv"), ORDERS.replace("1,10", ",10")).unwrap();
    let project = project.to_str().unwrap();
    submit.run(["test", "--project", project]).failed(
        1,
        &["test source_not_null_raw_orders_order_id failed: 1 row where order_id is null"],
    );
    let stores = ["test", "--project", project, "--select", "stores"];
    submit.run(stores).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_rows_are_kept_where_the_run_publishes_nothing() {
    let cluster = Cluster::start(Setup::default()).await;
    let dir = cluster.dir().to_owned();
    std::fs::write(dir.join("orders.csv"), ORDERS).unwrap();
    let kept = MODELS
        .replace(
            "tests: [unique, not_null]",
            "tests: [not_null, {unique: {config: {store_failures: true, fail_calc: sum(n_records)}}}]",
        )
        .replace(
            "{values: ['paid']}",
            "{values: ['paid'], config: {store_failures: true, severity: warn, alias: odd_status}}",
        );
    let project = project_over_orders(&dir)
        .with("models/m/s.yml", &kept)
        .write(&dir);
    let submit = cluster.submit();
    submit.project(&project, &[]).failed(
        1,
        &[
            "test unique_orders_order_id failed: 2 failures",
            "its failing rows are in dbt_test__audit.unique_orders_order_id",
            "retail-submit sql \"select * from dbt_test__audit.odd_status\"",
            "of the run's tables nothing was published",
        ],
    );
    let rows = |table: &str| {
        let query = format!("select * from dbt_test__audit.{table}");
        let rows = submit.run(["sql", "--format", "csv", &query]);
        rows.succeeded().stdout
    };
    assert_eq!(
        rows("unique_orders_order_id"),
        "unique_field,n_records\n4,2\n"
    );
    assert_eq!(rows("odd_status"), "value_field,n_records\nlost,1\n");
    let missing = submit.run(["sql", "select * from m.orders"]);
    missing.failed(1, &["there is no table m.orders"]);

    // Each run replaces them. Over no rows the sum is null, which is no number.
    std::fs::write(dir.join("orders.csv"), REPAIRED).unwrap();
    submit
        .project(&project, &[])
        .failed(1, &["fail_calc sum(n_records) gives null"]);
    let kept = kept.replace("sum(n_records)", "\"coalesce(sum(n_records), 0)\"");
    let project = project_over_orders(&dir)
        .with("models/m/s.yml", &kept)
        .write(&dir);
    submit.project(&project, &[]).succeeded();
    assert_eq!(rows("unique_orders_order_id"), "unique_field,n_records\n");
    assert_eq!(rows("odd_status"), "value_field,n_records\n");
    // A run of the tests alone keeps them as well.
    std::fs::write(dir.join("orders.csv"), ORDERS.replace("lost", "gone")).unwrap();
    let project = project.to_str().unwrap();
    submit.run(["test", "--project", project]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_decides_columns_their_order_and_their_constraints() {
    let cluster = Cluster::start(Setup::default()).await;
    let dir = cluster.dir().to_owned();
    std::fs::write(dir.join("orders.csv"), REPAIRED).unwrap();
    let contract = |price: &str, most: &str| {
        format!(
            "models:
  - name: orders
    config: {{contract: {{enforced: true}}}}
    columns:
      - {{name: status, data_type: text}}
      - {{name: order_id, data_type: bigint, constraints: [{{type: primary_key}}]}}
      - {{name: store_id, data_type: bigint, constraints: [{{type: foreign_key, to: ref('stores'), to_columns: [store_id]}}]}}
      - {{name: price, data_type: {price}, constraints: [{{type: check, expression: price < {most}}}]}}
"
        )
    };
    let submit = cluster.submit();
    let wrong = project_over_orders(&dir).with("models/m/s.yml", &contract("double", "1000"));
    submit.project(&wrong.write(&dir), &[]).failed(
        1,
        &[
            "model m.orders breaks its contract",
            "price double (models/m/s.yml:8): the model has decimal(12,2)",
            "nothing was published",
        ],
    );
    let dear =
        project_over_orders(&dir).with("models/m/s.yml", &contract("\"decimal(12,2)\"", "100"));
    submit.project(&dear.write(&dir), &[]).failed(
        1,
        &["constraint constraint_check_orders_price failed: 1 row for which price < 100 is false"],
    );
    let right =
        project_over_orders(&dir).with("models/m/s.yml", &contract("\"decimal(12,2)\"", "1000"));
    submit.project(&right.write(&dir), &[]).succeeded();
    let rows = submit.run([
        "sql",
        "--format",
        "csv",
        "select * from m.orders where order_id = 3",
    ]);
    assert_eq!(
        rows.succeeded().stdout,
        "status,order_id,store_id,price\npaid,3,20,129.99\n"
    );
}
