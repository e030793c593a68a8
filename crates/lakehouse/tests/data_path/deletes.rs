//! Position deletes of another engine.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{SessionConfig, SessionContext};
use iceberg::io::{FileIOBuilder, LocalFsStorageFactory};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, ManifestList,
    ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot, Struct, Summary,
};

use crate::harness::{Harness, metadata, metadata_json, query};

/// Commits one delete file that names `data_file` as `spelled`.
async fn delete_rows(harness: &Harness, name: &str, spelled: &str, positions: &[i64], large: bool) {
    let table = harness.load(name).await.unwrap();
    let uri = format!("{}/data/deletes-{}.parquet", table.location(), positions[0]);
    let files = vec![spelled; positions.len()];
    let files: ArrayRef = match large {
        true => Arc::new(LargeStringArray::from(files)),
        false => Arc::new(StringArray::from(files)),
    };
    let field = |name: &str, array: &ArrayRef, id: &str| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_owned())]);
        Field::new(name, array.data_type().clone(), false).with_metadata(id)
    };
    let rows: ArrayRef = Arc::new(Int64Array::from(positions.to_vec()));
    let schema = Schema::new(vec![
        field("file_path", &files, "2147483546"),
        field("pos", &rows, "2147483545"),
    ]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![files, rows]).unwrap();
    let path = uri.strip_prefix("file://").unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let file = DataFileBuilder::default()
        .content(DataContentType::PositionDeletes)
        .file_path(uri.clone())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .record_count(positions.len() as u64)
        .file_size_in_bytes(std::fs::metadata(path).unwrap().len())
        .build()
        .unwrap();
    commit(harness, name, file).await;
}

/// Commits a file of deletes, as another engine does.
async fn commit(harness: &Harness, name: &str, file: DataFile) {
    let table = harness.load(name).await.unwrap();
    let metadata = metadata(&table);
    let folder = format!("{}/metadata", table.location());
    let third = metadata.format_version() == FormatVersion::V3;
    let io = FileIOBuilder::new(Arc::new(LocalFsStorageFactory)).build();
    let sequence = metadata.next_sequence_number();
    let id = 77 + sequence;
    let output = io
        .new_output(format!("{folder}/deletes-{id}.avro"))
        .unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let builder =
        ManifestWriterBuilder::new(output, Some(id), metadata.current_schema().clone(), spec);
    let mut writer = match third {
        true => builder.build_v3_deletes(),
        false => builder.build_v2_deletes(),
    };
    writer.add_file(file, -1).unwrap();
    let added = writer.write_manifest_file().await.unwrap();

    let parent = metadata.current_snapshot().unwrap();
    let list = std::fs::read(parent.manifest_list().strip_prefix("file://").unwrap()).unwrap();
    let list = ManifestList::parse_with_version(&list, FormatVersion::V2).unwrap();
    let location = format!("{folder}/list-{id}.avro");
    let output = io.new_output(&location).unwrap().writer().await.unwrap();
    let mut writer = match third {
        true => {
            let next = Some(metadata.next_row_id());
            ManifestListWriter::v3(output, id, table.snapshot_id(), sequence, next)
        }
        false => ManifestListWriter::v2(output, id, table.snapshot_id(), sequence),
    };
    writer
        .add_manifests(list.consume_entries().into_iter().chain([added]))
        .unwrap();
    let next_row = writer.next_row_id();
    writer.close().await.unwrap();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(id)
        .with_parent_snapshot_id(table.snapshot_id())
        .with_sequence_number(sequence)
        .with_timestamp_ms(metadata.last_updated_ms())
        .with_manifest_list(location)
        .with_summary(Summary {
            operation: Operation::Delete,
            additional_properties: parent.summary().additional_properties.clone(),
        });
    let first = metadata.next_row_id();
    let snapshot = match next_row {
        Some(next) => snapshot.with_row_range(first, next - first).build(),
        None => snapshot.build(),
    };
    let builder = metadata
        .clone()
        .into_builder(None)
        .set_branch_snapshot(snapshot, "main")
        .unwrap();
    let metadata = builder.build().unwrap().metadata;
    harness
        .commit_metadata(name, &serde_json::to_value(&metadata).unwrap())
        .await;
}

async fn thousand_rows() -> (Harness, String) {
    let harness = Harness::new().await;
    let written = harness
        .write(
            "lake.t",
            "SELECT value AS id FROM generate_series(0, 999)",
            &[],
        )
        .await;
    let path = written.files[0].file_path().to_owned();
    assert_eq!(written.files.len(), 1);
    (harness, path)
}

const QUERY: &str = "SELECT count(id), min(id), max(id), sum(id) FROM t";

#[tokio::test]
async fn deleted_rows_stay_deleted_on_executors() {
    let (harness, path) = thousand_rows().await;
    delete_rows(&harness, "lake.t", &path, &[0, 1, 2, 500, 999], false).await;
    assert_eq!(harness.query("lake.t", QUERY).await, ["995 3 998 497998"]);
    // Not from a count that includes them.
    assert_eq!(
        harness.query("lake.t", "SELECT count(*) FROM t").await,
        ["995"]
    );
    delete_rows(&harness, "lake.t", &path, &[3, 500], true).await;
    assert_eq!(harness.query("lake.t", QUERY).await, ["994 4 998 497995"]);
}

#[tokio::test]
async fn a_file_read_in_parts_lacks_the_same_rows() {
    let (harness, path) = thousand_rows().await;
    delete_rows(&harness, "lake.t", &path, &[0, 400, 999], false).await;
    let mut config = SessionConfig::new().with_target_partitions(3);
    config.options_mut().optimizer.repartition_file_min_size = 0;
    let session = harness.session_with(config);
    harness.register(&session, "lake.t").await;
    assert_eq!(query(&session, QUERY).await, ["997 1 998 498101"]);
}

#[tokio::test]
async fn a_location_spelled_differently_is_the_same_file() {
    let (harness, path) = thousand_rows().await;
    for (index, prefix) in ["file:/", "/"].into_iter().enumerate() {
        let spelled = path.replacen("file:///", prefix, 1);
        delete_rows(&harness, "lake.t", &spelled, &[index as i64], false).await;
    }
    assert_eq!(harness.query("lake.t", QUERY).await, ["998 2 999 499499"]);
}

#[tokio::test]
async fn rows_written_after_a_delete_are_not_deleted_by_it() {
    let (harness, path) = thousand_rows().await;
    delete_rows(&harness, "lake.t", &path, &[0], false).await;
    harness
        .append(
            "lake.t",
            "SELECT value AS id FROM generate_series(1000, 1009)",
        )
        .await;
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(id), min(id) FROM t")
            .await,
        ["1009 1"]
    );
}

#[tokio::test]
async fn a_session_without_the_marker_does_not_bring_deleted_rows_back() {
    let (harness, path) = thousand_rows().await;
    delete_rows(&harness, "lake.t", &path, &[0, 1], false).await;
    let session = SessionContext::new();
    harness.register(&session, "lake.t").await;
    let rows = session
        .sql("SELECT count(id) FROM t")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(crate::harness::rows(&rows), ["998"]);
}

/// A Puffin file with one deletion vector, and where in it the vector is.
fn puffin(positions: &[u64]) -> (Vec<u8>, i64, i64) {
    let mut content = vec![0xd1, 0xd3, 0x39, 0x64];
    let bitmap: roaring::RoaringTreemap = positions.iter().copied().collect();
    bitmap.serialize_into(&mut content).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let mut file = b"PFA1".to_vec();
    file.extend((content.len() as u32).to_be_bytes());
    file.extend(&content);
    file.extend(crc.sum().to_be_bytes());
    let size = file.len() as i64 - 4;
    file.extend(b"PFA1{}");
    (file, 4, size)
}

/// Makes the table one of format version 3.
async fn upgrade(harness: &Harness, name: &str) {
    let table = harness.load(name).await.unwrap();
    let mut metadata = metadata_json(&table);
    metadata["format-version"] = 3.into();
    metadata["next-row-id"] = 10_000.into();
    harness.commit_metadata(name, &metadata).await;
}

#[tokio::test]
async fn rows_of_a_deletion_vector_stay_deleted_on_executors() {
    let (harness, path) = thousand_rows().await;
    upgrade(&harness, "lake.t").await;
    let (bytes, offset, size) = puffin(&[0, 1, 2, 500, 999]);
    let uri = path.replace(".parquet", ".puffin");
    std::fs::write(uri.strip_prefix("file://").unwrap(), &bytes).unwrap();
    let vector = |rows: u64| {
        DataFileBuilder::default()
            .content(DataContentType::PositionDeletes)
            .file_path(uri.clone())
            .file_format(DataFileFormat::Puffin)
            .partition(Struct::empty())
            .record_count(rows)
            .file_size_in_bytes(bytes.len() as u64)
            .referenced_data_file(Some(path.clone()))
            .content_offset(Some(offset))
            .content_size_in_bytes(Some(size))
            .build()
            .unwrap()
    };
    commit(&harness, "lake.t", vector(5)).await;
    assert_eq!(harness.query("lake.t", QUERY).await, ["995 3 998 497998"]);
    assert_eq!(
        harness.query("lake.t", "SELECT count(*) FROM t").await,
        ["995"]
    );
    assert_eq!(
        harness
            .query(
                "lake.t",
                "SELECT id FROM t WHERE id < 5 ORDER BY id LIMIT 1"
            )
            .await,
        ["3"]
    );

    // A manifest that differs from the vector is not believed.
    commit(&harness, "lake.t", vector(4)).await;
    let error = harness.refusal("lake.t", "SELECT id FROM t").await;
    assert!(error.contains(".puffin"), "{error}");
    assert!(
        error.contains("5 positions where its manifest has 4"),
        "{error}"
    );
}

#[tokio::test]
async fn equality_deletes_are_refused_unless_they_are_older_than_all_rows() {
    let (harness, path) = thousand_rows().await;
    let file = DataFileBuilder::default()
        .content(DataContentType::EqualityDeletes)
        .file_path(path.replace(".parquet", "-eq.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .record_count(1)
        .file_size_in_bytes(1)
        .equality_ids(Some(vec![1]))
        .build()
        .unwrap();
    commit(&harness, "lake.t", file).await;
    let error = harness.refusal("lake.t", "SELECT id FROM t").await;
    assert!(error.contains("table lake.t"), "{error}");
    assert!(
        error.contains("equality deletes, which snapshot"),
        "{error}"
    );
    assert!(error.contains("-eq.parquet"), "{error}");
    assert!(error.contains("rewrite_data_files"), "{error}");
}

#[tokio::test]
async fn a_position_behind_a_files_end_deletes_nothing() {
    let (harness, path) = thousand_rows().await;
    delete_rows(&harness, "lake.t", &path, &[3, 1_000, 5_000_000], false).await;
    assert_eq!(
        harness
            .query("lake.t", "SELECT count(id), min(id), max(id) FROM t")
            .await,
        ["999 0 999"]
    );
}
