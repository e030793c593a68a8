//! Why a query failed.

use datafusion::error::DataFusionError;
use retail_api::cause::innermost;
use retail_lakehouse::DAMAGED_FILE;

use super::error_text::{classify, stage_of};

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

/// What went wrong, as far as the engine knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The plan is wrong: types, functions, unsupported shapes.
    Plan,
    /// A task failed on its data.
    Execution,
    /// Disk or object store.
    Storage,
    /// Memory did not suffice.
    Resources,
    /// Every executor was lost.
    NoExecutor,
    /// An executor left with rows of the query before they were read, by us or by another executor. Running the
    /// query again helps.
    ResultLost,
    Cancelled,
}

impl QueryErrorKind {
    /// In a word or two, for what must not quote data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Execution => "execution",
            Self::Storage => "storage",
            Self::Resources => "resources",
            Self::NoExecutor => "no executor",
            Self::ResultLost => "result lost",
            Self::Cancelled => "cancelled",
        }
    }
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
