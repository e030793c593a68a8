//! One more snapshot of a table: manifests, the manifest list, and the metadata that names them.
//!
//! ```text
//!   {location}/metadata/00007-<uuid>.metadata.json        schemas, specs, snapshots, …
//!     └─ snap-<snapshot>-0-<uuid>.avro                    manifest list: one row per manifest
//!          ├─ <uuid>-m0.avro                              manifest: the files this snapshot adds
//!          └─ <older>-m0.avro                             manifests it keeps, or rewrites without what it removes
//! ```
//!
//! Only additions to the store; nothing that readers of older snapshots need is changed or deleted.

mod evolve;
mod manifests;
mod mode;
mod snapshot_ids;
mod summary;

use std::collections::{HashMap, HashSet};

use iceberg::MetadataLocation;
use iceberg::spec::{
    DataContentType, DataFile, FormatVersion, MAIN_BRANCH, ManifestFile, ManifestListWriter,
    Operation, Snapshot, Summary, TableMetadata,
};
use uuid::Uuid;

use crate::error::{LakehouseError, Result};
use crate::lakehouse::Lakehouse;
use crate::table::LakeTable;
use crate::table::view::version_of;
use crate::write::WriteTarget;

pub use mode::WriteMode;
use snapshot_ids::SnapshotIds;

/// Writes everything of the new snapshot and returns the table as its readers will see it.
pub(crate) async fn stage(
    lakehouse: &Lakehouse,
    target: &WriteTarget,
    mode: WriteMode,
    files: Vec<DataFile>,
    properties: HashMap<String, String>,
) -> Result<LakeTable> {
    let name = target.name();
    let failed = |doing| LakehouseError::metadata(name, doing);
    check_files(target, &files)?;
    let builder = evolve::evolve(target).map_err(failed("build the metadata"))?;
    let evolved = builder.clone().build();
    let evolved = evolved.map_err(failed("build the metadata"))?.metadata;
    check_ids(target, &evolved)?;

    let ids = SnapshotIds::new(&evolved);
    let change = manifests::write(lakehouse, target, &evolved, &ids, mode, files).await?;
    let next_row_id = write_list(lakehouse, &evolved, &ids, change.manifests)
        .await
        .map_err(failed("write the manifest list"))?;
    let parent = evolved.current_snapshot().map(AsRef::as_ref);
    let snapshot = Snapshot::builder()
        .with_snapshot_id(ids.snapshot_id)
        .with_parent_snapshot_id(parent.map(Snapshot::snapshot_id))
        .with_sequence_number(evolved.next_sequence_number())
        .with_timestamp_ms(timestamp_ms(target))
        .with_manifest_list(ids.list_location.clone())
        .with_schema_id(evolved.current_schema_id())
        .with_summary(Summary {
            operation: match mode {
                WriteMode::Append => Operation::Append,
                WriteMode::Overwrite | WriteMode::OverwritePartitions => Operation::Overwrite,
            },
            additional_properties: summary::with_totals(
                properties,
                change.counts,
                parent,
                change.live_before,
            ),
        });
    let snapshot = match next_row_id {
        Some(next) => {
            let first = evolved.next_row_id();
            snapshot.with_row_range(first, next - first).build()
        }
        None => snapshot.build(),
    };

    let built = builder.set_branch_snapshot(snapshot, MAIN_BRANCH);
    let built = built.and_then(|builder| builder.build());
    let metadata = built.map_err(failed("build the metadata"))?.metadata;
    let location = next_location(target, &metadata).map_err(failed("name the next version"))?;
    let written = metadata.write_to(lakehouse.file_io(), &location).await;
    written.map_err(failed("write the metadata"))?;
    lakehouse.table(name, &location.to_string(), metadata)
}

/// Refuses what would make a broken or a doubled table: a file twice, or one that belongs to another layout.
fn check_files(target: &WriteTarget, files: &[DataFile]) -> Result<()> {
    let refuse = |file: &DataFile, reason: &str| LakehouseError::DataFiles {
        table: target.name().clone(),
        reason: format!("{}: {reason}", file.file_path()),
    };
    let fields = target.spec().fields().len();
    let mut paths = HashSet::with_capacity(files.len());
    for file in files {
        if !paths.insert(file.file_path()) {
            return Err(refuse(file, "it is listed twice"));
        }
        if file.content_type() != DataContentType::Data {
            return Err(refuse(file, "it holds deletes, not rows"));
        }
        let values = file.partition().fields().len();
        if values != fields {
            let reason = format!("it has {values} partition values, the table has {fields}");
            return Err(refuse(file, &reason));
        }
    }
    Ok(())
}

/// The files carry the target's field ids; the metadata must give them the same meaning.
fn check_ids(target: &WriteTarget, metadata: &TableMetadata) -> Result<()> {
    let same_columns = metadata.current_schema().as_struct() == target.schema().as_struct();
    let same_fields = metadata.default_partition_spec().fields() == target.spec().fields();
    if same_columns && same_fields {
        return Ok(());
    }
    Err(LakehouseError::DataFiles {
        table: target.name().clone(),
        reason: "field ids of the files and of the table's metadata differ".to_owned(),
    })
}

/// Writes the list of all manifests; the first row id after it in a table that has row ids.
async fn write_list(
    lakehouse: &Lakehouse,
    metadata: &TableMetadata,
    ids: &SnapshotIds,
    manifests: Vec<ManifestFile>,
) -> iceberg::Result<Option<u64>> {
    let output = lakehouse.file_io().new_output(&ids.list_location)?;
    let file = output.writer().await?;
    let parent = metadata.current_snapshot_id();
    let (id, sequence_number) = (ids.snapshot_id, metadata.next_sequence_number());
    let mut writer = match metadata.format_version() {
        FormatVersion::V1 => ManifestListWriter::v1(file, id, parent),
        FormatVersion::V2 => ManifestListWriter::v2(file, id, parent, sequence_number),
        FormatVersion::V3 => {
            let next_row_id = Some(metadata.next_row_id());
            ManifestListWriter::v3(file, id, parent, sequence_number, next_row_id)
        }
    };
    writer.add_manifests(manifests.into_iter())?;
    let next_row_id = writer.next_row_id();
    writer.close().await?;
    Ok(next_row_id)
}

/// Now, but never before the table's last change: clocks of two machines differ.
fn timestamp_ms(target: &WriteTarget) -> i64 {
    let now = chrono::Utc::now().timestamp_millis();
    let last = target.base().map(|base| base.metadata().last_updated_ms());
    last.map_or(now, |last| now.max(last))
}

/// `{location}/metadata/00007-<uuid>.metadata.json`, one higher than the base's, whatever that one is called.
fn next_location(
    target: &WriteTarget,
    metadata: &TableMetadata,
) -> iceberg::Result<MetadataLocation> {
    let base = target.base().map(LakeTable::metadata_location);
    let number = base.map_or(0, |location| version_of(location) + 1);
    let folder = metadata.location();
    let plain = format!(
        "{folder}/metadata/{number:0>5}-{}.metadata.json",
        Uuid::new_v4()
    );
    let location: MetadataLocation = plain.parse()?;
    Ok(location.with_new_metadata(metadata))
}
