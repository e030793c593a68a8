//! A table as one reader sees it: the metadata file the catalog, or a stage, points at.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataRef};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, Runtime, TableIdent};

use crate::catalog::Lakehouse;
use crate::error::{LakehouseError, Result};
use crate::metadata::Unreadable;
use crate::name::TableName;
use crate::view::LakeView;

/// What a name in the catalog stands for.
#[derive(Debug, Clone)]
pub enum Relation {
    Table(LakeTable),
    View(LakeView),
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
        let arrow_schema = crate::schema::arrow_schema(metadata.current_schema())?;
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

    pub fn metadata(&self) -> &TableMetadata {
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

    /// The current snapshot as DataFusion reads it.
    pub async fn provider(&self, lakehouse: &Lakehouse) -> Result<Arc<dyn TableProvider>> {
        crate::scan::provider(self, lakehouse.stores()).await
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

/// Manifests of one table kept parsed; a retail table's are a few hundred kilobytes.
const MANIFEST_CACHE_BYTES: u64 = 8 * 1024 * 1024;
