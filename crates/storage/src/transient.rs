//! Classifies storage errors as transient, permanent or out of space.
//!
//! An executor's failed task is retried only if its error is an `IoError`, so that variant stands for transient
//! errors and for nothing else.

use std::error::Error;
use std::io;

use datafusion::error::DataFusionError;

/// What a retry would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The disk or a quota is full.
    OutOfSpace,
    /// It may work the next time.
    Transient,
    /// The same again.
    Permanent,
}

/// Whether a store's error passes by itself: of a remote store, whatever is not an answer about the object.
/// A local disk that is full or forbidden stays so.
pub fn is_transient(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { store, .. } if *store != "LocalFileSystem")
}

/// A store's transient error anywhere inside `error`, as the `IoError` that is retried.
pub fn transient_as_io(error: DataFusionError) -> DataFusionError {
    if matches!(error.find_root(), DataFusionError::IoError(_)) {
        return error;
    }
    let is_storage = chain(&error).any(|cause| cause.is::<object_store::Error>());
    if is_storage && classify(&error) == ErrorClass::Transient {
        return DataFusionError::IoError(io::Error::other(error));
    }
    error
}

/// Classifies an error by its causes, outermost first.
pub fn classify(error: &(dyn Error + 'static)) -> ErrorClass {
    let mut storage = None;
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<object_store::Error>() {
            storage = Some(is_transient(error));
        }
        let Some(error) = cause.downcast_ref::<io::Error>() else {
            continue;
        };
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => return ErrorClass::OutOfSpace,
            K::PermissionDenied
            | K::NotFound
            | K::ReadOnlyFilesystem
            | K::NotADirectory
            | K::IsADirectory
            | K::InvalidFilename
            | K::FileTooLarge
            | K::Unsupported => return ErrorClass::Permanent,
            // A wrapper has no meaning of its own.
            K::Other if error.get_ref().is_some() => {}
            _ => return ErrorClass::Transient,
        }
    }
    match storage {
        Some(true) => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

/// An error and its causes, outermost first, and what an `io::Error` wraps, which its `source` would skip.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref());
        match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The innermost cause, inside of `io::Error`s too.
pub fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Error + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: Box::new(source),
        }
    }

    #[test]
    fn a_full_disk_is_neither_transient_nor_permanent() {
        for full in [
            io::Error::from_raw_os_error(28),
            io::Error::from(io::ErrorKind::QuotaExceeded),
        ] {
            let error = io::Error::other(generic(io::Error::other(full)));
            assert_eq!(classify(&error), ErrorClass::OutOfSpace);
        }
    }

    #[test]
    fn a_store_that_times_out_is_transient() {
        let timeout = generic(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(classify(&timeout), ErrorClass::Transient);
        let wrapped = DataFusionError::ObjectStore(Box::new(timeout)).context("reading");
        assert!(matches!(
            transient_as_io(wrapped),
            DataFusionError::IoError(_)
        ));
        let silent = generic(std::fmt::Error);
        assert_eq!(classify(&silent), ErrorClass::Transient);
    }

    #[test]
    fn what_cannot_pass_is_permanent() {
        let forbidden = generic(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(classify(&forbidden), ErrorClass::Permanent);
        let missing = object_store::Error::NotFound {
            path: "x".to_owned(),
            source: Box::new(io::Error::from(io::ErrorKind::NotFound)),
        };
        let missing = transient_as_io(DataFusionError::ObjectStore(Box::new(missing)));
        assert!(
            matches!(missing, DataFusionError::ObjectStore(_)),
            "{missing:?}"
        );
        let plan = transient_as_io(DataFusionError::Plan("no such column".to_owned()));
        assert!(matches!(plan, DataFusionError::Plan(_)));
    }
}
