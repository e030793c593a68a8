//! The live files of a table's current snapshot, and the refusal of what this crate does not read.

use datafusion::common::ScalarValue;
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, ManifestContentType, ManifestEntryRef, Transform,
};

use super::adapter::FileColumns;
use super::values;
use crate::error::{LakehouseError, Result};
use crate::table::LakeTable;
use crate::table::metadata;
use crate::table::schema::arrow_primitive;
use retail_storage::locate;

/// One live data file.
#[derive(Debug)]
pub(super) struct LiveFile {
    pub(super) entry: ManifestEntryRef,
    /// When it was added, in the table's order of commits.
    pub(super) sequence: i64,
    /// What its columns are where it does not have them.
    pub(super) columns: FileColumns,
}

impl LiveFile {
    pub(super) fn file(&self) -> &DataFile {
        self.entry.data_file()
    }

    pub(super) fn constant(&self, id: i32) -> Option<&ScalarValue> {
        let mut constants = self.columns.constants.iter();
        constants.find(|(of, _)| *of == id).map(|(_, value)| value)
    }
}

/// What a snapshot holds.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// In the order of their paths, so that a plan over the same snapshot is the same plan.
    pub(super) files: Vec<LiveFile>,
    /// Files of position deletes and deletion vectors, and when they were added.
    pub(super) deletes: Vec<(i64, ManifestEntryRef)>,
}

/// Reads the manifests, not the files.
///
/// # Errors
/// A manifest is unreadable, or the table has something that would be read wrongly: equality deletes that apply, files
/// that are not Parquet, encrypted files.
pub(super) async fn read(table: &LakeTable) -> Result<Live> {
    let mut live = Live::default();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Ok(live);
    };
    if snapshot.encryption_key_id().is_some() {
        return Err(unsupported(table, "an encrypted table"));
    }
    let unreadable = || LakehouseError::metadata(table.name(), "read the manifests");
    let list = table
        .iceberg()
        .manifest_list_reader(snapshot)
        .load()
        .await
        .map_err(unreadable())?;
    let mut equality = vec![];
    for manifest_file in list.entries() {
        let file_io = table.iceberg().file_io();
        let manifest = match table.unreadable().stand_ins {
            true => metadata::manifest(file_io, manifest_file).await,
            false => manifest_file.load_manifest(file_io).await,
        };
        let manifest = manifest.map_err(|e| {
            let text = format!("manifest {}: {}", manifest_file.manifest_path, e.message());
            unreadable()(iceberg::Error::new(e.kind(), text).with_source(e))
        })?;
        for entry in manifest.entries().iter().filter(|e| e.is_alive()) {
            check(table, entry)?;
            let sequence = entry.sequence_number();
            let sequence = sequence.unwrap_or(manifest_file.sequence_number);
            let shared = ManifestEntryRef::clone(entry);
            match (manifest_file.content, entry.content_type()) {
                (ManifestContentType::Data, _) => live.files.push(LiveFile {
                    columns: columns(table, entry.data_file(), manifest_file.partition_spec_id)?,
                    entry: shared,
                    sequence,
                }),
                (_, DataContentType::EqualityDeletes) => equality.push((sequence, shared)),
                _ => live.deletes.push((sequence, shared)),
            }
        }
    }
    refuse_equality_deletes(table, &live, &equality)?;
    live.files
        .sort_by(|a, b| a.file().file_path().cmp(b.file().file_path()));
    Ok(live)
}

fn check(table: &LakeTable, entry: &ManifestEntryRef) -> Result<()> {
    let file = entry.data_file();
    if file.key_metadata().is_some() {
        let feature = format!("an encrypted file ({})", file.file_path());
        return Err(unsupported(table, feature));
    }
    let is_vector = entry.content_type() == DataContentType::PositionDeletes
        && file.file_format() == DataFileFormat::Puffin;
    if file.file_format() != DataFileFormat::Parquet && !is_vector {
        let kind = match entry.content_type() {
            DataContentType::Data => "data",
            _ => "delete",
        };
        let feature = format!(
            "a {kind} file of format {} ({}); rewrite the table's files as Parquet",
            file.file_format(),
            file.file_path()
        );
        return Err(unsupported(table, feature));
    }
    Ok(())
}

/// Equality deletes apply to rows that are older than they; older ones than all rows delete nothing.
fn refuse_equality_deletes(
    table: &LakeTable,
    live: &Live,
    equality: &[(i64, ManifestEntryRef)],
) -> Result<()> {
    let oldest = live.files.iter().map(|file| file.sequence).min();
    let mut applying = equality
        .iter()
        .filter(|(delete, _)| oldest.is_some_and(|oldest| oldest < *delete));
    let Some((_, first)) = applying.next() else {
        return Ok(());
    };
    let more = match applying.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let snapshot = table.metadata().current_snapshot_id();
    let feature = format!(
        "equality deletes, which snapshot {} has ({}{more}); rewrite its data files with the engine that wrote them \
         (Spark: CALL system.rewrite_data_files with 'delete-file-threshold' = '1')",
        snapshot.map_or_else(|| "?".to_owned(), |id| id.to_string()),
        first.data_file().file_path(),
    );
    Err(unsupported(table, feature))
}

/// The values of the file's identity partition fields whose columns may not be in it.
///
/// Files that were imported from folders such as `region=North` do not have the column.
fn columns(table: &LakeTable, file: &DataFile, spec_id: i32) -> Result<FileColumns> {
    let (_, path) = locate(file.file_path())?;
    let mut constants = vec![];
    let metadata = table.metadata();
    let spec = metadata.partition_spec_by_id(spec_id).ok_or_else(|| {
        let feature = format!("partition spec {spec_id}, which its metadata does not have,");
        unsupported(table, feature)
    })?;
    for (field, value) in spec.fields().iter().zip(file.partition().iter()) {
        let stored = file.column_sizes().contains_key(&field.source_id);
        if field.transform != Transform::Identity || stored {
            continue;
        }
        let source = metadata.current_schema().field_by_id(field.source_id);
        let primitive = source.and_then(|source| source.field_type.as_primitive_type());
        // A dropped column's values are not read.
        let Some(data_type) = primitive.map(arrow_primitive) else {
            continue;
        };
        let value = match value.map(|value| value.as_primitive_literal()) {
            None => ScalarValue::try_new_null(&data_type).ok(),
            Some(literal) => literal.and_then(|literal| values::primitive(&literal, &data_type)),
        };
        let value = value.ok_or_else(|| {
            let (name, path) = (&field.name, file.file_path());
            let feature = format!("the value of partition field {name} of {path} as {data_type}");
            unsupported(table, feature)
        })?;
        constants.push((field.source_id, value));
    }
    Ok(FileColumns {
        path: path.to_string(),
        constants,
    })
}

pub(super) fn unsupported(table: &LakeTable, feature: impl Into<String>) -> LakehouseError {
    LakehouseError::UnsupportedTable {
        table: table.name().clone(),
        feature: feature.into(),
    }
}
