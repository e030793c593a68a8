//! What can go wrong with the job store.

use retail_api::JobId;

/// Why the job store could not do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A statement failed, or the database cannot be reached.
    #[error("cannot {doing}")]
    Database {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A newer version of ours wrote the store.
    #[error(
        "the job store has version {found}, and this scheduler knows {known} at most; use the newer scheduler"
    )]
    Newer { found: i64, known: i64 },
    /// An event is not what this version writes.
    #[error("cannot read or write event {seq} of job {job}")]
    Event {
        job: JobId,
        seq: u64,
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    pub(super) fn database(doing: &'static str, source: sqlx::Error) -> Self {
        Self::Database { doing, source }
    }

    /// Whether another writer was in the way; the transaction did not happen.
    pub(super) fn is_contention(&self) -> bool {
        let Self::Database {
            source: sqlx::Error::Database(error),
            ..
        } = self
        else {
            return false;
        };
        // SQLite: busy and locked in their variants. PostgreSQL: serialization failure, deadlock, lock not available.
        matches!(
            error.code().as_deref(),
            Some("5" | "6" | "261" | "262" | "517" | "773" | "40001" | "40P01" | "55P03")
        )
    }
}
