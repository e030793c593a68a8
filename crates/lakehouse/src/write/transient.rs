//! Classifies storage errors as transient, permanent or out of space.
//!
//! An executor's failed task is retried only if its error is an `IoError`, so that variant stands for transient
//! errors and for nothing else.

use std::error::Error;
use std::io;

use datafusion::error::DataFusionError;

use crate::error::transient_storage;
use retail_api::TableName;

/// What a retry would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// The disk or a quota is full.
    NoSpace,
    /// It may work the next time.
    Transient,
    Permanent,
}

/// An error of writing a file of `table` under `uri`.
pub(super) fn cannot_write(
    table: &TableName,
    uri: &str,
    error: &(dyn Error + 'static),
) -> DataFusionError {
    let cannot = format!("cannot write data file of {table} under {uri}");
    match classify(error) {
        Class::NoSpace => DataFusionError::Execution(format!("{cannot}: no space left on device")),
        Class::Transient => {
            DataFusionError::IoError(io::Error::other(format!("{cannot}: {}", root_text(error))))
        }
        Class::Permanent => DataFusionError::Execution(format!("{cannot}: {}", root_text(error))),
    }
}

/// A store's transient error anywhere inside `error`, as the `IoError` that is retried.
pub(crate) fn transient_as_io(error: DataFusionError) -> DataFusionError {
    if matches!(error.find_root(), DataFusionError::IoError(_)) {
        return error;
    }
    let is_storage = chain(&error).any(|cause| cause.is::<object_store::Error>());
    if is_storage && classify(&error) == Class::Transient {
        return DataFusionError::IoError(io::Error::other(error));
    }
    error
}

fn classify(error: &(dyn Error + 'static)) -> Class {
    let mut storage = None;
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<object_store::Error>() {
            storage = Some(transient_storage(error));
        }
        let Some(error) = cause.downcast_ref::<io::Error>() else {
            continue;
        };
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => return Class::NoSpace,
            K::PermissionDenied
            | K::NotFound
            | K::ReadOnlyFilesystem
            | K::NotADirectory
            | K::IsADirectory
            | K::InvalidFilename
            | K::FileTooLarge
            | K::Unsupported => return Class::Permanent,
            // A wrapper has no meaning of its own.
            K::Other if error.get_ref().is_some() => {}
            _ => return Class::Transient,
        }
    }
    match storage {
        Some(true) => Class::Transient,
        _ => Class::Permanent,
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

/// The innermost cause's text.
fn root_text(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
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

    fn writing(error: &(dyn Error + 'static)) -> DataFusionError {
        cannot_write(&"marts.a".parse().unwrap(), "file:///w/a/data", error)
    }

    #[test]
    fn a_full_disk_is_said_plainly_and_not_tried_again() {
        for full in [
            io::Error::from_raw_os_error(28),
            io::Error::from(io::ErrorKind::QuotaExceeded),
        ] {
            let error = writing(&io::Error::other(generic(io::Error::other(full))));
            assert!(matches!(error, DataFusionError::Execution(_)), "{error:?}");
            let text =
                "cannot write data file of marts.a under file:///w/a/data: no space left on device";
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_store_that_times_out_is_tried_again() {
        let timeout = generic(io::Error::from(io::ErrorKind::TimedOut));
        assert!(matches!(writing(&timeout), DataFusionError::IoError(_)));
        let wrapped = DataFusionError::ObjectStore(Box::new(timeout)).context("reading");
        assert!(matches!(
            transient_as_io(wrapped),
            DataFusionError::IoError(_)
        ));
        let silent = generic(std::fmt::Error);
        assert!(matches!(writing(&silent), DataFusionError::IoError(_)));
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let forbidden = generic(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(writing(&forbidden), DataFusionError::Execution(_)));
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
