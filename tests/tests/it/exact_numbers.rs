//! Money and counts are exact on executors, in tables, views and statements, or the run reports what does not fit.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::Project;

/// A statement, and its rows as CSV.
const ANSWERS: [(&str, &str); 8] = [
    (
        "select count(*) filter (where price = 129.99), count(*) filter (where price in (16.99, 129.99)),
                count(*) filter (where price between 129.99 and 130.01), count(*) filter (where price >= 129.99)
         from marts.prices",
        "1,2,3,7002",
    ),
    ("select * from marts.found", "1,0.4275,8.55"),
    (
        "select sum(big), sum(price * 0.0725), avg(price), sum(distinct part) from marts.prices",
        "184467440737095516140000,145007.250000,100.005000,6",
    ),
    (
        "select part, sum(big), avg(price), sum(20 / part) filter (where part <> 0) from marts.prices
         group by part order by part",
        "0,46116860184273879035000,25.005000,;1,46116860184273879035000,75.005000,100000;2,\
         46116860184273879035000,125.005000,50000;3,46116860184273879035000,175.005000,30000",
    ),
    (
        "select count(*) from marts.prices where part <> 0 and 3 / part > 1",
        "5000",
    ),
    (
        "select n, row_number() over (order by price desc) - 20001 as r, sum(price) over (order by n) as s
         from marts.prices order by n limit 2",
        "1,-1,0.01;2,-2,0.03",
    ),
    (
        "select a.price from marts.prices a join (values (8.55), (1e1)) v(p) on a.price = v.p order by 1",
        "8.55;10.00",
    ),
    (
        "select cast(price as int) as i, cast(cast(n as varchar) as decimal(8,1)) / 3 as t from marts.prices
         where n in (250, 350) order by 1",
        "3,83.333333;4,116.666667",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn money_is_exact_on_executors() {
    let cluster = Cluster::start(Setup {
        executors: 2,
        max_partitions_per_task: 1,
        ..Setup::default()
    })
    .await;
    let project = prices(cluster.dir());
    let run = cluster.submit().project(&project, &[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(
        run.stderr.contains("number out of range: ")
            && run.stderr.contains("cast an operand to bigint"),
        "{}",
        run.stderr
    );
    std::fs::remove_file(project.join("models/marts/wraps.sql")).unwrap();
    cluster.submit().project(&project, &[]).succeeded();
    let mut wrong = String::new();
    for (sql, expected) in ANSWERS {
        let answer = cluster
            .submit()
            .run(["sql", sql, "--format", "csv", "--timeout", "60"]);
        let rows: Vec<&str> = answer.stdout.lines().skip(1).collect();
        if answer.code != 0 || rows.join(";") != expected {
            let (given, error) = (rows.join(";"), answer.stderr);
            writeln!(wrong, "{sql}\n  {given}\n  instead of {expected} {error}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// All prices from 0.01 to 200.00 in four files, the models that read them, and one whose product does not fit.
fn prices(dir: &Path) -> PathBuf {
    const PRICES: u32 = 20_000;
    let folder = dir.join("prices");
    std::fs::create_dir_all(&folder).unwrap();
    for part in 0..4 {
        let mut text = "n,price,part,big\n".to_owned();
        for n in 1 + part * PRICES / 4..=(part + 1) * PRICES / 4 {
            let (whole, cents) = (n / 100, n % 100);
            writeln!(text, "{n},{whole}.{cents:02},{part},{}", i64::MAX).unwrap();
        }
        std::fs::write(folder.join(format!("{part}.csv")), text).unwrap();
    }
    let sources = format!(
        "version: 2
sources:
  - name: raw
    tables:
      - name: prices
        meta:
          external_location: \"{}/*.csv\"
        columns:
          - {{name: n, data_type: integer}}
          - {{name: price, data_type: \"decimal(12,2)\"}}
          - {{name: part, data_type: integer}}
          - {{name: big, data_type: bigint}}
",
        folder.display()
    );
    Project::empty(&["marts"])
        .with("models/sources.yml", &sources)
        .with(
            "models/marts/prices.sql",
            "{{ config(partition_by=['part']) }}\nSELECT * FROM {{ source('raw', 'prices') }}\n",
        )
        .with(
            "models/marts/found.sql",
            "{{ config(materialized='view') }}\nSELECT count(*) AS n, sum(price * 0.05) AS tax, max(price) AS price\n\
             FROM {{ ref('prices') }} WHERE price = 8.55\n",
        )
        .with(
            "models/marts/wraps.sql",
            "SELECT n * 1000000 * n AS fits, cast(1000000 AS int) * n AS wraps FROM {{ ref('prices') }}\n",
        )
        .write(dir)
}
