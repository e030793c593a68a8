//! Damaged data files, by name.
//!
//! What decodes pages knows bytes and no file, and some bytes make it panic. Both end here as an error that names the
//! file. Values that a damaged page still gives are not noticed: our pages have no checksums.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::errors::ParquetError;
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner};
use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};

/// Starts the error of a file that cannot be decoded.
pub const DAMAGED_FILE: &str = "damaged data file";

/// Reads as `planner` does; errors and panics of the Parquet reader name the file.
pub(super) fn named(file: String, planner: Box<dyn MorselPlanner>) -> Box<dyn MorselPlanner> {
    Box::new(Named {
        file: file.into(),
        planner,
    })
}

#[derive(Debug)]
struct Named {
    file: Arc<str>,
    planner: Box<dyn MorselPlanner>,
}

impl MorselPlanner for Named {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { file, planner } = *self;
        let Some(mut plan) = guarded(&file, || planner.plan())? else {
            return Ok(None);
        };
        let next = |planner| {
            let file = Arc::clone(&file);
            Box::new(Self { file, planner }) as Box<dyn MorselPlanner>
        };
        let morsels = plan.take_morsels().into_iter().map(|morsel| {
            let file = Arc::clone(&file);
            Box::new(NamedMorsel { file, morsel }) as Box<dyn Morsel>
        });
        let mut named = MorselPlan::new().with_morsels(morsels.collect());
        let planners = plan.take_ready_planners().into_iter();
        named = named.with_planners(planners.map(next).collect());
        if let Some(pending) = plan.take_pending_planner() {
            let file = Arc::clone(&file);
            named.set_pending_planner(async move {
                let planner = AssertUnwindSafe(pending).catch_unwind().await;
                let planner = planner.unwrap_or_else(|_| Err(undecodable(&file)));
                let planner = planner.map_err(|error| in_words(&file, error))?;
                Ok(Box::new(Self { file, planner }) as Box<dyn MorselPlanner>)
            });
        }
        Ok(Some(named))
    }
}

#[derive(Debug)]
struct NamedMorsel {
    file: Arc<str>,
    morsel: Box<dyn Morsel>,
}

impl Morsel for NamedMorsel {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { file, morsel } = *self;
        match guarded(&file, || Ok(morsel.into_stream())) {
            Ok(rows) => AssertUnwindSafe(rows)
                .catch_unwind()
                .map(move |batch| {
                    let batch = batch.unwrap_or_else(|_| Err(undecodable(&file)));
                    batch.map_err(|error| in_words(&file, error))
                })
                .boxed(),
            Err(error) => stream::once(ready(Err(error))).boxed(),
        }
    }
}

fn guarded<T>(file: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    // What was being decoded is dropped: nobody sees it half made.
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(undecodable(file)))
        .map_err(|error| in_words(file, error))
}

/// The reader panicked; the process's log has its text.
fn undecodable(file: &str) -> DataFusionError {
    damaged(file, "its pages cannot be decoded")
}

fn damaged(file: &str, cause: &str) -> DataFusionError {
    DataFusionError::Execution(format!(
        "{DAMAGED_FILE} {file}: {cause}; restore it, or write the table again"
    ))
}

/// The Parquet reader's error with the file's name; others stay as they are, those of a store among them.
fn in_words(file: &str, error: DataFusionError) -> DataFusionError {
    let text = match error.find_root() {
        DataFusionError::ParquetError(error) => match error.as_ref() {
            ParquetError::NYI(_) => None,
            other => Some(other.to_string()),
        },
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::ParquetError(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let Some(text) = text else {
        return error;
    };
    // What is whole and cannot be read by us is no damage.
    let whole = ["Object Store error", "NYI: ", "Disabled feature", "ncrypt"];
    if whole.iter().any(|sign| text.contains(sign)) {
        return error;
    }
    damaged(file, cause(&text))
}

/// Without the names of errors that stand before it.
fn cause(text: &str) -> &str {
    let mut rest = text.lines().next().unwrap_or_default();
    if let Some((_, why)) = rest
        .split_once("Failed to fetch metadata for file ")
        .and_then(|(_, named)| named.split_once(": "))
    {
        rest = why;
    }
    while let Some(bare) = ["Parquet error: ", "EOF: ", "External: ", "Arrow: "]
        .iter()
        .find_map(|lead| rest.strip_prefix(lead))
    {
        rest = bare;
    }
    rest
}
