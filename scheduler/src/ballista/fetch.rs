//! Reads a finished query's rows from the executors that hold them.

use ballista_core::client::BallistaClient;
use ballista_core::serde::protobuf::PartitionLocation;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use retail_api::cause::RESULT_LOST;
use retail_proto::MAX_MESSAGE_BYTES;

/// Attempts of one fetch, and the pause between them.
const RETRIES: u8 = 3;
const RETRY_PAUSE_MS: u64 = 500;

/// The rows at `locations`, in their order; at most one partition is open at a time.
///
/// `schema` stands for results without partitions; otherwise the executors' schema is the truth, which
/// differs from the plan's in nullability.
///
/// # Errors
/// An executor that holds a partition cannot be reached.
pub(crate) async fn rows(
    schema: SchemaRef,
    locations: Vec<PartitionLocation>,
) -> Result<SendableRecordBatchStream> {
    for location in &locations {
        tracing::debug!(partition = ?location.partition_id, file = ?location.file_id, "result partition");
    }
    let mut locations = locations.into_iter();
    let Some(first) = locations.next() else {
        let empty = futures::stream::empty();
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, empty)));
    };
    let first = partition(first).await?;
    let schema = first.schema();
    let rest = futures::stream::iter(locations)
        .then(partition)
        .try_flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        first.chain(rest),
    )))
}

async fn partition(location: PartitionLocation) -> Result<SendableRecordBatchStream> {
    let layout = location.layout();
    let file_id = location.file_id;
    let missing = |what: &str| {
        DataFusionError::Internal(format!("a result partition came without its {what}"))
    };
    let executor = location.executor_meta.ok_or_else(|| missing("executor"))?;
    let partition = location.partition_id.ok_or_else(|| missing("id"))?;
    let (host, port) = (executor.host.as_str(), executor.port as u16);
    let mut client = BallistaClient::try_new(
        host,
        port,
        MAX_MESSAGE_BYTES,
        false,
        None,
        RETRIES,
        RETRY_PAUSE_MS,
        0,
        0,
    )
    .await
    .map_err(|e| {
        DataFusionError::Execution(format!(
            "{RESULT_LOST}: executor {} at {host}:{port} is gone: {e}",
            executor.id
        ))
    })?;
    client
        .fetch_partition(&executor.id, &partition.into(), file_id, layout, true)
        .await
        .map_err(|e| {
            tracing::warn!(executor = %executor.id, error = %e, "cannot read rows");
            DataFusionError::Execution(format!(
                "{RESULT_LOST}: cannot read rows from executor {} at {host}:{port}: {}",
                executor.id,
                in_short(&e.to_string())
            ))
        })
}

/// The message inside a status that was written for programmers.
fn in_short(error: &str) -> &str {
    let message = error.split_once("message: \"");
    let message = message.and_then(|(_, rest)| rest.split_once('"'));
    message.map_or(error, |(message, _)| message.trim_end_matches('\\'))
}

#[cfg(test)]
mod tests {
    use super::in_short;

    #[test]
    fn of_a_status_only_its_message_is_shown() {
        let status = "Shuffle fetch partition error from Executor 7, map_stage 2, map_partition 0, error desc: \
            Status { code: Unavailable, message: \"tcp connect error\", source: Some(tonic::transport::Error(Transport)) }";
        assert_eq!(in_short(status), "tcp connect error");
        assert_eq!(in_short("it is gone"), "it is gone");
    }
}
