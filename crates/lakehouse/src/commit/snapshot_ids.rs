//! The names of a new snapshot.

use iceberg::spec::TableMetadata;
use uuid::Uuid;

/// Names this snapshot gives to itself and its files.
pub(super) struct SnapshotIds {
    pub(super) snapshot_id: i64,
    pub(super) list_location: String,
    /// Begins every manifest's location; a number and `.avro` follow.
    pub(super) manifest_prefix: String,
}

impl SnapshotIds {
    pub(super) fn new(metadata: &TableMetadata) -> Self {
        let unique = Uuid::now_v7();
        let snapshot_id = loop {
            let (high, low) = Uuid::new_v4().as_u64_pair();
            let id = ((high ^ low) & i64::MAX as u64) as i64;
            if id > 0 && metadata.snapshot_by_id(id).is_none() {
                break id;
            }
        };
        let folder = format!("{}/metadata", metadata.location());
        Self {
            snapshot_id,
            list_location: format!("{folder}/snap-{snapshot_id}-0-{unique}.avro"),
            manifest_prefix: format!("{folder}/{unique}-m"),
        }
    }
}
