//! What can go wrong between a catalog, an object store and a table's files.

use retail_api::TableName;
use retail_storage::{StorageError, is_transient};

/// Result of everything in this crate.
pub type Result<T, E = LakehouseError> = std::result::Result<T, E>;

/// Why a lakehouse operation could not be done. Texts never contain a password or a secret key.
#[derive(Debug, thiserror::Error)]
pub enum LakehouseError {
    /// A table name or namespace that cannot be one.
    #[error(transparent)]
    InvalidName(#[from] retail_api::InvalidName),

    /// A location that has no object store.
    #[error(transparent)]
    Location(#[from] StorageError),

    /// A configuration that cannot work, found before anything is opened.
    #[error("invalid lakehouse configuration, key {key}: {reason}")]
    InvalidConfig { key: &'static str, reason: String },

    /// A column whose type Iceberg format version 2 cannot hold.
    #[error(
        "column {column} of table {table} has type {data_type}, which an iceberg table cannot hold: {hint}"
    )]
    UnsupportedType {
        table: TableName,
        column: String,
        data_type: String,
        hint: String,
    },

    /// Two columns that Iceberg finds by one name.
    #[error(
        "table {table} has a column {name} and a field inside of another column that is called the same, which an iceberg table cannot distinguish: rename one"
    )]
    SamePath { table: TableName, name: String },

    /// A partition field that does not parse or does not fit the table's columns.
    #[error("cannot partition table {table} by {field}: {reason}")]
    InvalidPartition {
        table: TableName,
        field: String,
        reason: String,
    },

    /// Something another engine wrote that we refuse to read wrongly.
    #[error("cannot read table {table}: {feature} is not supported")]
    UnsupportedTable { table: TableName, feature: String },

    /// A column that a data file does not have in the type of the table, and that Iceberg's rules do not make of it.
    #[error("cannot read column {column} of table {table} from file {file}: {reason}")]
    UnreadableColumn {
        table: TableName,
        column: String,
        file: String,
        reason: String,
    },

    /// The catalog's database cannot be reached at all.
    #[error("cannot reach the catalog {uri}: {reason}")]
    CatalogUnavailable { uri: String, reason: String },

    /// The catalog's database answers and does not let us in, or its file cannot be made: waiting does not help.
    #[error("cannot open the catalog {uri}: {reason}")]
    CatalogRefused { uri: String, reason: String },

    /// The catalog's database file was there when it was opened and is not now (or is another one).
    #[error(
        "the catalog {uri} is gone: {reason}; restore the file, or restart to begin an empty catalog"
    )]
    CatalogGone { uri: String, reason: String },

    /// Another process holds the catalog's write lock for longer than we wait.
    #[error(
        "the catalog {uri} is locked{}: {attempts} attempts in {waited_ms} ms; \
         another process holds a write transaction open on it: end that process or its transaction, then run again",
        at_row(table)
    )]
    CatalogLocked {
        uri: String,
        /// The table whose row is locked, where it is known.
        table: Option<TableName>,
        attempts: usize,
        waited_ms: u64,
    },

    /// A statement on the catalog failed.
    #[error("cannot {doing} in the catalog {uri}: {reason}")]
    CatalogQuery {
        uri: String,
        doing: &'static str,
        reason: String,
        transient: bool,
    },

    /// Somebody else changed a table between pin and publish. Nothing of the publish took effect.
    #[error(
        "table {table} changed while this run was writing it: expected {}, found {}",
        describe(expected),
        describe(found)
    )]
    PublishConflict {
        table: TableName,
        /// Metadata location the run started from; none when it found no table.
        expected: Option<String>,
        /// Metadata location the catalog holds now; none when there is no table.
        found: Option<String>,
    },

    /// Whoever settled the publish's outcome has ruled it out. Nothing of it took effect.
    #[error(
        "publish {publish_id} was given up before: its job was ended by another scheduler, or its id was used twice"
    )]
    PublishAbandoned { publish_id: String },

    /// The run was cancelled before its commit was sent.
    #[error("publish {publish_id} was cancelled")]
    PublishCancelled { publish_id: String },

    /// Another scheduler owns the catalog now.
    #[error(
        "another scheduler has taken over this catalog, since this one did not renew its lease in time"
    )]
    OwnershipLost,

    /// A name holds a table where a view was to be published, or the other way round.
    #[error("cannot publish {wanted} {table}: a {found} of that name exists; drop it first")]
    WrongKind {
        table: TableName,
        wanted: String,
        found: String,
    },

    /// One publish was given two new versions of one table.
    #[error("table {table} is staged twice in one publish")]
    StagedTwice { table: TableName },

    /// The connection broke in the commit and the catalog shows neither all nor nothing, or cannot be read.
    #[error(
        "outcome unknown: the commit of publish {publish_id} was sent and its answer was lost, and it could not be \
         settled since: {reason}; either all of its tables are new or none is: when the catalog answers, look with \
         `retail-submit tables`, or start the scheduler again, which settles it, then run again if need be"
    )]
    PublishUnknown { publish_id: String, reason: String },

    /// A file could not be read, written or listed.
    #[error("cannot {doing} {uri}")]
    Storage {
        uri: String,
        doing: &'static str,
        #[source]
        source: object_store::Error,
    },

    /// Table metadata, a manifest or a manifest list could not be read, built or written.
    #[error("cannot {doing} of table {table}: {}", reason(&source.0))]
    Metadata {
        table: TableName,
        doing: &'static str,
        #[source]
        source: MetadataError,
    },

    /// Rows could not be written to data files, or not described as such.
    #[error("cannot write data files of table {table}: {reason}")]
    DataFiles { table: TableName, reason: String },

    /// A plan node of this crate could not be encoded or decoded.
    #[error("cannot {doing} a plan node: {reason}")]
    PlanCodec { doing: &'static str, reason: String },

    /// DataFusion refused a plan or failed to run one.
    #[error("cannot {doing}")]
    Engine {
        doing: &'static str,
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
}

/// What is wrong with table metadata, a manifest or a manifest list.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct MetadataError(Box<iceberg::Error>);

impl LakehouseError {
    /// Whether the same call may succeed later without anybody changing anything.
    ///
    /// A [`LakehouseError::PublishConflict`] is not: the run must first rebase or recompute.
    pub fn retryable(&self) -> bool {
        match self {
            Self::CatalogUnavailable { .. } | Self::CatalogLocked { .. } => true,
            Self::CatalogQuery { transient, .. } => *transient,
            Self::Storage { source, .. } => is_transient(source),
            Self::Metadata { source, .. } => source.0.retryable(),
            _ => false,
        }
    }

    /// `map_err` of a metadata operation on `table`.
    pub(crate) fn metadata(
        table: &TableName,
        doing: &'static str,
    ) -> impl FnOnce(iceberg::Error) -> Self {
        let table = table.clone();
        move |source| Self::Metadata {
            table,
            doing,
            source: MetadataError(Box::new(source)),
        }
    }
}

/// What may pass becomes an IO error, the only kind for which the cluster runs a task again.
impl From<LakehouseError> for datafusion::error::DataFusionError {
    fn from(error: LakehouseError) -> Self {
        match error.retryable() {
            true => Self::IoError(std::io::Error::other(error)),
            false => Self::External(Box::new(error)),
        }
    }
}

/// What is wrong, with every cause that adds to it.
fn reason(error: &iceberg::Error) -> String {
    let mut text = error.message().to_owned();
    for cause in retail_api::error_chain(error).skip(1) {
        let more = match cause.downcast_ref::<iceberg::Error>() {
            Some(cause) => cause.message().to_owned(),
            None => cause.to_string(),
        };
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}

fn at_row(table: &Option<TableName>) -> String {
    match table {
        Some(table) => format!(" at the row of {table}"),
        None => String::new(),
    }
}

fn describe(location: &Option<String>) -> &str {
    location.as_deref().unwrap_or("no such table")
}

#[cfg(test)]
mod tests {
    use datafusion::error::DataFusionError;

    use super::*;

    fn storage(store: &'static str) -> LakehouseError {
        LakehouseError::Storage {
            uri: "s3://lake/x".to_owned(),
            doing: "read",
            source: object_store::Error::Generic {
                store,
                source: "connection reset".into(),
            },
        }
    }

    #[test]
    fn a_task_runs_again_only_for_what_may_pass() {
        let passing = DataFusionError::from(storage("S3"));
        assert!(matches!(passing, DataFusionError::IoError(_)), "{passing}");
        let lasting = DataFusionError::from(storage("LocalFileSystem"));
        assert!(matches!(lasting, DataFusionError::External(_)), "{lasting}");
    }

    #[test]
    fn a_conflict_is_not_tried_again_blindly() {
        let conflict = LakehouseError::PublishConflict {
            table: TableName::new("marts", "a"),
            expected: None,
            found: Some("file:///w/x.json".to_owned()),
        };
        assert!(!conflict.retryable());
        let text = conflict.to_string();
        assert!(
            text.contains("expected no such table, found file:///w/x.json"),
            "{text}"
        );
    }
}
