//! A table as one reader sees it: the metadata file the catalog, or a stage, points at.

pub(crate) mod metadata;
pub(crate) mod partition;
pub(crate) mod schema;
pub(crate) mod view;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use iceberg::io::FileIO;
use iceberg::spec::{NestedFieldRef, Operation, Snapshot, TableMetadata, TableMetadataRef};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, Runtime, TableIdent};

use crate::error::{LakehouseError, Result};
use crate::table::metadata::Unreadable;
use crate::table::view::LakeView;
use retail_api::TableName;

/// What a name in the catalog stands for.
#[derive(Debug, Clone)]
pub enum Relation {
    Table(LakeTable),
    View(LakeView),
}

impl Relation {
    /// Its name in the catalog.
    pub fn name(&self) -> &TableName {
        match self {
            Self::Table(table) => table.name(),
            Self::View(view) => view.name(),
        }
    }

    pub(crate) fn metadata_location(&self) -> &str {
        match self {
            Self::Table(table) => table.metadata_location(),
            Self::View(view) => view.metadata_location(),
        }
    }
}

/// A column as a table's metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// In Iceberg's words: `long`, `decimal(12,2)`, `timestamptz`.
    pub data_type: String,
    /// It holds no null.
    pub required: bool,
}

/// One table at one point in time. A clone shares everything, including the cache of its manifests.
#[derive(Clone)]
pub struct LakeTable {
    name: TableName,
    /// As the catalog spells it, since publish compares it literally.
    metadata_location: Arc<str>,
    arrow_schema: SchemaRef,
    unreadable: Arc<Unreadable>,
    iceberg: Arc<Table>,
}

/// One commit in a table's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    pub id: i64,
    pub parent_id: Option<i64>,
    /// Milliseconds since the epoch.
    pub committed_at_ms: i64,
    /// `append`, `overwrite`, `replace` or `delete`.
    pub operation: String,
    pub summary: HashMap<String, String>,
}

/// The key of a snapshot's summary that names the run that published it. Other engines write none.
pub const PUBLISH_ID: &str = "retail.publish-id";

/// A snapshot of one of our tables that another engine wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChange {
    pub snapshot_id: i64,
    /// `append`, `overwrite` or `delete`.
    pub operation: String,
    /// As the engine calls itself: `spark 3.5.1`; empty where it is not recorded.
    pub engine: String,
    pub added_rows: u64,
    pub deleted_rows: u64,
    /// Milliseconds since the epoch.
    pub committed_at_ms: i64,
}

impl LakeTable {
    pub(crate) fn new(
        name: TableName,
        metadata_location: &str,
        metadata: TableMetadataRef,
        file_io: &FileIO,
        runtime: &Runtime,
    ) -> Result<Self> {
        let levels = name.namespace.split('.').map(str::to_owned).collect();
        let namespace = NamespaceIdent::from_vec(levels)
            .map_err(LakehouseError::metadata(&name, "name the namespace"))?;
        let arrow_schema = crate::table::schema::arrow_schema(metadata.current_schema())?;
        let iceberg = Table::builder()
            .file_io(file_io.clone())
            .runtime(runtime.clone())
            .identifier(TableIdent::new(namespace, name.name.clone()))
            .metadata_location(metadata_location)
            .metadata(metadata)
            .cache_size_bytes(MANIFEST_CACHE_BYTES)
            .readonly(true)
            .build()
            .map_err(LakehouseError::metadata(&name, "open the metadata"))?;
        Ok(Self {
            name,
            metadata_location: metadata_location.into(),
            arrow_schema,
            unreadable: Arc::default(),
            iceberg: Arc::new(iceberg),
        })
    }

    pub(crate) fn without(self, unreadable: Unreadable) -> Self {
        Self {
            unreadable: Arc::new(unreadable),
            ..self
        }
    }

    pub(crate) fn unreadable(&self) -> &Unreadable {
        &self.unreadable
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    pub(crate) fn metadata(&self) -> &TableMetadata {
        self.iceberg.metadata()
    }

    /// The `iceberg` crate's view of it, with manifest readers and their cache.
    pub(crate) fn iceberg(&self) -> &Table {
        &self.iceberg
    }

    pub fn metadata_location(&self) -> &str {
        &self.metadata_location
    }

    /// The folder that holds the table's files.
    pub fn location(&self) -> &str {
        self.metadata().location()
    }

    /// The current columns, each with its field id in the field's metadata.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow_schema)
    }

    /// The current columns, in order.
    pub fn columns(&self) -> Vec<TableColumn> {
        let fields = self.metadata().current_schema().as_struct().fields().iter();
        let column = |field: &NestedFieldRef| TableColumn {
            name: field.name.clone(),
            data_type: field.field_type.to_string(),
            required: field.required,
        };
        fields.map(column).collect()
    }

    /// When the metadata last changed, in milliseconds since the epoch.
    pub fn updated_at_ms(&self) -> i64 {
        self.metadata().last_updated_ms()
    }

    /// None for a table that was created but never written.
    pub fn snapshot_id(&self) -> Option<i64> {
        self.metadata().current_snapshot_id()
    }

    /// When the current snapshot was made, in milliseconds since the epoch; none for a table never written.
    pub fn committed_at_ms(&self) -> Option<i64> {
        let snapshot = self.metadata().current_snapshot();
        snapshot.map(|snapshot| snapshot.timestamp_ms())
    }

    /// Snapshots that the metadata still holds.
    pub fn snapshot_count(&self) -> usize {
        self.metadata().snapshots().len()
    }

    /// Rows of the current snapshot by its summary, less rows that position deletes hide.
    pub fn row_count(&self) -> u64 {
        let deleted = self.total("total-position-deletes");
        self.total("total-records").saturating_sub(deleted)
    }

    /// Data files of the current snapshot by its summary.
    pub fn file_count(&self) -> u64 {
        self.total("total-data-files")
    }

    /// Bytes of all files of the current snapshot by its summary.
    pub fn bytes(&self) -> u64 {
        self.total("total-files-size")
    }

    fn total(&self, key: &str) -> u64 {
        let snapshot = self.metadata().current_snapshot();
        let value = snapshot.and_then(|s| s.summary().additional_properties.get(key));
        value.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The partition fields as a model writes them: `order_date`, `day(ts)`, `bucket(16, id)`.
    pub fn partition_fields(&self) -> Vec<String> {
        let schema = self.metadata().current_schema();
        let fields = self.metadata().default_partition_spec().fields().iter();
        fields
            .map(|field| {
                let column = match schema.name_by_field_id(field.source_id) {
                    Some(name) => name.to_owned(),
                    None => format!("<dropped column {}>", field.source_id),
                };
                let transform = field.transform.to_string();
                match transform.strip_suffix(']').and_then(|t| t.split_once('[')) {
                    Some((function, width)) => format!("{function}({width}, {column})"),
                    None if transform == "identity" => column,
                    None => format!("{transform}({column})"),
                }
            })
            .collect()
    }

    /// Every snapshot the metadata still holds, oldest first.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        let mut snapshots: Vec<_> = self
            .metadata()
            .snapshots()
            .map(|snapshot| SnapshotInfo {
                id: snapshot.snapshot_id(),
                parent_id: snapshot.parent_snapshot_id(),
                committed_at_ms: snapshot.timestamp_ms(),
                operation: snapshot.summary().operation.as_str().to_owned(),
                summary: snapshot.summary().additional_properties.clone(),
            })
            .collect();
        let order = |id| {
            self.metadata()
                .snapshot_by_id(id)
                .map(|s| s.sequence_number())
        };
        snapshots.sort_by_key(|s| (order(s.id), s.committed_at_ms));
        snapshots
    }

    /// The current snapshot and those before it in its line, newest first.
    pub(crate) fn line(&self) -> impl Iterator<Item = &Snapshot> {
        let metadata = self.metadata();
        let first = metadata.current_snapshot().map(AsRef::as_ref);
        std::iter::successors(first, |snapshot| {
            let parent = snapshot.parent_snapshot_id()?;
            metadata.snapshot_by_id(parent).map(AsRef::as_ref)
        })
    }

    /// What other engines did to the rows since a run of ours last published the table, newest first. A rewrite of
    /// files that leaves the rows as they are is no change.
    pub fn foreign_changes(&self) -> Vec<ForeignChange> {
        let since = self.line().take_while(|snapshot| !is_ours(snapshot));
        since.filter_map(foreign_change).collect()
    }

    /// As [`LakeTable::foreign_changes`], since `base`; none when anything but other engines' snapshots is between.
    pub fn foreign_changes_since(&self, base: &Self) -> Option<Vec<ForeignChange>> {
        if base.metadata().uuid() != self.metadata().uuid() {
            return None;
        }
        let base = base.snapshot_id();
        let mut changes = vec![];
        for snapshot in self.line() {
            if Some(snapshot.snapshot_id()) == base {
                return Some(changes);
            }
            if is_ours(snapshot) {
                return None;
            }
            changes.extend(foreign_change(snapshot));
        }
        base.is_none().then_some(changes)
    }
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeTable")
            .field("name", &self.name)
            .field("metadata_location", &self.metadata_location)
            .field("snapshot_id", &self.snapshot_id())
            .finish()
    }
}

fn is_ours(snapshot: &Snapshot) -> bool {
    let summary = &snapshot.summary().additional_properties;
    summary.contains_key(PUBLISH_ID)
}

fn foreign_change(snapshot: &Snapshot) -> Option<ForeignChange> {
    let summary = snapshot.summary();
    if summary.operation == Operation::Replace {
        return None;
    }
    let of = |key: &str| summary.additional_properties.get(key);
    let rows = |key: &str| of(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    let words = ["engine-name", "engine-version"].map(|key| of(key).map(String::as_str));
    Some(ForeignChange {
        snapshot_id: snapshot.snapshot_id(),
        operation: summary.operation.as_str().to_owned(),
        engine: words.into_iter().flatten().collect::<Vec<_>>().join(" "),
        added_rows: rows("added-records"),
        deleted_rows: rows("deleted-records"),
        committed_at_ms: snapshot.timestamp_ms(),
    })
}

/// Manifests of one table kept parsed; a retail table's are a few hundred kilobytes.
const MANIFEST_CACHE_BYTES: u64 = 8 * 1024 * 1024;
