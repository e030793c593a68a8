//! Requests to object stores, reported to whoever counts them.
//!
//! This crate knows no metrics: a process that has some gives a [`StoreObserver`] when it makes its stores
//! ([`crate::ObjectStores::confined`]).

use std::sync::Arc;
use std::time::Duration;

/// Gets every observation, on the thread where it happens: it must not block.
pub type StoreObserver = Arc<dyn Fn(StoreObservation) + Send + Sync>;

/// One thing that happened between this process and an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreObservation {
    /// A request was answered.
    Request {
        operation: StoreOperation,
        outcome: StoreOutcome,
        took: Duration,
    },
    /// Bytes came from a store.
    Read { bytes: u64 },
    /// Bytes went to a store.
    Written { bytes: u64 },
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOperation {
    Get,
    Head,
    Put,
    List,
    Delete,
    Copy,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    Ok,
    /// There is no such object: an answer, not an error.
    NotFound,
    Error,
}

impl StoreOperation {
    /// As metrics label it.
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
    /// As metrics label it.
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
