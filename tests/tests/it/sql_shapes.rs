//! SQL whose plans are hard to split into tasks gives the same rows on executors as on paper.
//!
//! Each of these shapes once gave wrong rows, or hung, on some planner: see `docs/decisions/0006-*.md`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::support::cluster::{Cluster, Setup};
use crate::support::fixtures::Project;

/// 200 numbers in four files: n = 1..=200, bucket = n % 5, part = (n - 1) / 50.
const NUMBERS: u32 = 200;
const FILES: u32 = 4;

/// A statement over `marts.numbers` and `marts.buckets`, and its rows as CSV.
const SHAPES: [(&str, &str, &str); 32] = [
    (
        "a filter of columns of one name above an outer join",
        "select count(*) as n from marts.numbers as a full join marts.numbers as b on a.n = b.n + 1
         where b.part <= b.part and a.bucket is not distinct from b.bucket and nullif(a.part, 9) <= coalesce(a.part, 1)",
        "0",
    ),
    (
        "a union of which no column is read",
        "select sum(b.bucket) as s from (select 1 as q from marts.buckets
         union all (select n from marts.numbers order by n limit 3)) as t cross join marts.buckets as b",
        "80",
    ),
    (
        "rows of the statement that are cut",
        "values (1), (2), (3) limit 1",
        "1",
    ),
    (
        "rows of the statement that are cut, and counted",
        "select count(*) as n, max(x) as x from (select x from (values (1), (2), (3)) as t(x) limit 2) as cut",
        "2,2",
    ),
    (
        "a recursive query that reads some of its columns",
        "with recursive t(a, b, n) as (select 1, 100, 0 union all select a, a + n, n + 1 from t where n < 3)
         select n, a, b from t order by n",
        "0,1,100;1,1,1;2,1,2;3,1,3",
    ),
    (
        "a cut total of parts, sorted by the total and then its key",
        "select n, bucket from (select bucket, count(*) - bucket % 2 as n from marts.numbers group by bucket order by 2 limit 5) as most
         order by n, bucket",
        "39,1;39,3;40,0;40,2;40,4",
    ),
    (
        "a union of totals",
        "select count(*) as n from marts.numbers union all select sum(n) from marts.numbers order by 1",
        "200;20100",
    ),
    (
        "a union of totals of branches that differ in width",
        "select 'all' as what, count(*) as n from marts.numbers
         union all select 'buckets', count(*) from marts.buckets
         union all select 'high', count(*) from marts.numbers where n > 150 order by 1",
        "all,200;buckets,5;high,50",
    ),
    (
        "scalar subqueries beside each other",
        "select (select max(n) from marts.numbers) as most, (select count(*) from marts.buckets) as buckets,
                (select sum(n) from marts.numbers where bucket = 0) as zeros",
        "200,5,4100",
    ),
    (
        "a union of rows of scalar subqueries",
        "select 'all' as what, (select count(*) from marts.numbers) as n, (select count(*) from marts.buckets) as b
         union all select 'high', (select count(*) from marts.numbers where n > 150),
                          (select count(*) from marts.buckets where bucket > 2) order by what",
        "all,200,5;high,50,2",
    ),
    (
        "the same, as a table",
        "select * from marts.counts order by what",
        "all,200,5;high,50,2;low,50,3",
    ),
    (
        "a union with a constant row",
        "select n from marts.numbers where n <= 2 union all select 0 order by n",
        "0;1;2",
    ),
    (
        "a union with a constant row, grouped",
        "select bucket, count(*) as n from (select bucket from marts.numbers union all select 9) as b
         group by bucket order by bucket",
        "0,40;1,40;2,40;3,40;4,40;9,1",
    ),
    (
        "a union with a sorted branch that is cut",
        "select n from (select n from marts.numbers order by n desc limit 3) as most
         union all select n from marts.numbers where n < 3 order by n",
        "1;2;198;199;200",
    ),
    (
        "a union in which both branches are sorted and cut",
        "select * from (select n from marts.numbers order by n limit 1) as a
         union all select * from (select n from marts.numbers order by n desc limit 1) as b order by n",
        "1;200",
    ),
    (
        "a union whose branch is empty",
        "select count(*) as n from (select n from marts.numbers where n < 0 union all select n from marts.numbers) as u",
        "200",
    ),
    (
        "a distinct union",
        "select count(*) as n from (select bucket from marts.numbers union select bucket from marts.buckets) as u",
        "5",
    ),
    (
        "a union joined with a small table",
        "select name, count(*) as n, sum(u.n) as total
         from (select n, bucket from marts.numbers where n <= 100
               union all select n, bucket from marts.numbers where n > 100) as u
         join marts.buckets using (bucket) group by name order by name",
        "b0,40,4100;b1,40,3940;b2,40,3980;b3,40,4020;b4,40,4060",
    ),
    (
        "a small table kept whole beside a large one",
        "select b.name, count(n.n) as n from marts.buckets as b
         left join (select * from marts.numbers where bucket < 2) as n using (bucket) group by b.name order by b.name",
        "b0,40;b1,40;b2,0;b3,0;b4,0",
    ),
    (
        "rows that have no match",
        "select count(*) as n from marts.numbers as n
         where not exists (select 1 from marts.buckets as b where b.bucket = n.bucket and b.name = 'b3')",
        "160",
    ),
    (
        "distinct counts beside a plain one",
        "select count(distinct bucket) as buckets, count(distinct part) as parts, count(*) as n from marts.numbers",
        "5,4,200",
    ),
    (
        "the latest row of each key over a union",
        "select bucket, n from (
           select *, row_number() over (partition by bucket order by n desc) as place from (
             select bucket, n from marts.numbers union all select bucket, n from marts.numbers) as twice) as placed
         where place = 1 order by bucket",
        "0,200;1,196;2,197;3,198;4,199",
    ),
    (
        "a running sum over a grouped union",
        "select part, sum(n) over (order by part) as so_far from (
           select part, count(*) as n from (
             select part from marts.numbers union all select part from marts.numbers where part = 0) as u group by part) as c
         order by part",
        "0,100;1,150;2,200;3,250",
    ),
    (
        "a full join by key",
        "select bucket, n, name from (select * from marts.numbers where n <= 2) as a
         full join (select * from marts.buckets where bucket > 1) as b using (bucket) order by bucket",
        "1,1,;2,2,b2;3,,b3;4,,b4",
    ),
    (
        "a difference that counts duplicates",
        "select count(*) as n from (select bucket from marts.numbers except all select bucket from marts.buckets) as x",
        "195",
    ),
    (
        "an intersection that counts duplicates",
        "select count(*) as n from (select part from marts.numbers
           intersect all select part from marts.numbers where n <= 60) as x",
        "60",
    ),
    (
        "the latest value of each row, as a subquery",
        "select name, (select n.n from marts.numbers as n where n.bucket = b.bucket order by n.n desc limit 1) as latest
         from marts.buckets as b order by name",
        "b0,200;b1,196;b2,197;b3,198;b4,199",
    ),
    (
        "NOT IN as a value",
        "select count(*) as n from (select n not in (select bucket from marts.buckets) as is_out from marts.numbers) as x
         where is_out",
        "196",
    ),
    (
        "a lateral subquery that is cut",
        "select name, x.n from marts.buckets as b
         cross join lateral (select n.n from marts.numbers as n where n.bucket = b.bucket order by n.n limit 1) as x
         order by name",
        "b0,5;b1,1;b2,2;b3,3;b4,4",
    ),
    (
        "a calendar with each day's rows",
        "select to_char(d, 'DD Mon') as day, count(n) as n
         from generate_series(date '2024-02-28', date '2024-03-01', interval '1 day') as g(d)
         left join marts.numbers on n <= 2 group by d order by d",
        "28 Feb,2;29 Feb,2;01 Mar,2",
    ),
    (
        "moments and intervals",
        "select cast(max(timestamp '2024-01-01' + n * interval '1 hour') as varchar) as last,
                count(*) filter (where n * interval '1 hour' > interval '1 day') as n from marts.numbers",
        "2024-01-09 08:00:00,176",
    ),
    (
        "grouping sets",
        "select part, count(*) as n from marts.numbers group by grouping sets ((part), ()) order by part nulls last",
        "0,50;1,50;2,50;3,50;,200",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whole_stages_on_three_executors() {
    check(Setup {
        executors: 3,
        ..Setup::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_per_task() {
    check(Setup {
        executors: 3,
        max_partitions_per_task: 1,
        ..Setup::default()
    })
    .await;
}

async fn check(setup: Setup) {
    let cluster = Cluster::start(setup).await;
    let project = numbers(cluster.dir());
    cluster.submit().project(&project, &[]).succeeded();
    let mut wrong = String::new();
    for (what, sql, expected) in SHAPES {
        let limited = ["sql", sql, "--format", "csv", "--timeout", "60"];
        let answer = cluster.submit().run(limited);
        let rows: Vec<&str> = answer.stdout.lines().skip(1).collect();
        if answer.code != 0 || rows.join(";") != expected {
            writeln!(
                wrong,
                "{what}: {} instead of {expected} {}",
                rows.join(";"),
                answer.stderr
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The numbers, from several files into several files, the five buckets' names, and counts of both.
fn numbers(dir: &Path) -> PathBuf {
    let folder = dir.join("numbers");
    std::fs::create_dir_all(&folder).unwrap();
    for part in 0..FILES {
        let mut text = "n,bucket,part\n".to_owned();
        for n in (1..=NUMBERS).filter(|n| (n - 1) / (NUMBERS / FILES) == part) {
            writeln!(text, "{n},{},{part}", n % 5).unwrap();
        }
        std::fs::write(folder.join(format!("{part}.csv")), text).unwrap();
    }
    let sources = format!(
        "version: 2
sources:
  - name: raw
    tables:
      - name: numbers
        meta:
          external_location: \"{}/*.csv\"
        columns:
          - {{name: n, data_type: bigint}}
          - {{name: bucket, data_type: bigint}}
          - {{name: part, data_type: bigint}}
",
        folder.display()
    );
    Project::empty(&["marts"])
        .with("models/sources.yml", &sources)
        .with(
            "models/marts/numbers.sql",
            "{{ config(partition_by=['part']) }}\nSELECT n, bucket, part FROM {{ source('raw', 'numbers') }}\n",
        )
        .with(
            "models/marts/buckets.sql",
            "SELECT DISTINCT bucket, 'b' || bucket AS name FROM {{ ref('numbers') }}\n",
        )
        .with(
            "models/marts/counts.sql",
            "SELECT 'all' AS what, (SELECT count(*) FROM {{ ref('numbers') }}) AS n,
    (SELECT count(*) FROM {{ ref('buckets') }}) AS b
UNION ALL SELECT 'high', (SELECT count(*) FROM {{ ref('numbers') }} WHERE n > 150),
    (SELECT count(*) FROM {{ ref('buckets') }} WHERE bucket > 2)
UNION ALL SELECT 'low', (SELECT count(*) FROM {{ ref('numbers') }} WHERE n <= 50),
    (SELECT count(*) FROM {{ ref('buckets') }} WHERE bucket <= 2)\n",
        )
        .write(dir)
}
