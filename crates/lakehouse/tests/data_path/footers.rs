//! Footers of other writers: counts of nulls that are missing, and bounds in the order of old writers.

use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use datafusion::parquet::file::statistics::Statistics;

use iceberg::spec::DataFile;

use crate::harness::Harness;

/// Gives the columns of a file other statistics. The file stays as long as it is: its manifest has its length.
fn with_statistics(file: &DataFile, change: impl Fn(&str, &Statistics) -> Option<Statistics>) {
    let path = file.file_path().strip_prefix("file://").unwrap();
    let file = std::fs::read(path).unwrap();
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(file.clone()))
        .unwrap();
    let groups = footer.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|chunk| {
            let name = chunk.column_path().string();
            let changed = chunk.statistics().and_then(|s| change(&name, s));
            let chunk = chunk.clone().into_builder();
            let chunk = chunk
                .set_column_index_offset(None)
                .set_column_index_length(None);
            match changed {
                Some(changed) => chunk.set_statistics(changed).build().unwrap(),
                None => chunk.build().unwrap(),
            }
        });
        let columns = columns.collect();
        let group = group.clone().into_builder().set_column_metadata(columns);
        group.build().unwrap()
    });
    let groups = groups.collect();
    let footer = footer.clone().into_builder().set_row_groups(groups).build();
    let mut written = vec![];
    ParquetMetaDataWriter::new(&mut written, &footer)
        .finish()
        .unwrap();
    let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap());
    let rows = file.len() - 8 - length as usize;
    assert!(rows + written.len() <= file.len(), "the footer has grown");
    let mut whole = file[..rows].to_vec();
    whole.resize(file.len() - written.len(), 0);
    whole.extend(written);
    std::fs::write(path, whole).unwrap();
}

#[tokio::test]
async fn nulls_that_a_footer_does_not_count_are_found() {
    let harness = Harness::new().await;
    let sql =
        "SELECT value AS id, CASE WHEN value <> 5 THEN value END AS x FROM generate_series(0, 999)";
    let written = harness.append("lake.t", sql).await;
    with_statistics(&written.files[0], |_, statistics| match statistics {
        Statistics::Int64(s) => {
            let (min, max) = (s.min_opt().copied(), s.max_opt().copied());
            Some(Statistics::int64(min, max, None, None, false))
        }
        _ => None,
    });
    for (filter, rows) in [
        ("x IS NULL", "1"),
        ("x IS NULL OR x > 2000", "1"),
        ("x > 2000", "0"),
        ("x >= 990", "10"),
        ("x IS NOT NULL", "999"),
    ] {
        let sql = format!("SELECT count(id) FROM t WHERE {filter}");
        assert_eq!(harness.query("lake.t", &sql).await, [rows], "{filter}");
    }
}

#[tokio::test]
async fn texts_are_found_beside_bounds_in_the_order_of_signed_bytes() {
    let harness = Harness::new().await;
    let written = harness
        .append(
            "lake.t",
            "SELECT * FROM (VALUES ('a'), ('z'), ('\u{e4}a')) AS v(x)",
        )
        .await;
    // As signed bytes the umlaut is below all letters.
    with_statistics(&written.files[0], |_, _| {
        let (min, max) = (ByteArray::from("\u{e4}"), ByteArray::from("z"));
        Some(Statistics::byte_array(
            Some(min),
            Some(max),
            None,
            Some(0),
            true,
        ))
    });
    for (filter, rows) in [("x > 'z'", "1"), ("x = '\u{e4}a'", "1"), ("x < 'b'", "1")] {
        let sql = format!("SELECT count(x) FROM t WHERE {filter}");
        assert_eq!(harness.query("lake.t", &sql).await, [rows], "{filter}");
    }
}

#[tokio::test]
async fn every_nan_is_the_same_one_and_both_zeros_are() {
    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
    use std::sync::Arc;
    let harness = Harness::new().await;
    let odd = f64::from_bits(0xfff8_0000_0000_0001);
    let x: ArrayRef = Arc::new(Float64Array::from(vec![odd, f64::NAN, -0.0, 0.0, 50.0]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]));
    let rows = RecordBatch::try_from_iter([("id", id), ("x", x)]).unwrap();
    harness.write_batch("lake.t", rows, &[]).await;
    for (sql, rows) in [
        ("SELECT count(id) FROM t WHERE x > 100", vec!["2"]),
        ("SELECT count(id) FROM t WHERE x = 0.0", vec!["2"]),
        (
            "SELECT id FROM t ORDER BY x, id DESC",
            vec!["4", "3", "5", "2", "1"],
        ),
        (
            "SELECT min(x), max(x), count(DISTINCT x) FROM t",
            vec!["0.0 NaN 3"],
        ),
    ] {
        assert_eq!(harness.query("lake.t", sql).await, rows, "{sql}");
    }
}
