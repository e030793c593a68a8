//! What materializing a model produced.

use retail_lakehouse::Staged;

/// What one model produced.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// `None` for an ephemeral model.
    pub staged: Option<Staged>,
    pub rows: u64,
    pub bytes: u64,
    pub files: u32,
    /// Of its query on the cluster.
    pub stages: u32,
    pub elapsed_ms: u64,
}
