use retail_lakehouse::WriteMode;

use crate::harness::{Harness, error_of, metadata, metadata_json, named, options, query};

fn field_ids(table: &retail_lakehouse::LakeTable) -> Vec<(String, i32)> {
    let metadata = metadata(table);
    let fields = metadata.current_schema().as_struct().fields();
    fields.iter().map(|f| (f.name.clone(), f.id)).collect()
}

/// What another engine does to rename a column: one more schema with the same ids.
async fn rename(harness: &Harness, name: &str, from: &str, to: &str) {
    let table = harness.load(name).await.unwrap();
    let mut metadata = metadata_json(&table);
    let current = metadata["current-schema-id"].clone();
    let schemas = metadata["schemas"].as_array_mut().unwrap();
    let mut schema = schemas
        .iter()
        .find(|s| s["schema-id"] == current)
        .unwrap()
        .clone();
    let id = schemas.len() as i64;
    schema["schema-id"] = id.into();
    for field in schema["fields"].as_array_mut().unwrap() {
        if field["name"] == from {
            field["name"] = to.into();
        }
    }
    schemas.push(schema);
    metadata["current-schema-id"] = id.into();
    harness.commit_metadata(name, &metadata).await;
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values_on_executors() {
    let harness = Harness::new().await;
    harness
        .write(
            "lake.t",
            "SELECT value AS id, 'sku-' || value AS sku FROM generate_series(1, 10)",
            &[],
        )
        .await;
    rename(&harness, "lake.t", "sku", "product_code").await;
    let back = harness
        .query(
            "lake.t",
            "SELECT count(product_code), min(product_code) FROM t",
        )
        .await;
    assert_eq!(back, ["10 sku-1"]);
    assert_eq!(
        harness
            .query("lake.t", "SELECT id FROM t WHERE product_code = 'sku-7'")
            .await,
        ["7"]
    );
}

#[tokio::test]
async fn two_columns_that_swapped_names_keep_their_values() {
    let harness = Harness::new().await;
    harness.write("lake.t", "SELECT 1 AS a, 2 AS b", &[]).await;
    rename(&harness, "lake.t", "a", "c").await;
    rename(&harness, "lake.t", "b", "a").await;
    rename(&harness, "lake.t", "c", "b").await;
    assert_eq!(
        harness
            .query("lake.t", "SELECT a, b FROM t WHERE a = 2")
            .await,
        ["2 1"]
    );
}

#[tokio::test]
async fn a_new_column_is_null_in_older_files_and_never_an_older_columns_values() {
    let harness = Harness::new().await;
    harness
        .append("lake.t", "SELECT 1 AS id, 'old' AS note")
        .await;
    harness.append("lake.t", "SELECT 2 AS id").await;
    harness
        .append("lake.t", "SELECT 3 AS id, 'new' AS note, 1.5 AS price")
        .await;
    let back = harness
        .query("lake.t", "SELECT id, note, price FROM t ORDER BY id")
        .await;
    assert_eq!(
        back,
        ["1", "2", "3 new 1.5"].map(|r| if r.len() == 1 {
            format!("{r}  ")
        } else {
            r.to_owned()
        })
    );
    assert_eq!(
        harness
            .query("lake.t", "SELECT id FROM t WHERE note IS NULL ORDER BY id")
            .await,
        ["1", "2"]
    );
}

#[tokio::test]
async fn a_widened_column_reads_its_older_files() {
    let harness = Harness::new().await;
    harness
        .append(
            "lake.t",
            "SELECT CAST(1 AS int) AS n, CAST(1.5 AS real) AS f, CAST(1 AS decimal(5,2)) AS d",
        )
        .await;
    let wide = "SELECT CAST(5000000000 AS bigint) AS n, CAST(2.5 AS double) AS f, CAST(2 AS decimal(12,2)) AS d";
    let written = harness.append("lake.t", wide).await;
    let same = [("n", 1), ("f", 2), ("d", 3)].map(|(n, id)| (n.to_owned(), id));
    assert_eq!(field_ids(&written.table), same);
    let back = harness
        .query("lake.t", "SELECT n, f, d FROM t ORDER BY n")
        .await;
    assert_eq!(back, ["1 1.5 1.00", "5000000000 2.5 2.00"]);
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(*) FROM t WHERE n < 10")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn a_query_whose_types_became_narrower_keeps_the_columns() {
    let harness = Harness::new().await;
    harness.append("lake.t", "SELECT CAST(5000000000 AS bigint) AS n, CAST(1 AS decimal(12,2)) AS d, make_array(CAST(5000000000 AS bigint)) AS l").await;
    let narrow =
        "SELECT CAST(1 AS int) AS n, CAST(2 AS decimal(5,2)) AS d, make_array(CAST(2 AS int)) AS l";
    let written = harness
        .write_with("lake.t", narrow, options(&[]), WriteMode::Append)
        .await;
    let ids: Vec<_> = field_ids(&written.table)
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    let back = harness
        .query("lake.t", "SELECT n, d, l FROM t ORDER BY n")
        .await;
    assert_eq!(back, ["1 2.00 [2]", "5000000000 1.00 [5000000000]"]);
}

#[tokio::test]
async fn a_list_that_was_widened_takes_the_wider_values() {
    let harness = Harness::new().await;
    harness
        .append("lake.t", "SELECT make_array(CAST(1 AS int)) AS l")
        .await;
    harness
        .append(
            "lake.t",
            "SELECT make_array(CAST(5000000000 AS bigint)) AS l",
        )
        .await;
    let back = harness
        .query("lake.t", "SELECT l FROM t ORDER BY l[1]")
        .await;
    assert_eq!(back, ["[1]", "[5000000000]"]);
}

/// The base's metadata of format version 3, with a column that other engines added.
async fn add_column(harness: &Harness, name: &str, column: serde_json::Value) {
    let table = harness.load(name).await.unwrap();
    let mut metadata = metadata_json(&table);
    metadata["format-version"] = 3.into();
    metadata["next-row-id"] = 1_000.into();
    metadata["last-column-id"] = 100.into();
    let current = metadata["current-schema-id"].clone();
    let schemas = metadata["schemas"].as_array_mut().unwrap();
    let mut of_now = schemas.iter().filter(|s| s["schema-id"] == current);
    let mut schema = of_now.next().unwrap().clone();
    let id = schemas.len() as i64;
    schema["schema-id"] = id.into();
    schema["fields"].as_array_mut().unwrap().push(column);
    schemas.push(schema);
    metadata["current-schema-id"] = id.into();
    harness.commit_metadata(name, &metadata).await;
}

#[tokio::test]
async fn an_added_column_has_its_initial_default_in_older_files() {
    let harness = Harness::new().await;
    harness
        .append("lake.t", "SELECT 1 AS id, named_struct('a', 1) AS s")
        .await;
    for column in [
        serde_json::json!({"id": 50, "name": "status", "required": true, "type": "string", "initial-default": "open", "write-default": "new"}),
        serde_json::json!({"id": 51, "name": "n", "required": false, "type": "int", "initial-default": 7}),
        serde_json::json!({"id": 52, "name": "d", "required": false, "type": "date", "initial-default": "2024-02-29"}),
        serde_json::json!({"id": 53, "name": "m", "required": false, "type": "decimal(9, 2)", "initial-default": "1.50"}),
        serde_json::json!({"id": 54, "name": "at", "required": false, "type": "timestamptz", "initial-default": "2024-02-29T01:02:03.000004+00:00"}),
        serde_json::json!({"id": 55, "name": "only_written", "required": false, "type": "int", "write-default": 9}),
    ] {
        add_column(&harness, "lake.t", column).await;
    }
    let sql = "SELECT id, status, n, d, m, at, only_written FROM t WHERE status = 'open' AND n = 7";
    assert_eq!(
        harness.query("lake.t", sql).await,
        ["1 open 7 2024-02-29 1.50 2024-02-29T01:02:03.000004Z "]
    );
    let sql = "SELECT count(*), min(status), max(n), count(only_written) FROM t";
    assert_eq!(harness.query("lake.t", sql).await, ["1 open 7 0"]);

    // The default stays what older files have when we add rows, also to a column that we widen.
    harness.append("lake.t", "SELECT 2 AS id, named_struct('a', 2) AS s, 'shut' AS status, CAST(5000000000 AS bigint) AS n, CAST(NULL AS date) AS d, 2.5 AS m, CAST(NULL AS timestamp) AS at").await;
    let sql = "SELECT id, status, n, d FROM t ORDER BY id";
    assert_eq!(
        harness.query("lake.t", sql).await,
        ["1 open 7 2024-02-29", "2 shut 5000000000 "]
    );
}

#[tokio::test]
async fn a_field_added_to_a_struct_has_its_initial_default_where_the_struct_is() {
    let harness = Harness::new().await;
    harness
        .append(
            "lake.t",
            "SELECT 1 AS id, named_struct('a', 1) AS s UNION ALL SELECT 2, NULL",
        )
        .await;
    let table = harness.load("lake.t").await.unwrap();
    let mut metadata = metadata_json(&table);
    metadata["format-version"] = 3.into();
    metadata["next-row-id"] = 1_000.into();
    metadata["last-column-id"] = 100.into();
    let fields = metadata["schemas"][0]["fields"].as_array_mut().unwrap();
    let inner = fields[1]["type"]["fields"].as_array_mut().unwrap();
    inner.push(serde_json::json!({"id": 60, "name": "b", "required": true, "type": "string", "initial-default": "x"}));
    let added = serde_json::json!({"type": "struct", "fields": [
        {"id": 62, "name": "d", "required": false, "type": "int", "initial-default": 3},
        {"id": 63, "name": "e", "required": false, "type": "int"}]});
    inner.push(serde_json::json!({"id": 61, "name": "c", "required": false, "type": added, "initial-default": {}}));
    harness.commit_metadata("lake.t", &metadata).await;
    let sql = "SELECT id, s['a'], s['b'], s['c']['d'], s['c']['e'], s IS NULL FROM t ORDER BY id";
    assert_eq!(
        harness.query("lake.t", sql).await,
        ["1 1 x 3  false", "2     true"]
    );
}

#[tokio::test]
async fn a_date_that_became_a_timestamp_is_its_midnight() {
    let harness = Harness::new().await;
    harness
        .append(
            "lake.t",
            "SELECT 1 AS id, DATE '2024-02-29' AS at UNION ALL SELECT 2, DATE '1969-12-31'",
        )
        .await;
    let table = harness.load("lake.t").await.unwrap();
    let mut metadata = metadata_json(&table);
    metadata["format-version"] = 3.into();
    metadata["next-row-id"] = 1_000.into();
    let mut schema = metadata["schemas"][0].clone();
    schema["schema-id"] = 1.into();
    schema["fields"][1]["type"] = "timestamp".into();
    metadata["schemas"].as_array_mut().unwrap().push(schema);
    metadata["current-schema-id"] = 1.into();
    harness.commit_metadata("lake.t", &metadata).await;
    let sql = "SELECT id, at FROM t ORDER BY id";
    assert_eq!(
        harness.query("lake.t", sql).await,
        ["1 2024-02-29T00:00:00", "2 1969-12-31T00:00:00"]
    );
    for (filter, found) in [
        ("at = TIMESTAMP '2024-02-29 00:00:00'", "1"),
        ("at < TIMESTAMP '1970-01-01 00:00:00'", "2"),
        ("at > TIMESTAMP '2024-02-28 23:00:00'", "1"),
    ] {
        let sql = format!("SELECT id FROM t WHERE {filter}");
        assert_eq!(harness.query("lake.t", &sql).await, [found], "{filter}");
    }
}

#[tokio::test]
async fn a_column_of_an_unknown_type_is_refused_when_it_is_read() {
    let harness = Harness::new().await;
    harness.append("lake.t", "SELECT 1 AS id").await;
    let shape = serde_json::json!({"id": 50, "name": "shape", "required": false, "type": "geometry(srid:4326)"});
    add_column(&harness, "lake.t", shape).await;
    assert_eq!(harness.query("lake.t", "SELECT id FROM t").await, ["1"]);
    assert_eq!(
        harness.query("lake.t", "SELECT count(*) FROM t").await,
        ["1"]
    );
    for sql in ["SELECT * FROM t", "SELECT id FROM t WHERE shape IS NULL"] {
        let error = harness.refusal("lake.t", sql).await;
        assert!(error.contains("column shape"), "{error}");
        assert!(error.contains("geometry(srid:4326)"), "{error}");
    }
    let base = harness.load("lake.t").await;
    let columns = base.as_ref().unwrap().arrow_schema();
    let write =
        harness
            .lakehouse
            .begin_write(&named("lake.t"), base.as_ref(), &columns, &options(&[]));
    let error = error_of(write).to_string();
    assert!(error.contains("shape"), "{error}");
}

#[tokio::test]
async fn a_default_that_is_not_understood_is_refused_when_it_is_read() {
    let harness = Harness::new().await;
    harness.append("lake.t", "SELECT 1 AS id").await;
    let column = serde_json::json!({"id": 50, "name": "at", "required": false, "type": "timestamp_ns", "initial-default": "2024-02-29T01:02:03.000000004"});
    add_column(&harness, "lake.t", column).await;
    assert_eq!(harness.query("lake.t", "SELECT id FROM t").await, ["1"]);
    let error = harness.refusal("lake.t", "SELECT at FROM t").await;
    assert!(error.contains("column at"), "{error}");
    assert!(error.contains("initial default"), "{error}");
}

#[tokio::test]
async fn a_table_of_an_unknown_format_version_is_refused() {
    let harness = Harness::new().await;
    harness.append("lake.t", "SELECT 1 AS id").await;
    let table = harness.load("lake.t").await.unwrap();
    let mut metadata = metadata_json(&table);
    metadata["format-version"] = 4.into();
    harness.commit_metadata("lake.t", &metadata).await;
    let pin = harness.lakehouse.pin().await.unwrap();
    let error = error_of(harness.lakehouse.load(&pin, &named("lake.t")).await).to_string();
    assert!(
        error.contains("lake.t") && error.contains("format version 4"),
        "{error}"
    );
}

#[tokio::test]
async fn tables_with_other_field_ids_go_together_in_one_query() {
    let harness = Harness::new().await;
    harness
        .append("lake.t", "SELECT 1 AS id, 5 AS qty, make_array(1) AS l")
        .await;
    harness
        .append("lake.u", "SELECT 'x' AS note, make_array(2) AS l, 5 AS qty")
        .await;
    let session = harness.reading("lake.t").await;
    let other = harness.load("lake.u").await.unwrap();
    session
        .register_table("u", harness.lakehouse.scan(&other).await.unwrap())
        .unwrap();
    let sql = "SELECT qty, count(*) FROM (SELECT qty FROM t UNION ALL SELECT -qty FROM u) GROUP BY 1 ORDER BY 1";
    assert_eq!(query(&session, sql).await, ["-5 1", "5 1"]);
    let sql = "SELECT CASE WHEN t.qty > 5 THEN t.qty ELSE u.qty END AS q, coalesce(t.qty, u.qty) FROM t, u GROUP BY 1, 2";
    assert_eq!(query(&session, sql).await, ["5 5"]);
    // As a view, whose columns keep what is known of them.
    let view = "CREATE VIEW v AS SELECT id, CAST(qty AS bigint) AS qty, 'sale' AS what FROM t \
                UNION ALL SELECT 7, CAST(-qty AS bigint), note FROM u";
    session.sql(view).await.unwrap();
    let sql = "SELECT qty, count(*) FROM v GROUP BY 1 ORDER BY 1";
    assert_eq!(query(&session, sql).await, ["-5 1", "5 1"]);
    let sql = "SELECT id, (SELECT count(*) FROM v WHERE v.qty = t.qty) FROM t";
    assert_eq!(query(&session, sql).await, ["1 1"]);
    let sql = "SELECT l FROM (SELECT l FROM t UNION ALL SELECT l FROM u) ORDER BY l[1]";
    assert_eq!(query(&session, sql).await, ["[1]", "[2]"]);
}
