//! What can be wrong about a location or a store before anything is read.

use datafusion::error::DataFusionError;

/// Why a URI has no object store. Texts never contain a secret key.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A URI that names no place that can be read or written.
    #[error("invalid location {uri}: {reason}")]
    InvalidUri { uri: String, reason: String },

    /// A place that is not among those allowed.
    #[error("{uri} may not be used: {reason}; allowed: {allowed}")]
    NotAllowed {
        uri: String,
        reason: String,
        /// The places that are, as a list.
        allowed: String,
    },

    /// A local path that cannot be followed: a link on its way leads to nothing.
    #[error("{uri} cannot be followed: {reason}")]
    NotResolved { uri: String, reason: String },

    /// Settings with which no client of the store can be made.
    #[error("invalid storage configuration, key storage.s3: {root}: {reason}")]
    InvalidConfig {
        /// The store: `s3://bucket/`.
        root: String,
        reason: String,
    },
}

/// Never an IO error, for which the cluster would retry a task: another attempt meets the same.
impl From<StorageError> for DataFusionError {
    fn from(error: StorageError) -> Self {
        Self::External(Box::new(error))
    }
}
