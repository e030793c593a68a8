//! Why a query failed.

use datafusion::error::DataFusionError;
use retail_api::cause::innermost;
use retail_lakehouse::DAMAGED_FILE;

use super::error_kind::{QueryErrorKind, classify, stage_of};

/// Why a query did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub kind: QueryErrorKind,
    /// The innermost cause, as a person should read it.
    pub message: String,
    /// Stage that failed; 0 = before any.
    pub stage: u32,
    #[source]
    pub source: Option<DataFusionError>,
}

impl QueryError {
    /// A query that somebody stopped.
    pub fn cancelled() -> Self {
        Self {
            kind: QueryErrorKind::Cancelled,
            message: "the query was cancelled".to_string(),
            stage: 0,
            source: None,
        }
    }

    /// Whether a data file is not what it was when its table named it: trying again does not help, nor does the store.
    pub fn is_of_changed_file(&self) -> bool {
        [DAMAGED_FILE, "after its table named it"]
            .iter()
            .any(|sign| self.message.contains(sign))
    }

    /// From an engine's text, when only text came back from an executor.
    pub fn from_text(text: &str) -> Self {
        let message = innermost(text);
        Self {
            kind: classify(text),
            message,
            stage: stage_of(text),
            source: None,
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let text = error.to_string();
        let kind = match error.find_root() {
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_) => QueryErrorKind::Plan,
            DataFusionError::ResourcesExhausted(_) => QueryErrorKind::Resources,
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => {
                QueryErrorKind::Storage
            }
            _ => classify(&text),
        };
        Self {
            kind,
            message: innermost(&text),
            stage: stage_of(&text),
            source: Some(error),
        }
    }
}
