//! A project of dbt means here what it means there: its models, its tests, its views, its words to whoever runs it.

use std::path::Path;

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::Project;
use crate::support::repository;
use crate::support::submit::Submit;

fn rows(submit: &Submit, query: &str) -> Vec<String> {
    let answer = submit.run(["sql", "--format", "csv", query]).succeeded();
    answer.stdout.lines().skip(1).map(str::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jaffle_shop_has_the_rows_and_tests_that_it_has_in_dbt_duckdb() {
    let cluster = Cluster::start(Setup::default()).await;
    let folder = repository::root().join("tests/jaffle_shop");
    let input = format!("input={}", folder.join("data").display());
    let submit = cluster.submit();

    let ran = submit.project(&folder, &["--vars", &input]).succeeded();
    assert!(
        ran.stdout.contains("20 of 20 tests passed"),
        "{}",
        ran.stdout
    );

    // What dbt 1.10 with dbt-duckdb wrote for the same files as seeds.
    assert_eq!(
        rows(&submit, "select * from main.customers order by customer_id"),
        [
            "1,Michael,P.,2018-01-01,2018-01-04,2,36",
            "2,Shawn,M.,2018-01-05,2018-01-05,1,17",
            "3,Kathleen,P.,2018-01-02,2018-02-07,3,42",
            "4,Jimmy,C.,,,,",
        ]
    );
    assert_eq!(
        rows(&submit, "select * from main.orders order by order_id"),
        [
            "1,1,2018-01-01,returned,10,0,0,0,10",
            "2,3,2018-01-02,completed,20,0,0,0,20",
            "3,1,2018-01-04,completed,0,26,0,0,26",
            "4,2,2018-01-05,completed,0,0,17,0,17",
            "5,3,2018-01-05,shipped,6,0,0,16,22",
            "6,3,2018-02-07,placed,0,0,0,0,0",
        ]
    );
    // Its staging models are views over files.
    assert_eq!(
        rows(&submit, "select count(*) from main.stg_payments"),
        ["8"]
    );
}

fn views(dir: &Path) -> Project {
    let sources = format!(
        "sources:\n  - name: raw\n    tables:\n      - name: orders\n        meta: {{external_location: \"{}/orders.csv\"}}\n        \
         columns: [{{name: order_id, data_type: bigint}}, {{name: code, data_type: varchar}}, {{name: amount, data_type: bigint}}]\n",
        dir.display()
    );
    Project::empty(&["m"])
        .with("models/m/s.yml", &sources)
        .with(
            "models/m/known.sql",
            "{{ config(materialized='ephemeral') }}\nselect * from {{ source('raw', 'orders') }} where order_id > 0",
        )
        .with(
            "models/m/stg_orders.sql",
            "{{ config(materialized='view') }}\nselect order_id, code, amount from {{ ref('known') }};\n",
        )
        .with(
            "models/m/named.sql",
            "{{ config(materialized='view') }}\nselect code, amount from {{ ref('stg_orders') }}\n",
        )
        .with("models/m/fct.sql", "select max(code) as code, sum(amount) as amount from {{ ref('named') }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn views_over_files_are_read_by_whoever_comes_later() {
    let cluster = Cluster::start(Setup::default()).await;
    let dir = cluster.dir().to_owned();
    std::fs::write(
        dir.join("orders.csv"),
        "order_id,code,amount\n1,007,10\n2,010,20\n-1,999,7\n",
    )
    .unwrap();
    let project = views(&dir);
    let folder = project.write(&dir);
    let submit = cluster.submit();
    submit.project(&folder, &[]).succeeded();
    assert_eq!(rows(&submit, "select * from m.fct"), ["010,30"]);
    assert_eq!(
        rows(&submit, "select * from m.stg_orders order by 1"),
        ["1,007,10", "2,010,20"]
    );
    assert_eq!(
        rows(&submit, "select count(*), min(code) from m.named"),
        ["2,007"]
    );

    // A later run of a reader alone finds the files behind the views, with the types they had.
    std::fs::write(dir.join("orders.csv"), "order_id,code,amount\n1,007,11\n").unwrap();
    submit.project(&folder, &["--select", "fct"]).succeeded();
    assert_eq!(rows(&submit, "select * from m.fct"), ["007,11"]);

    // A view becomes a table, and a table a view, in the publish of the run.
    let as_table = "{{ config(materialized='table') }}\nselect order_id, code, amount from {{ ref('known') }}\n";
    let swapped = project.clone().with("models/m/stg_orders.sql", as_table).with(
        "models/m/fct.sql",
        "{{ config(materialized='view') }}\nselect sum(amount) as amount from {{ ref('named') }}\n",
    );
    submit.project(&swapped.write(&dir), &[]).succeeded();
    std::fs::write(dir.join("orders.csv"), "order_id,code,amount\n1,007,99\n").unwrap();
    assert_eq!(rows(&submit, "select * from m.fct"), ["11"]);
    submit.project(&project.write(&dir), &[]).succeeded();
    assert_eq!(rows(&submit, "select * from m.fct"), ["007,99"]);
    assert_eq!(rows(&submit, "select amount from m.stg_orders"), ["99"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_without_effect_are_reported_and_templates_without_end_are_errors() {
    let cluster = Cluster::start(Setup::default()).await;
    let dir = cluster.dir().to_owned();
    let submit = cluster.submit();
    let project = Project::empty(&["m"])
        .with(
            "macros/f.sql",
            "usage: {{ f('x') }}\n{% macro f(x) %}{{ f(x) }}{% endmacro %}",
        )
        .with(
            "models/m/a.sql",
            "{{ config(grants={'select': ['x']}) }}\nselect '{{ nobody }}' as x\n",
        );
    let folder = project.write(&dir);
    let ran = submit.project(&folder, &[]).succeeded();
    let json = submit
        .run(["run", "--json", "--project", folder.to_str().unwrap()])
        .succeeded();
    for text in [
        "setting grants of a has no effect",
        "nobody is not defined and stands for nothing",
    ] {
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
        assert!(json.stdout.contains(text), "{}", json.stdout);
    }
    for (model, cause) in [
        ("select {{ f(1) }}", "macro f is called more than 100 deep"),
        (
            "{% for i in range(10**9) %}{% endfor %}select 1",
            "the template makes more than 256 MB of values",
        ),
        (
            "select '{{ 'x' * 10**10 }}'",
            "the template makes a text of more than 16 MB",
        ),
        (
            "select 1 as x; select 2 as x",
            "there are 2 statements here; write one",
        ),
        (
            "create table m.b as select 1 as x",
            "a model is one SELECT, and this is CREATE",
        ),
    ] {
        let wrong = project.clone().with("models/m/a.sql", model).write(&dir);
        submit
            .project(&wrong, &[])
            .failed(1, &["model ", "a", cause]);
    }
    // The scheduler lives.
    submit.project(&project.write(&dir), &[]).succeeded();
}
