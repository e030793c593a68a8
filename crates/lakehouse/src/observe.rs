//! Requests to stores and the catalog, reported to whoever counts them.
//!
//! This crate knows no metrics: a process that has some gives an [`Observer`] when it makes its object stores
//! ([`crate::ObjectStores::observed`]), and all that goes through them, the catalog's requests too, is reported to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{LakehouseError, Result};

/// Gets every observation, on the thread where it happens: it must not block.
pub type Observer = Arc<dyn Fn(Observation<'_>) + Send + Sync>;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation<'a> {
    /// A request to an object store was answered.
    StoreRequest {
        operation: StoreOperation,
        outcome: StoreOutcome,
        took: Duration,
    },
    /// Bytes came from an object store.
    StoreRead { bytes: u64 },
    /// Bytes went to an object store.
    StoreWritten { bytes: u64 },
    /// A request to the catalog's database was answered.
    CatalogRequest {
        operation: CatalogOperation,
        outcome: CatalogOutcome,
        took: Duration,
    },
    /// A table's new metadata was written.
    Staged {
        /// Sizes of the data files that are new in it.
        file_bytes: &'a [u64],
        took: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOperation {
    Get,
    Head,
    Put,
    List,
    Delete,
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    Ok,
    /// There is no such object: an answer, not an error.
    NotFound,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogOperation {
    Pin,
    Publish,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogOutcome {
    Ok,
    /// Somebody else published first: an answer, not an error.
    Conflict,
    Error,
}

impl StoreOperation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
        }
    }
}

impl StoreOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Error => "error",
        }
    }

    pub(crate) fn of<T>(answer: &object_store::Result<T>) -> Self {
        match answer {
            Ok(_) => Self::Ok,
            Err(object_store::Error::NotFound { .. }) => Self::NotFound,
            Err(_) => Self::Error,
        }
    }
}

impl CatalogOperation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Publish => "publish",
            Self::Drop => "drop",
        }
    }
}

/// A request to the catalog's database: reports its end and returns its answer.
pub(crate) fn catalog<T>(
    observer: Option<&Observer>,
    operation: CatalogOperation,
    began: Instant,
    answer: Result<T>,
) -> Result<T> {
    if let Some(observer) = observer {
        let outcome = match &answer {
            Ok(_) => CatalogOutcome::Ok,
            Err(LakehouseError::PublishConflict { .. }) => CatalogOutcome::Conflict,
            Err(_) => CatalogOutcome::Error,
        };
        observer(Observation::CatalogRequest {
            operation,
            outcome,
            took: began.elapsed(),
        });
    }
    answer
}
