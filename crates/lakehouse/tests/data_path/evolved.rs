//! Tables that PyIceberg evolved, imported or partitioned: Iceberg's rules of reading, one by one. All queries run as
//! plans that went over the wire. The tables are made once, by tests/interop/evolved.py.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Harness, rows};

/// The folder of the tables; none where there is no Python.
fn tables() -> Option<&'static Path> {
    static TABLES: OnceLock<Option<PathBuf>> = OnceLock::new();
    TABLES.get_or_init(make).as_deref()
}

fn make() -> Option<PathBuf> {
    let python = std::env::var("RETAIL_TEST_PYTHON").ok()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evolved");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/evolved.py");
    let root = folder.display();
    let made = Command::new(python)
        .arg("-B")
        .arg(script)
        .args(["--catalog", &format!("sqlite://{root}/catalog.db")])
        .args(["--warehouse", &format!("file://{root}/warehouse")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{text}");
    Some(folder)
}

macro_rules! harness {
    () => {
        match tables() {
            Some(folder) => Harness::at(folder).await,
            None => {
                eprintln!("skipped: no Python environment (RETAIL_TEST_PYTHON is not set)");
                return;
            }
        }
    };
}

#[tokio::test]
async fn nested_fields_are_found_by_id_at_every_depth() {
    let harness = harness!();
    let sql = "SELECT id, place['town'], place['zip'], place['country'], place['geo']['lon'], place['geo']['lat'] \
               FROM t ORDER BY id";
    let back = harness.query("ice.nested", sql).await;
    assert_eq!(
        back,
        [
            "1 Ulm 89073  9.75 ",
            "2     ",
            "3 Bonn 5000000000 DE 7.5 north"
        ]
    );
    let sql = "SELECT id, lines, notes FROM t WHERE id <> 2 ORDER BY id";
    assert_eq!(
        harness.query("ice.nested", sql).await,
        [
            "1 [{code: a, amount: 1, unit: }, {code: b, amount: 2, unit: }] {k: {text: late, by: }}",
            "3 [{code: c, amount: 5000000000, unit: kg}] {k: {text: ok, by: 7}}"
        ]
    );
    let sql = "SELECT place FROM t WHERE place['town'] = 'Ulm'";
    let whole = harness.query("ice.nested", sql).await;
    assert_eq!(
        whole,
        ["{zip: 89073, town: Ulm, geo: {lon: 9.75, lat: }, country: }"]
    );
    let sql = "SELECT id FROM t WHERE place IS NULL";
    assert_eq!(harness.query("ice.nested", sql).await, ["2"]);
}

#[tokio::test]
async fn files_without_ids_are_read_by_the_name_mapping_also_inside() {
    let harness = harness!();
    let sql = "SELECT id, total, place['town'], place['zip'], tags FROM t ORDER BY id";
    assert_eq!(
        harness.query("ice.imported", sql).await,
        ["1 10 Ulm 1 [x, y]", "2 20 Bonn 2 [z]", "4 10 Ulm 1 [x, y]"]
    );
    let sql = "SELECT place FROM t WHERE total = 20";
    assert_eq!(
        harness.query("ice.imported", sql).await,
        ["{town: Bonn, zip: 2}"]
    );
}

#[tokio::test]
async fn a_file_with_two_columns_for_one_field_is_refused() {
    let harness = harness!();
    let error = harness
        .refusal("ice.two_names", "SELECT total FROM t")
        .await;
    assert!(error.contains("both.parquet"), "{error}");
    assert!(error.contains("both stand for field 2"), "{error}");
}

#[tokio::test]
async fn a_file_without_ids_and_without_a_name_mapping_is_refused() {
    let harness = harness!();
    let error = harness.refusal("ice.without_ids", "SELECT id FROM t").await;
    assert!(error.contains("plain.parquet"), "{error}");
    assert!(error.contains("schema.name-mapping.default"), "{error}");
}

#[tokio::test]
async fn columns_that_are_only_in_the_partition_have_its_values() {
    let harness = harness!();
    let sql = "SELECT id, area, day, price, shop FROM t ORDER BY id";
    assert_eq!(
        harness.query("ice.hive", sql).await,
        [
            "0 North West 2024-02-29 9.99 ",
            "1 North West 2024-02-29 9.99 ",
            "10 a/b  -0.01 ",
            "11 a/b  -0.01 ",
            "20  1969-12-31  ",
            "21  1969-12-31  ",
            "90 South 2024-03-01 1.00 5"
        ]
    );
    for (filter, ids) in [
        ("area = 'a/b'", "10 11"),
        ("area IS NULL", "20 21"),
        ("day < DATE '2024-01-01'", "20 21"),
        ("price > 1.00", "0 1"),
        ("day IS NULL AND id > 10", "11"),
    ] {
        let sql = format!("SELECT id FROM t WHERE {filter} ORDER BY id");
        assert_eq!(
            harness.query("ice.hive", &sql).await.join(" "),
            ids,
            "{filter}"
        );
    }
    let sql = "SELECT area, count(*) FROM t GROUP BY area ORDER BY area NULLS LAST";
    assert_eq!(
        harness.query("ice.hive", sql).await,
        ["North West 2", "South 1", "a/b 2", " 2"]
    );
    let sql = "SELECT min(area), max(price), count(day), count(*) FROM t";
    assert_eq!(
        harness.query("ice.hive", sql).await,
        ["North West 9.99 5 7"]
    );
}

#[tokio::test]
async fn a_scan_without_its_marker_does_not_lose_partition_values() {
    let harness = harness!();
    let session = datafusion::prelude::SessionContext::new();
    harness.register(&session, "ice.hive").await;
    let frame = session.sql("SELECT area FROM t").await.unwrap();
    let error = frame.collect().await.unwrap_err().to_string();
    assert!(error.contains("without its FieldIdScanExec"), "{error}");
    // A table that needs none is read.
    session.deregister_table("t").unwrap();
    harness.register(&session, "ice.promoted").await;
    let frame = session.sql("SELECT count(n), sum(d) FROM t").await.unwrap();
    let batches = frame.collect().await.unwrap();
    assert_eq!(rows(&batches), ["3 10000000998.73"]);
}

#[tokio::test]
async fn files_of_every_partition_spec_are_read() {
    let harness = harness!();
    let sql = "SELECT id, shop FROM t ORDER BY id";
    assert_eq!(
        harness.query("ice.partitions", sql).await,
        ["1 a", "2 b", "3 a", "4 b", "5 a", "6 ab"]
    );
    let sql = "SELECT id FROM t WHERE shop = 'a' ORDER BY id";
    assert_eq!(harness.query("ice.partitions", sql).await, ["1", "3", "5"]);
}

#[tokio::test]
async fn promoted_columns_and_their_old_bounds_are_read() {
    let harness = harness!();
    let sql = "SELECT n, f, d FROM t ORDER BY n";
    assert_eq!(
        harness.query("ice.promoted", sql).await,
        [
            "-7 0.5 -1.25",
            "7 1.5 999.99",
            "5000000000 1e300 9999999999.99"
        ]
    );
    for (filter, found) in [
        ("n = 7", "7"),
        ("n < 0", "-7"),
        ("n > 7", "5000000000"),
        ("d = 999.99", "7"),
        ("d > 1000", "5000000000"),
        ("f < 1", "-7"),
        ("f > 1e200", "5000000000"),
    ] {
        let sql = format!("SELECT n FROM t WHERE {filter}");
        assert_eq!(
            harness.query("ice.promoted", &sql).await,
            [found],
            "{filter}"
        );
    }
    let sql = "SELECT min(n), max(n), max(d), min(f) FROM t";
    let back = harness.query("ice.promoted", sql).await;
    assert_eq!(back, ["-7 5000000000 9999999999.99 0.5"]);
}

#[tokio::test]
async fn wall_clocks_and_instants_are_kept_apart() {
    let harness = harness!();
    let sql = "SELECT arrow_typeof(wall), arrow_typeof(instant), wall, instant FROM t WHERE id = 1";
    assert_eq!(
        harness.query("ice.times", sql).await,
        [
            "Timestamp(µs) Timestamp(µs, \"+00:00\") 2024-03-31T02:30:00.000001 2024-03-31T02:30:00.000001Z"
        ]
    );
    let sql = "SELECT id FROM t WHERE instant < TIMESTAMP '1970-01-01T00:00:00Z'";
    assert_eq!(harness.query("ice.times", sql).await, ["2"]);
    let error = harness.refusal("ice.zone_mixed", "SELECT at FROM t").await;
    assert!(
        error.contains("column at of table ice.zone_mixed"),
        "{error}"
    );
    assert!(error.contains("timestamptz in the table"), "{error}");
}

#[tokio::test]
async fn times_uuids_fixed_and_binary_values_are_read() {
    let harness = harness!();
    let sql = "SELECT id, t, encode(u, 'hex'), encode(fx, 'hex'), encode(b, 'hex'), ok FROM t ORDER BY id";
    assert_eq!(
        harness.query("ice.times", sql).await,
        [
            "1 23:59:59.999999 f79c3e09677c4bbda4793f349cb785e7 616263 00ff true",
            "2     "
        ]
    );
}

#[tokio::test]
async fn other_units_of_time_are_read_when_no_digit_is_lost() {
    let harness = harness!();
    let sql = "SELECT CAST(at AS bigint) AS us FROM t ORDER BY us NULLS LAST";
    assert_eq!(
        harness.query("ice.milliseconds", sql).await,
        ["1500000", ""]
    );
    assert_eq!(harness.query("ice.nanoseconds", sql).await, ["1500", ""]);
    assert_eq!(
        harness.query("ice.int96", sql).await,
        ["-2208988800000000", "1500"]
    );
    let sql = "SELECT at FROM t";
    let error = harness.refusal("ice.lost_nanoseconds", sql).await;
    assert!(error.contains("lost_nanoseconds.parquet"), "{error}");
    assert!(error.contains("digits below the unit"), "{error}");
}

#[tokio::test]
async fn nan_is_found_beside_bounds_that_leave_it_out() {
    let harness = harness!();
    for (filter, ids) in [
        ("x > 100", "1"),
        ("x = 'NaN'::double", "1"),
        ("x = 0", "2 5"),
        ("x < 1", "2 5"),
        ("y > 100", "1 2 3"),
        ("y IS NULL", "4"),
    ] {
        let sql = format!("SELECT id FROM t WHERE {filter} ORDER BY id");
        assert_eq!(
            harness.query("ice.floats", &sql).await.join(" "),
            ids,
            "{filter}"
        );
    }
    let sql = "SELECT max(x), min(x), count(y) FROM t";
    assert_eq!(harness.query("ice.floats", sql).await, ["NaN 0.0 4"]);
}

#[tokio::test]
async fn shortened_text_bounds_neither_hide_rows_nor_answer_queries() {
    let harness = harness!();
    let long = "k".repeat(30);
    let sql = format!("SELECT id FROM t WHERE code = '{long}'");
    assert_eq!(harness.query("ice.texts", &sql).await, ["1"]);
    let sql = "SELECT id FROM t WHERE code > 'zzz' ORDER BY id";
    assert_eq!(harness.query("ice.texts", sql).await, ["3", "5"]);
    let sql = "SELECT length(min(code)), length(max(code)), count(code), count(*) FROM t";
    assert_eq!(harness.query("ice.texts", sql).await, ["16 20 4 5"]);
    let sql = "SELECT max(code) FROM t WHERE id IN (1, 2)";
    assert_eq!(harness.query("ice.texts", sql).await, [long]);
}

#[tokio::test]
async fn names_that_differ_in_case_or_are_engines_own_are_columns() {
    let harness = harness!();
    let sql = r#"SELECT "Amount", amount, _file, _pos FROM t WHERE "Amount" = 1"#;
    assert_eq!(harness.query("ice.spelled", sql).await, ["1 2 f 9"]);
}

#[tokio::test]
async fn a_required_column_that_a_file_lacks_is_refused() {
    let harness = harness!();
    let error = harness.refusal("ice.required", "SELECT must FROM t").await;
    assert!(
        error.contains("column must of table ice.required"),
        "{error}"
    );
    assert!(error.contains("it is required"), "{error}");
    // The other columns are there.
    assert_eq!(
        harness.query("ice.required", "SELECT id FROM t").await,
        ["1"]
    );
}

#[tokio::test]
async fn files_of_other_formats_and_encrypted_ones_are_refused_by_name() {
    let harness = harness!();
    for (name, reason) in [
        ("orc", "a data file of format orc"),
        ("avro", "a data file of format avro"),
        ("encrypted", "an encrypted file"),
    ] {
        let error = harness
            .refusal(&format!("ice.{name}"), "SELECT id FROM t")
            .await;
        assert!(error.contains(&format!("table ice.{name}")), "{error}");
        assert!(
            error.contains(reason) && error.contains(".parquet"),
            "{error}"
        );
    }
}
