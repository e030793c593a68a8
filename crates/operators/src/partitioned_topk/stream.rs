//! One partition of a top-k per key: reads, keeps, spills, emits.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TryEmitter, async_try_stream};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::row_store::RowStore;
use super::spec::{Mode, Spec, Tuning};
use super::spill::{self, LEVELS_MAX, Spilled};

/// A partial pass gives up when it could drop less than this share of the rows it probed, in percent.
const DROPPED_MIN_PERCENT: usize = 20;

/// What one partition of the operator needs.
pub(super) struct TopKTask {
    pub(super) spec: Spec,
    pub(super) mode: Mode,
    pub(super) tuning: Tuning,
    pub(super) schema: SchemaRef,
    pub(super) batch_size: usize,
    pub(super) reservation: MemoryReservation,
    /// `None` where the disk manager makes no files.
    pub(super) spills: Option<SpillManager>,
    pub(super) metrics: BaselineMetrics,
    pub(super) duplicates_dropped: Count,
}

type Output = TryEmitter<RecordBatch, DataFusionError>;

/// Runs one partition over its input.
pub(super) fn run(task: TopKTask, input: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = Arc::clone(&task.schema);
    let rows = async_try_stream(move |output| async move {
        match task.mode {
            Mode::Partial => task.run_partial(input, output).await,
            Mode::Final => task.run_final(input, output).await,
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// How the rows of a stream ended up.
enum Kept {
    InMemory(RowStore),
    OnDisk(Spilled),
}

impl TopKTask {
    /// Exact: all rows of a key are in `input`. Spilled partitions are worked off one at a time.
    async fn run_final(self, input: SendableRecordBatchStream, mut output: Output) -> Result<()> {
        let mut unread = Vec::new();
        let mut next = Some((input, 0));
        while let Some((rows, level)) = next.take() {
            match self.read(rows, level).await? {
                Kept::InMemory(store) => self.emit(store, &mut output).await?,
                Kept::OnDisk(spilled) => {
                    unread.extend(spilled.into_partitions().map(|files| (files, level + 1)))
                }
            }
            self.reservation.free();
            if let (Some((files, level)), Some(manager)) = (unread.pop(), &self.spills) {
                next = Some((spill::read(files, manager)?, level));
            }
        }
        Ok(())
    }

    /// Takes in a whole stream, to disk where memory does not suffice. `level` counts the spills before.
    async fn read(&self, input: SendableRecordBatchStream, level: u32) -> Result<Kept> {
        let mut rows = FullBatches::new(self, input);
        let mut store = self.empty_store(level)?;
        let mut spilled: Option<Spilled> = None;
        while let Some(batch) = rows.next().await? {
            let Err(refusal) = self.store_batch(&mut store, batch) else {
                continue;
            };
            let refused = refusal.find_root();
            if !matches!(refused, DataFusionError::ResourcesExhausted(_)) || level >= LEVELS_MAX {
                return Err(refusal);
            }
            let Some(manager) = &self.spills else {
                return Err(refusal);
            };
            let full = std::mem::replace(&mut store, self.empty_store(level)?);
            self.spill(full, spilled.get_or_insert_default(), manager)
                .await?;
        }
        let Some(mut spilled) = spilled else {
            return Ok(Kept::InMemory(store));
        };
        if let Some(manager) = &self.spills {
            self.spill(store, &mut spilled, manager).await?;
        }
        Ok(Kept::OnDisk(spilled))
    }

    /// Drops what it can before the shuffle. When the pool refuses memory it emits what it holds and starts over;
    /// when nearly every row stays it lets the rest pass.
    async fn run_partial(self, input: SendableRecordBatchStream, mut output: Output) -> Result<()> {
        let mut rows = FullBatches::new(&self, input);
        let mut store = self.empty_store(0)?;
        while let Some(batch) = rows.next().await? {
            let refused = match self.store_batch(&mut store, batch) {
                Ok(()) => false,
                Err(e) if matches!(e.find_root(), DataFusionError::ResourcesExhausted(_)) => true,
                Err(e) => return Err(e),
            };
            let is_probed = store.seen() >= self.tuning.probe_rows;
            let in_vain = is_probed && store.dropped() * 100 < store.seen() * DROPPED_MIN_PERCENT;
            if refused || in_vain {
                let full = std::mem::replace(&mut store, self.empty_store(0)?);
                self.emit(full, &mut output).await?;
                self.reservation.free();
            }
            if in_vain {
                while let Some(batch) = rows.next().await? {
                    output.emit(batch.record_output(&self.metrics)).await;
                }
                return Ok(());
            }
        }
        self.emit(store, &mut output).await
    }

    fn empty_store(&self, level: u32) -> Result<RowStore> {
        RowStore::try_new(
            Arc::clone(&self.schema),
            &self.spec,
            self.batch_size,
            self.tuning.hash_mask,
            level,
        )
    }

    /// Adds a batch and accounts for it.
    ///
    /// # Errors
    /// [`DataFusionError::ResourcesExhausted`] when the pool refuses the memory; the batch is stored nevertheless, and
    /// the caller must let go of the rows.
    fn store_batch(&self, store: &mut RowStore, batch: RecordBatch) -> Result<()> {
        let _timer = self.metrics.elapsed_compute().timer();
        store.push(batch)?;
        let refused = self.reservation.try_resize(store.bytes());
        if refused.is_err() && store.is_worth_compacting() {
            store.compact()?;
            return self.reservation.try_resize(store.bytes());
        }
        refused
    }

    async fn spill(
        &self,
        store: RowStore,
        spilled: &mut Spilled,
        manager: &SpillManager,
    ) -> Result<()> {
        self.duplicates_dropped.add(store.dropped());
        spilled.write(store, self.batch_size, manager).await?;
        self.reservation.free();
        Ok(())
    }

    /// Emits the rows alive in batches of the session's size, in the order they were seen.
    async fn emit(&self, store: RowStore, output: &mut Output) -> Result<()> {
        self.duplicates_dropped.add(store.dropped());
        let mut coalescer = BatchCoalescer::new(Arc::clone(&self.schema), self.batch_size);
        let batches = store.into_batches();
        // Only the batches are left of what was reserved.
        for stored in batches {
            let timer = self.metrics.elapsed_compute().timer();
            let rows = stored.batch.num_rows();
            let mut whole = None;
            if stored.alive.iter().all(|alive| *alive)
                && (self.batch_size / 2..=self.batch_size).contains(&rows)
            {
                coalescer.finish_buffered_batch()?;
                whole = Some(stored.batch);
            } else {
                coalescer
                    .push_batch_with_filter(stored.batch, &BooleanArray::from(stored.alive))?;
            }
            timer.done();
            while let Some(batch) = coalescer.next_completed_batch() {
                output.emit(batch.record_output(&self.metrics)).await;
            }
            if let Some(batch) = whole {
                output.emit(batch.record_output(&self.metrics)).await;
            }
            tokio::task::consume_budget().await;
        }
        coalescer.finish_buffered_batch()?;
        while let Some(batch) = coalescer.next_completed_batch() {
            output.emit(batch.record_output(&self.metrics)).await;
        }
        Ok(())
    }
}

/// Input batches, of which small ones are joined: a shuffle of many producers yields crumbs.
struct FullBatches {
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    coalescer: BatchCoalescer,
    ended: bool,
}

impl FullBatches {
    fn new(task: &TopKTask, input: SendableRecordBatchStream) -> Self {
        let coalescer = BatchCoalescer::new(Arc::clone(&task.schema), task.batch_size)
            .with_biggest_coalesce_batch_size(Some(task.batch_size / 2));
        Self {
            input,
            schema: Arc::clone(&task.schema),
            coalescer,
            ended: false,
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            tokio::task::consume_budget().await;
            match self.input.next().await {
                Some(batch) => self.coalescer.push_batch(self.declared(batch?)?)?,
                None => {
                    self.ended = true;
                    self.coalescer.finish_buffered_batch()?;
                }
            }
        }
    }

    /// The batch with the operator's schema: branches of a union may differ in nullability.
    fn declared(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if Arc::ptr_eq(batch.schema_ref(), &self.schema) || batch.schema_ref() == &self.schema {
            return Ok(batch);
        }
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            batch.columns().to_vec(),
        )?)
    }
}
