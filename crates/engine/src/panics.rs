//! Panics while a query is prepared, as errors.
//!
//! Ballista catches panics only while a task runs. One before that is reported nowhere: a panic in planning ends the
//! scheduler's event loop, one in decoding a task leaves the scheduler waiting for that task without end.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use datafusion::error::{DataFusionError, Result};
use futures::FutureExt;

/// Runs `prepare`; its panic becomes an error that starts with `what`.
///
/// # Errors
/// Those of `prepare`, and its panic.
pub fn catch_panic<T>(what: &str, prepare: impl FnOnce() -> Result<T>) -> Result<T> {
    // What was being built is dropped: nobody sees it half made.
    std::panic::catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|panic| Err(defect(what, panic.as_ref())))
}

/// [`catch_panic`] for a future.
///
/// # Errors
/// Those of `prepare`, and its panic.
pub(crate) async fn catch_panic_async<T>(
    what: &str,
    prepare: impl Future<Output = Result<T>>,
) -> Result<T> {
    AssertUnwindSafe(prepare)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(defect(what, panic.as_ref())))
}

fn defect(what: &str, panic: &(dyn Any + Send)) -> DataFusionError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    DataFusionError::Execution(format!(
        "{what}: {}; this is a defect of the engine, please report the SQL",
        text.unwrap_or("it panicked")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_text() {
        let panics = || -> Result<()> { panic!("index {} out of bounds", 3) };
        let error = catch_panic("a task cannot be decoded", panics).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Execution error: a task cannot be decoded: index 3 out of bounds; \
             this is a defect of the engine, please report the SQL"
        );
        let error = catch_panic_async("the query cannot be planned", async { panics() }).await;
        assert!(error.unwrap_err().to_string().contains("index 3"));
    }
}
