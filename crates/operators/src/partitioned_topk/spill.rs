//! Moves stored rows to disk, one file per hash partition of the key, when the memory pool refuses more.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, SpillFile};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::row_store::RowStore;

/// Hash partitions per spill. Each is read back alone, so memory need shrinks by this factor per level.
const PARTITIONS: usize = 16;

/// Levels of spilling after which the pool's refusal is final: no real input is 16⁴ times too large.
pub(super) const LEVELS_MAX: u32 = 4;

/// The files of one level: rows of a key are all in the same partition, in the order they were seen.
#[derive(Default)]
pub(super) struct Spilled {
    files: [Vec<Arc<dyn SpillFile>>; PARTITIONS],
}

impl Spilled {
    /// Writes all rows alive. The caller drops `store` afterwards.
    ///
    /// # Errors
    /// The disk manager refuses files, or the disk is full.
    pub(super) async fn write(
        &mut self,
        mut store: RowStore,
        batch_size: usize,
        manager: &SpillManager,
    ) -> Result<()> {
        store.forget_groups();
        let partitions = partition(&store)?;
        let batches: Vec<&RecordBatch> =
            store.batches().iter().map(|stored| &stored.batch).collect();
        for (files, rows) in self.files.iter_mut().zip(partitions) {
            if rows.is_empty() {
                continue;
            }
            let mut file = manager.create_in_progress_file("HashTopK")?;
            for chunk in rows.chunks(batch_size.max(1)) {
                file.append_batch(&interleave_record_batch(&batches, chunk)?)?;
                tokio::task::consume_budget().await;
            }
            files.extend(file.finish()?);
        }
        Ok(())
    }

    /// The files of each partition that has rows.
    pub(super) fn into_partitions(self) -> impl Iterator<Item = Vec<Arc<dyn SpillFile>>> {
        self.files.into_iter().filter(|files| !files.is_empty())
    }
}

/// Reads files one after the other.
pub(super) fn read(
    files: Vec<Arc<dyn SpillFile>>,
    manager: &SpillManager,
) -> Result<SendableRecordBatchStream> {
    let streams = files
        .into_iter()
        .map(|file| manager.read_spill_as_stream_unbuffered(file, None))
        .collect::<Result<Vec<_>>>()?;
    let rows = futures::stream::iter(streams).flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        Arc::clone(manager.schema()),
        rows,
    )))
}

/// Positions (batch, row) of the rows alive, per hash partition.
fn partition(store: &RowStore) -> Result<[Vec<(usize, usize)>; PARTITIONS]> {
    let mut partitions: [Vec<(usize, usize)>; PARTITIONS] = Default::default();
    let mut hashes = Vec::new();
    for (i, batch) in store.batches().iter().enumerate() {
        store.hash(&batch.batch, &mut hashes)?;
        for (row, hash) in hashes
            .iter()
            .enumerate()
            .filter(|(row, _)| batch.alive[*row])
        {
            partitions[(hash >> 40) as usize % PARTITIONS].push((i, row));
        }
    }
    Ok(partitions)
}
