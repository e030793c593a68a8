//! What is published: tables, views and their snapshots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use crate::absent::{zero, zero_or};
use crate::ids::SnapshotId;

/// What a name of the catalog stands for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Display, EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TableKind {
    Table,
    View,
    /// Its metadata cannot be read: only its name and where the metadata is are known.
    #[default]
    Unreadable,
}

/// A published table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// `namespace.name`
    pub name: String,
    pub kind: TableKind,
    /// 0 for a view, as bytes and files are.
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    /// Absent for a view, and for a table without rows.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub snapshot_id: Option<SnapshotId>,
    /// Microseconds since the epoch, UTC; absent for a view.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub updated_at_us: Option<i64>,
    /// The folder of its files; empty for a view.
    pub location: String,
    pub metadata_location: String,
    pub partition_by: Vec<String>,
    pub columns: Vec<Column>,
}

/// A column of a published table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub r#type: String,
    pub required: bool,
}

/// One state of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub id: SnapshotId,
    /// Absent for the first.
    #[serde(serialize_with = "zero_or", deserialize_with = "zero")]
    pub parent_id: Option<SnapshotId>,
    /// Microseconds since the epoch, UTC.
    pub committed_at_us: i64,
    pub operation: String,
    pub summary: BTreeMap<String, String>,
}
