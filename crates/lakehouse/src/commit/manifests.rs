//! Which files a snapshot adds, keeps and removes, as manifests.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{
    DataFile, FormatVersion, Manifest, ManifestContentType, ManifestEntry, ManifestFile,
    ManifestWriter, ManifestWriterBuilder, PartitionSpec, PartitionSpecRef, SchemaRef,
    SnapshotSummaryCollector, Struct, TableMetadata,
};
use iceberg::{Error, ErrorKind};

use super::mode::WriteMode;
use super::snapshot_ids::SnapshotIds;
use super::summary::Live;
use crate::error::{LakehouseError, Result};
use crate::lakehouse::Lakehouse;
use crate::write::WriteTarget;

/// Partitions a summary may list one by one; beyond that it only counts them.
const PARTITIONS_IN_SUMMARY_MAX: u64 = 20;
/// Manifests read at once.
const READERS: usize = 8;

/// The manifests of a new snapshot, all written.
pub(super) struct Change {
    pub(super) manifests: Vec<ManifestFile>,
    pub(super) counts: SnapshotSummaryCollector,
    /// What the parent snapshot held, by its manifest list.
    pub(super) live_before: Live,
}

/// Which live entries of the parent a write removes.
enum Remove {
    None,
    All,
    /// Those of one spec with one of these partition values.
    Partitions(i32, HashSet<Struct>),
}

impl Remove {
    fn new(mode: WriteMode, metadata: &TableMetadata, files: &[DataFile]) -> Self {
        let spec = metadata.default_partition_spec();
        match mode {
            WriteMode::Append => Self::None,
            WriteMode::Overwrite => Self::All,
            WriteMode::OverwritePartitions if spec.is_unpartitioned() => Self::All,
            WriteMode::OverwritePartitions => {
                let values = files.iter().map(|file| file.partition().clone());
                Self::Partitions(spec.spec_id(), values.collect())
            }
        }
    }

    /// Whether a manifest of this spec must be read at all.
    fn may_touch(&self, spec_id: i32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Partitions(id, values) => *id == spec_id && !values.is_empty(),
        }
    }

    fn removes(&self, entry: &ManifestEntry) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Partitions(_, values) => values.contains(entry.data_file().partition()),
        }
    }
}

/// Writes the manifest of the new files, and one for each manifest of the parent that loses files.
pub(super) async fn write(
    lakehouse: &Lakehouse,
    target: &WriteTarget,
    metadata: &TableMetadata,
    ids: &SnapshotIds,
    mode: WriteMode,
    files: Vec<DataFile>,
) -> Result<Change> {
    let failed = |doing| LakehouseError::metadata(target.name(), doing);
    let mut writer = Writer {
        lakehouse,
        metadata,
        ids,
        written: 0,
    };
    let mut counts = SnapshotSummaryCollector::default();
    counts.set_partition_summary_limit(PARTITIONS_IN_SUMMARY_MAX);
    let mut manifests = Vec::new();

    let remove = Remove::new(mode, metadata, &files);
    if !files.is_empty() {
        let added = writer.added(files, &mut counts).await;
        manifests.push(added.map_err(failed("write a manifest"))?);
    }
    let older = parents(target)
        .await
        .map_err(failed("read the manifest list"))?;
    let live_before = Live::of(&older);
    check_specs(target, metadata, &remove, &older)?;

    let (touched, kept): (Vec<_>, Vec<_>) = older
        .into_iter()
        .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
        .partition(|manifest| remove.may_touch(manifest.partition_spec_id));
    let mut loaded = stream::iter(touched)
        .map(|file| async move {
            let manifest = file.load_manifest(lakehouse.file_io()).await?;
            Ok::<_, Error>((file, manifest))
        })
        .buffered(READERS);
    while let Some((file, manifest)) = loaded.try_next().await.map_err(failed("read a manifest"))? {
        let removed = |entry: &ManifestEntry| entry.is_alive() && remove.removes(entry);
        if !manifest.entries().iter().any(|entry| removed(entry)) {
            manifests.push(file);
            continue;
        }
        let rewritten = writer.without(&file, &manifest, removed, &mut counts).await;
        manifests.push(rewritten.map_err(failed("rewrite a manifest"))?);
    }
    drop(loaded);
    manifests.extend(kept);
    Ok(Change {
        manifests,
        counts,
        live_before,
    })
}

/// The manifests of the snapshot the write starts from.
async fn parents(target: &WriteTarget) -> iceberg::Result<Vec<ManifestFile>> {
    let Some(base) = target.base() else {
        return Ok(Vec::new());
    };
    let Some(snapshot) = base.metadata().current_snapshot() else {
        return Ok(Vec::new());
    };
    let list = base.iceberg().manifest_list_reader(snapshot).load().await?;
    Ok(list.consume_entries().into_iter().collect())
}

/// Partition by partition cannot replace files that are laid out by another spec: it would double their rows.
fn check_specs(
    target: &WriteTarget,
    metadata: &TableMetadata,
    remove: &Remove,
    older: &[ManifestFile],
) -> Result<()> {
    let Remove::Partitions(spec_id, _) = remove else {
        return Ok(());
    };
    let other = older.iter().find(|manifest| {
        manifest.content == ManifestContentType::Data
            && (manifest.has_added_files() || manifest.has_existing_files())
            && manifest.partition_spec_id != *spec_id
    });
    let Some(other) = other else {
        return Ok(());
    };
    let names = |spec: Option<&PartitionSpecRef>| {
        let fields = spec.map(|spec| spec.fields().iter().map(|f| f.name.as_str()));
        fields.map_or_else(String::new, |names| names.collect::<Vec<_>>().join(", "))
    };
    Err(LakehouseError::InvalidPartition {
        table: target.name().clone(),
        field: names(Some(metadata.default_partition_spec())),
        reason: format!(
            "it holds files partitioned by ({}), which cannot be replaced partition by partition; \
             overwrite the whole table once",
            names(metadata.partition_spec_by_id(other.partition_spec_id))
        ),
    })
}

struct Writer<'a> {
    lakehouse: &'a Lakehouse,
    metadata: &'a TableMetadata,
    ids: &'a SnapshotIds,
    written: usize,
}

impl Writer<'_> {
    /// A manifest of new files, in the table's current layout.
    async fn added(
        &mut self,
        files: Vec<DataFile>,
        counts: &mut SnapshotSummaryCollector,
    ) -> iceberg::Result<ManifestFile> {
        let schema = self.metadata.current_schema();
        let spec = self.metadata.default_partition_spec();
        let mut writer = self.open(schema, spec, ManifestContentType::Data)?;
        for file in files {
            counts.add_file(&file, schema.clone(), spec.clone());
            // A negative sequence number is filled in from the snapshot's.
            writer.add_file(file, -1)?;
        }
        writer.write_manifest_file().await
    }

    /// The manifest again, its removed entries marked so. In the schema it was written with: its partition
    /// values have the types of that one.
    async fn without(
        &mut self,
        file: &ManifestFile,
        manifest: &Manifest,
        removed: impl Fn(&ManifestEntry) -> bool,
        counts: &mut SnapshotSummaryCollector,
    ) -> iceberg::Result<ManifestFile> {
        let schema = manifest.metadata().schema();
        let spec = PartitionSpecRef::new(manifest.metadata().partition_spec().clone());
        let mut writer = self.open(schema, &spec, file.content)?;
        for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
            let data_file = entry.data_file().clone();
            let (Some(sequence), Some(snapshot)) = (entry.sequence_number(), entry.snapshot_id())
            else {
                let what = format!("{} has no sequence number", entry.file_path());
                return Err(Error::new(ErrorKind::DataInvalid, what));
            };
            let file_sequence = entry.file_sequence_number;
            if removed(entry) {
                counts.remove_file(&data_file, schema.clone(), spec.clone());
                writer.add_delete_file(data_file, sequence, file_sequence)?;
            } else {
                writer.add_existing_file(data_file, snapshot, sequence, file_sequence)?;
            }
        }
        writer.write_manifest_file().await
    }

    fn open(
        &mut self,
        schema: &SchemaRef,
        spec: &PartitionSpec,
        content: ManifestContentType,
    ) -> iceberg::Result<ManifestWriter> {
        let location = format!("{}{}.avro", self.ids.manifest_prefix, self.written);
        self.written += 1;
        let output = self.lakehouse.file_io().new_output(location)?;
        let id = Some(self.ids.snapshot_id);
        let builder = ManifestWriterBuilder::new(output, id, schema.clone(), spec.clone());
        use ManifestContentType::{Data, Deletes};
        Ok(match (self.metadata.format_version(), content) {
            (FormatVersion::V1, _) => builder.build_v1(),
            (FormatVersion::V2, Data) => builder.build_v2_data(),
            (FormatVersion::V2, Deletes) => builder.build_v2_deletes(),
            (FormatVersion::V3, Data) => builder.build_v3_data(),
            (FormatVersion::V3, Deletes) => builder.build_v3_deletes(),
        })
    }
}
