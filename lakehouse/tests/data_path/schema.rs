use retail_lakehouse::WriteMode;

use crate::lab::{Lab, options};

fn field_ids(table: &retail_lakehouse::LakeTable) -> Vec<(String, i32)> {
    let fields = table.metadata().current_schema().as_struct().fields();
    fields.iter().map(|f| (f.name.clone(), f.id)).collect()
}

/// What another engine does to rename a column: one more schema with the same ids.
async fn rename(lab: &Lab, name: &str, from: &str, to: &str) {
    let table = lab.load(name).await.unwrap();
    let mut metadata = serde_json::to_value(table.metadata()).unwrap();
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
    lab.commit_metadata(name, &metadata).await;
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values_on_executors() {
    let lab = Lab::new().await;
    lab.write(
        "lake.t",
        "SELECT value AS id, 'sku-' || value AS sku FROM generate_series(1, 10)",
        &[],
    )
    .await;
    rename(&lab, "lake.t", "sku", "product_code").await;
    let back = lab
        .query(
            "lake.t",
            "SELECT count(product_code), min(product_code) FROM t",
        )
        .await;
    assert_eq!(back, ["10 sku-1"]);
    assert_eq!(
        lab.query("lake.t", "SELECT id FROM t WHERE product_code = 'sku-7'")
            .await,
        ["7"]
    );
}

#[tokio::test]
async fn two_columns_that_swapped_names_keep_their_values() {
    let lab = Lab::new().await;
    lab.write("lake.t", "SELECT 1 AS a, 2 AS b", &[]).await;
    rename(&lab, "lake.t", "a", "c").await;
    rename(&lab, "lake.t", "b", "a").await;
    rename(&lab, "lake.t", "c", "b").await;
    assert_eq!(
        lab.query("lake.t", "SELECT a, b FROM t WHERE a = 2").await,
        ["2 1"]
    );
}

#[tokio::test]
async fn a_new_column_is_null_in_older_files_and_never_an_older_columns_values() {
    let lab = Lab::new().await;
    lab.append("lake.t", "SELECT 1 AS id, 'old' AS note").await;
    lab.append("lake.t", "SELECT 2 AS id").await;
    lab.append("lake.t", "SELECT 3 AS id, 'new' AS note, 1.5 AS price")
        .await;
    let back = lab
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
        lab.query("lake.t", "SELECT id FROM t WHERE note IS NULL ORDER BY id")
            .await,
        ["1", "2"]
    );
}

#[tokio::test]
async fn a_widened_column_reads_its_older_files() {
    let lab = Lab::new().await;
    lab.append(
        "lake.t",
        "SELECT CAST(1 AS int) AS n, CAST(1.5 AS real) AS f, CAST(1 AS decimal(5,2)) AS d",
    )
    .await;
    let wide = "SELECT CAST(5000000000 AS bigint) AS n, CAST(2.5 AS double) AS f, CAST(2 AS decimal(12,2)) AS d";
    let written = lab.append("lake.t", wide).await;
    let same = [("n", 1), ("f", 2), ("d", 3)].map(|(n, id)| (n.to_owned(), id));
    assert_eq!(field_ids(&written.table), same);
    let back = lab
        .query("lake.t", "SELECT n, f, d FROM t ORDER BY n")
        .await;
    assert_eq!(back, ["1 1.5 1.00", "5000000000 2.5 2.00"]);
    assert_eq!(
        lab.query("lake.t", "SELECT count(*) FROM t WHERE n < 10")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn a_query_whose_types_became_narrower_keeps_the_columns() {
    let lab = Lab::new().await;
    lab.append("lake.t", "SELECT CAST(5000000000 AS bigint) AS n, CAST(1 AS decimal(12,2)) AS d, make_array(CAST(5000000000 AS bigint)) AS l").await;
    let narrow =
        "SELECT CAST(1 AS int) AS n, CAST(2 AS decimal(5,2)) AS d, make_array(CAST(2 AS int)) AS l";
    let written = lab
        .write_with("lake.t", narrow, options(&[]), WriteMode::Append)
        .await;
    let ids: Vec<_> = field_ids(&written.table)
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    let back = lab
        .query("lake.t", "SELECT n, d, l FROM t ORDER BY n")
        .await;
    assert_eq!(back, ["1 2.00 [2]", "5000000000 1.00 [5000000000]"]);
}

#[tokio::test]
async fn a_list_that_was_widened_takes_the_wider_values() {
    let lab = Lab::new().await;
    lab.append("lake.t", "SELECT make_array(CAST(1 AS int)) AS l")
        .await;
    lab.append(
        "lake.t",
        "SELECT make_array(CAST(5000000000 AS bigint)) AS l",
    )
    .await;
    let back = lab.query("lake.t", "SELECT l FROM t ORDER BY l[1]").await;
    assert_eq!(back, ["[1]", "[5000000000]"]);
}
