//! Published tables and views, and their snapshots.

use retail_proto::v1;

use super::{Field, message};
use crate::table::{Column, Snapshot, Table, TableKind};

impl Field<String> for TableKind {
    fn encode(self) -> String {
        self.to_string()
    }
    fn decode(wire: String) -> Self {
        wire.parse().unwrap_or_default()
    }
}

message!(Table {
    name,
    kind,
    rows,
    bytes,
    files,
    snapshot_id,
    updated_at_us,
    location,
    metadata_location,
    partition_by,
    columns,
});

message!(Column {
    name,
    r#type,
    required,
});

message!(Snapshot {
    id,
    parent_id,
    committed_at_us,
    operation,
    summary,
});
