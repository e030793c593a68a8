//! Requests to stores and the catalog, as metrics.

use std::sync::Arc;

use retail_lakehouse::{CatalogOperation, CatalogOutcome, Observation, Observer};
use retail_storage::{StoreObservation, StoreObserver};
use retail_telemetry::metrics;

/// Counts the requests to the stores that this scheduler opens.
pub(crate) fn store_observer() -> StoreObserver {
    Arc::new(|observation| match observation {
        StoreObservation::Request {
            operation,
            outcome,
            took,
        } => metrics().object_store_request(operation.as_str(), outcome.as_str(), took),
        StoreObservation::Read { bytes } => metrics().object_store_bytes("read", bytes),
        StoreObservation::Written { bytes } => metrics().object_store_bytes("written", bytes),
    })
}

/// Counts the requests to the catalog that this scheduler opens, and what is staged.
pub(crate) fn catalog_observer() -> Observer {
    Arc::new(count)
}

fn count(observation: Observation<'_>) {
    let m = metrics();
    match observation {
        Observation::CatalogRequest {
            operation,
            outcome,
            took,
        } => {
            let name = operation.as_str();
            m.catalog_seconds
                .with_label_values(&[name])
                .observe(took.as_secs_f64());
            if operation == CatalogOperation::Publish {
                m.commit_seconds
                    .with_label_values(&["publish"])
                    .observe(took.as_secs_f64());
            }
            match outcome {
                CatalogOutcome::Ok => {}
                CatalogOutcome::Conflict => m.publish_conflicts_total.inc(),
                CatalogOutcome::Error => m.catalog_errors_total.with_label_values(&[name]).inc(),
            }
        }
        Observation::Staged { file_bytes, took } => {
            m.commit_seconds
                .with_label_values(&["stage"])
                .observe(took.as_secs_f64());
            for bytes in file_bytes {
                m.data_file_bytes.observe(*bytes as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_conflict_is_counted_as_one_and_not_as_an_error() {
        let m = metrics();
        let errors = || m.catalog_errors_total.with_label_values(&["publish"]).get();
        let publish = |outcome| {
            count(Observation::CatalogRequest {
                operation: CatalogOperation::Publish,
                outcome,
                took: Duration::from_millis(3),
            });
        };
        let (conflicts, failed) = (m.publish_conflicts_total.get(), errors());
        publish(CatalogOutcome::Conflict);
        assert_eq!(m.publish_conflicts_total.get() - conflicts, 1);
        assert_eq!(errors(), failed);
        publish(CatalogOutcome::Error);
        assert_eq!(m.publish_conflicts_total.get() - conflicts, 1);
        assert_eq!(errors(), failed + 1);
    }
}
