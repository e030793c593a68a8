use std::path::Path;

use retail_lakehouse::{LakehouseError, WriteMode, WriteOptions};

use crate::harness::{Harness, error_of, named, options, parquet_files};

fn folder(harness: &Harness) -> std::path::PathBuf {
    harness.folder.join("warehouse")
}

#[tokio::test]
async fn no_rows_make_no_file() {
    let harness = Harness::new().await;
    for partition_by in [&[][..], &["id"]] {
        let written = harness
            .write("lake.t", "SELECT 1 AS id WHERE false", partition_by)
            .await;
        assert!(written.files.is_empty());
        assert!(parquet_files(&folder(&harness)).is_empty());
        assert_eq!(
            harness.query("lake.t", "SELECT count(*) FROM t").await,
            ["0"]
        );
        assert!(
            harness
                .query("lake.t", "SELECT id FROM t WHERE id > 0")
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_file_ends_at_the_target_size_and_no_row_is_lost() {
    let harness = Harness::new().await;
    let options = WriteOptions {
        target_file_bytes: 64 * 1024,
        ..WriteOptions::default()
    };
    let sql =
        "SELECT value AS id, md5(CAST(value AS varchar)) AS text FROM generate_series(1, 100000)";
    let written = harness
        .write_with("lake.t", sql, options, WriteMode::Overwrite)
        .await;
    assert!(written.files.len() > 3, "{} files", written.files.len());
    assert!(
        written
            .files
            .iter()
            .all(|f| f.file_size_in_bytes() < 1024 * 1024)
    );
    assert_eq!(
        written.files.iter().map(|f| f.record_count()).sum::<u64>(),
        100_000
    );
    let back = harness
        .query(
            "lake.t",
            "SELECT count(*), count(DISTINCT text), sum(id) FROM t",
        )
        .await;
    assert_eq!(back, ["100000 100000 5000050000"]);
}

#[tokio::test]
async fn rows_go_to_the_partitions_of_their_values() {
    let harness = Harness::new().await;
    let sql = "SELECT * FROM (VALUES
        (1, TIMESTAMP '1969-12-31 23:59:59', 'iceberg'), (2, TIMESTAMP '2017-11-16 22:31:08', 'iceberg'),
        (3, TIMESTAMP '2017-11-16 00:00:00', NULL), (4, NULL, 'iceberg')) AS v(id, ts, name)";
    let written = harness
        .write("lake.t", sql, &["day(ts)", "bucket(16, name)"])
        .await;
    let mut partitions: Vec<(String, u64)> = written
        .files
        .iter()
        .map(|f| (format!("{:?}", f.partition().fields()), f.record_count()))
        .collect();
    partitions.sort();
    // 1210000089 % 16 = 9; 2017-11-16 is day 17486.
    for expected in ["Int(-1)", "Int(17486)", "Int(9)", "None"] {
        assert!(
            partitions
                .iter()
                .any(|(values, _)| values.contains(expected)),
            "{expected}: {partitions:?}"
        );
    }
    assert_eq!(partitions.iter().map(|(_, rows)| rows).sum::<u64>(), 4);
    assert_eq!(partitions.len(), 4, "{partitions:?}");
    let names: Vec<_> = written
        .metadata
        .default_partition_spec()
        .fields()
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(names, ["ts_day", "name_bucket"]);
    assert_eq!(
        written.table.partition_fields(),
        ["day(ts)", "bucket(16, name)"]
    );
    let found = harness
        .query(
            "lake.t",
            "SELECT id FROM t WHERE ts >= TIMESTAMP '2017-11-16 12:00:00'",
        )
        .await;
    assert_eq!(found, ["2"]);
    assert_eq!(
        harness
            .query("lake.t", "SELECT id FROM t WHERE ts IS NULL")
            .await,
        ["4"]
    );
}

#[tokio::test]
async fn partition_folders_are_escaped() {
    let harness = Harness::new().await;
    let values = ["a/b", "..", "x y=é", "50%", "plain-1_2.3*", ""];
    let list = values.map(|v| format!("('{v}')")).join(", ");
    let sql = format!("SELECT * FROM (VALUES {list}, (NULL)) AS v(store)");
    let written = harness.write("lake.t", &sql, &["store"]).await;
    assert_eq!(written.files.len(), 7);
    let files = parquet_files(&folder(&harness));
    let folders: Vec<String> = files
        .iter()
        .map(|f| {
            f.parent()
                .and_then(Path::file_name)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let expected = [
        "store=",
        "store=..",
        "store=50%25",
        "store=a%2Fb",
        "store=null",
        "store=plain-1_2.3*",
        "store=x+y%3D%C3%A9",
    ];
    assert_eq!(folders, expected);
    for value in values {
        let sql = format!("SELECT count(*) FROM t WHERE store = '{value}'");
        assert_eq!(harness.query("lake.t", &sql).await, ["1"], "{value}");
    }
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(*) FROM t WHERE store IS NULL")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn folders_of_times_read_like_times() {
    let harness = Harness::new().await;
    let sql = "SELECT DATE '1969-12-31' AS a, DATE '1969-12-31' AS b, TIMESTAMP '2017-11-16 22:31:08' AS c,
        TIMESTAMP '1969-12-31 22:31:08' AS d";
    harness
        .write("lake.t", sql, &["year(a)", "month(b)", "day(c)", "hour(d)"])
        .await;
    let files = parquet_files(&folder(&harness));
    let path = files[0].to_string_lossy().into_owned();
    assert!(
        path.contains("/a_year=1969/b_month=1969-12/c_day=2017-11-16/d_hour=1969-12-31-22/"),
        "{path}"
    );
}

#[tokio::test]
async fn many_partition_values_in_no_order_make_few_files() {
    let harness = Harness::new().await;
    let sql = "SELECT (value * 7919) % 300 AS shop, value AS id FROM generate_series(1, 60000)";
    let written = harness.write("lake.t", sql, &["shop"]).await;
    // One task, or four, and a few more where memory ran out: not one file for each batch and value.
    assert!(written.files.len() <= 1300, "{} files", written.files.len());
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(*), count(DISTINCT shop) FROM t")
            .await,
        ["60000 300"]
    );
    for file in &written.files {
        assert!(
            file.lower_bounds()[&1] == file.upper_bounds()[&1],
            "a file has two partition values"
        );
    }
}

#[tokio::test]
async fn a_partition_field_keeps_its_id_and_a_new_one_gets_a_fresh_one() {
    let harness = Harness::new().await;
    let sql = "SELECT 1 AS id, DATE '2024-01-31' AS d";
    let ids = |written: &crate::harness::Written| {
        let spec = written.metadata.default_partition_spec();
        (
            spec.spec_id(),
            spec.fields().iter().map(|f| f.field_id).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        ids(&harness.write("lake.t", sql, &["bucket(4, id)"]).await),
        (0, vec![1000])
    );
    assert_eq!(
        ids(&harness.write("lake.t", sql, &["month(d)"]).await),
        (1, vec![1001])
    );
    assert_eq!(
        ids(&harness
            .write("lake.t", sql, &["month(d)", "bucket(4, id)"])
            .await),
        (2, vec![1001, 1000])
    );
    assert_eq!(
        ids(&harness.write("lake.t", sql, &["bucket(4, id)"]).await),
        (0, vec![1000])
    );
    assert_eq!(
        harness.query("lake.t", "SELECT count(*) FROM t").await,
        ["1"]
    );
}

#[tokio::test]
async fn a_partition_field_that_cannot_be_is_refused() {
    let harness = Harness::new().await;
    let columns = std::sync::Arc::new(datafusion::arrow::datatypes::Schema::new(vec![
        datafusion::arrow::datatypes::Field::new(
            "name",
            datafusion::arrow::datatypes::DataType::Utf8,
            true,
        ),
    ]));
    for field in [
        "nobody",
        "day(name)",
        "bucket(0, name)",
        "week(name)",
        "day(name",
        "bucket(name)",
    ] {
        let error = error_of(harness.lakehouse.begin_write(
            &named("lake.t"),
            None,
            &columns,
            &options(&[field]),
        ));
        assert!(
            matches!(error, LakehouseError::InvalidPartition { .. }),
            "{field}: {error}"
        );
        assert!(error.to_string().contains(field), "{error}");
    }
}
