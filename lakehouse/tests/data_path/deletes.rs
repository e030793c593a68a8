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
    DataContentType, DataFileBuilder, DataFileFormat, FormatVersion, ManifestList,
    ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot, Struct, Summary,
};

use crate::lab::{Lab, query};

/// Commits one delete file that names `data_file` as `spelled`.
async fn delete_rows(lab: &Lab, name: &str, spelled: &str, positions: &[i64], large: bool) {
    let table = lab.load(name).await.unwrap();
    let metadata = table.metadata();
    let folder = format!("{}/metadata", table.location());
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

    let io = FileIOBuilder::new(Arc::new(LocalFsStorageFactory)).build();
    let (id, sequence) = (positions[0] + 77, metadata.next_sequence_number());
    let file = DataFileBuilder::default()
        .content(DataContentType::PositionDeletes)
        .file_path(uri.clone())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .record_count(positions.len() as u64)
        .file_size_in_bytes(std::fs::metadata(path).unwrap().len())
        .build()
        .unwrap();
    let output = io
        .new_output(format!("{folder}/deletes-{id}.avro"))
        .unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let builder =
        ManifestWriterBuilder::new(output, Some(id), metadata.current_schema().clone(), spec);
    let mut writer = builder.build_v2_deletes();
    writer.add_file(file, -1).unwrap();
    let added = writer.write_manifest_file().await.unwrap();

    let parent = metadata.current_snapshot().unwrap();
    let list = std::fs::read(parent.manifest_list().strip_prefix("file://").unwrap()).unwrap();
    let list = ManifestList::parse_with_version(&list, FormatVersion::V2).unwrap();
    let location = format!("{folder}/list-{id}.avro");
    let output = io.new_output(&location).unwrap().writer().await.unwrap();
    let mut writer = ManifestListWriter::v2(output, id, table.snapshot_id(), sequence);
    writer
        .add_manifests(list.consume_entries().into_iter().chain([added]))
        .unwrap();
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
        })
        .build();
    let builder = metadata
        .clone()
        .into_builder(None)
        .set_branch_snapshot(snapshot, "main")
        .unwrap();
    let metadata = builder.build().unwrap().metadata;
    lab.commit_metadata(name, &serde_json::to_value(&metadata).unwrap())
        .await;
}

async fn thousand_rows() -> (Lab, String) {
    let lab = Lab::new().await;
    let written = lab
        .write(
            "lake.t",
            "SELECT value AS id FROM generate_series(0, 999)",
            &[],
        )
        .await;
    let path = written.files[0].file_path().to_owned();
    assert_eq!(written.files.len(), 1);
    (lab, path)
}

const QUERY: &str = "SELECT count(id), min(id), max(id), sum(id) FROM t";

#[tokio::test]
async fn deleted_rows_stay_deleted_on_executors() {
    let (lab, path) = thousand_rows().await;
    delete_rows(&lab, "lake.t", &path, &[0, 1, 2, 500, 999], false).await;
    assert_eq!(lab.query("lake.t", QUERY).await, ["995 3 998 497998"]);
    // Not from a count that includes them.
    assert_eq!(lab.query("lake.t", "SELECT count(*) FROM t").await, ["995"]);
    delete_rows(&lab, "lake.t", &path, &[3, 500], true).await;
    assert_eq!(lab.query("lake.t", QUERY).await, ["994 4 998 497995"]);
}

#[tokio::test]
async fn a_file_read_in_parts_lacks_the_same_rows() {
    let (lab, path) = thousand_rows().await;
    delete_rows(&lab, "lake.t", &path, &[0, 400, 999], false).await;
    let mut config = SessionConfig::new().with_target_partitions(3);
    config.options_mut().optimizer.repartition_file_min_size = 0;
    let session = lab.session_with(config);
    lab.register(&session, "lake.t").await;
    assert_eq!(query(&session, QUERY).await, ["997 1 998 498101"]);
}

#[tokio::test]
async fn a_location_spelled_differently_is_the_same_file() {
    let (lab, path) = thousand_rows().await;
    for (index, prefix) in ["file:/", "/"].into_iter().enumerate() {
        let spelled = path.replacen("file:///", prefix, 1);
        delete_rows(&lab, "lake.t", &spelled, &[index as i64], false).await;
    }
    assert_eq!(lab.query("lake.t", QUERY).await, ["998 2 999 499499"]);
}

#[tokio::test]
async fn rows_written_after_a_delete_are_not_deleted_by_it() {
    let (lab, path) = thousand_rows().await;
    delete_rows(&lab, "lake.t", &path, &[0], false).await;
    lab.append(
        "lake.t",
        "SELECT value AS id FROM generate_series(1000, 1009)",
    )
    .await;
    assert_eq!(
        lab.query("lake.t", "SELECT count(id), min(id) FROM t")
            .await,
        ["1009 1"]
    );
}

#[tokio::test]
async fn a_session_without_the_marker_does_not_bring_deleted_rows_back() {
    let (lab, path) = thousand_rows().await;
    delete_rows(&lab, "lake.t", &path, &[0, 1], false).await;
    let session = SessionContext::new();
    lab.register(&session, "lake.t").await;
    let rows = session
        .sql("SELECT count(id) FROM t")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(crate::lab::rows(&rows), ["998"]);
}
