//! The rows an operator has in memory, and which of them are first of their key so far.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::kernels::cmp::not_distinct;
use datafusion::arrow::compute::{BatchCoalescer, interleave, take};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::common::{Result, internal_err};
use hashbrown::hash_table::{Entry, HashTable};

use super::key_hash::KeyHasher;
use super::order_key::{OrderKeyEncoder, OrderKeys};
use super::spec::Spec;

/// A row among the stored batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RowId {
    batch: u32,
    row: u32,
}

/// A batch whose rows are candidates; `alive[row]` until a better row of the same key takes its place.
#[derive(Debug)]
pub(super) struct StoredBatch {
    pub(super) batch: RecordBatch,
    pub(super) alive: Vec<bool>,
    order_keys: OrderKeys,
}

/// The rows kept per group, best first.
#[derive(Debug)]
enum Winners {
    One(Vec<RowId>),
    Many { limit: usize, rows: Vec<Vec<RowId>> },
}

/// A bucket of the hash table: groups of equal hash but another key are in `collided`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    hash: u64,
    group: u32,
}

/// Input rows grouped by key, of which the first `limit` by order are alive.
///
/// Keys are compared only where hashes are equal, a batch at a time, against a row of the group that is stored anyway:
/// no copy of the keys is made.
#[derive(Debug)]
pub(super) struct RowStore {
    schema: SchemaRef,
    keys: Vec<usize>,
    batch_size: usize,
    hash_mask: u64,
    hasher: KeyHasher,
    encoder: OrderKeyEncoder,
    key_rows: RowConverter,
    batches: Vec<StoredBatch>,
    counter: RecordBatchMemoryCounter,
    order_key_bytes: usize,
    stored: usize,
    dead: usize,
    seen: usize,
    dropped: usize,
    buckets: HashTable<Bucket>,
    null_group: Option<u32>,
    collided: HashMap<Box<[u8]>, u32>,
    collided_bytes: usize,
    winners: Winners,
    hashes: Vec<u64>,
}

impl RowStore {
    /// An empty store. `level` counts the spills that these rows went through; `hash_mask` weakens the hash in tests.
    pub(super) fn try_new(
        schema: SchemaRef,
        spec: &Spec,
        batch_size: usize,
        hash_mask: u64,
        level: u32,
    ) -> Result<Self> {
        let types: Vec<DataType> = spec
            .keys
            .iter()
            .map(|k| schema.field(*k).data_type().clone())
            .collect();
        Ok(Self {
            keys: spec.keys.clone(),
            batch_size: batch_size.max(1),
            hash_mask,
            hasher: KeyHasher::new(&types, level),
            encoder: OrderKeyEncoder::try_new(&schema, &spec.order_by)?,
            key_rows: RowConverter::new(types.into_iter().map(SortField::new).collect())?,
            schema,
            batches: Vec::new(),
            counter: RecordBatchMemoryCounter::new(),
            order_key_bytes: 0,
            stored: 0,
            dead: 0,
            seen: 0,
            dropped: 0,
            buckets: HashTable::new(),
            null_group: None,
            collided: HashMap::new(),
            collided_bytes: 0,
            winners: match spec.limit {
                1 => Winners::One(Vec::new()),
                limit => Winners::Many {
                    limit,
                    rows: Vec::new(),
                },
            },
            hashes: Vec::new(),
        })
    }

    /// Input rows so far, dropped ones included.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// Rows that lost to others of their key so far.
    pub(super) fn dropped(&self) -> usize {
        self.dropped
    }

    /// Bytes in memory. Buffers that several batches share count once.
    pub(super) fn bytes(&self) -> usize {
        let winners = match &self.winners {
            Winners::One(rows) => rows.capacity() * size_of::<RowId>(),
            Winners::Many { rows, .. } => {
                rows.capacity() * size_of::<Vec<RowId>>()
                    + (rows.len() * 4 + self.stored) * size_of::<RowId>()
            }
        };
        self.counter.memory_usage()
            + self.order_key_bytes
            + self.stored
            + winners
            + self.buckets.allocation_size()
            + self.collided_bytes
            + self.hashes.capacity() * size_of::<u64>()
    }

    /// Takes in a batch: every row either becomes one of its key's first, or is marked dead.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let id = self.batches.len() as u32;
        self.seen += rows;
        self.store(compact_views(batch)?)?;

        let mut hashes = std::mem::take(&mut self.hashes);
        let keys = self.key_columns(id);
        self.hasher.hash(&keys, rows, &mut hashes)?;
        if self.hash_mask != u64::MAX {
            hashes.iter_mut().for_each(|hash| *hash &= self.hash_mask);
        }
        let mut rivals = self.find_groups(id, &keys, &hashes);
        if !self.proves_equality() && !rivals.is_empty() {
            rivals = self.same_keys(id, &keys, rivals)?;
        }
        for (group, row) in rivals {
            self.admit(group, RowId { batch: id, row });
        }
        self.hashes = hashes;

        if self.dead * 2 > self.stored && self.stored > 8 * self.batch_size {
            self.compact()?;
        }
        Ok(())
    }

    /// Whether dropping dead rows would free a good part of the memory.
    pub(super) fn is_worth_compacting(&self) -> bool {
        self.dead * 8 > self.stored
    }

    /// Drops dead rows and joins what is left to full batches, in the same order.
    pub(super) fn compact(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.batches);
        self.counter = RecordBatchMemoryCounter::new();
        (self.order_key_bytes, self.stored, self.dead) = (0, 0, 0);

        let mut moved: Vec<Vec<usize>> = Vec::with_capacity(batches.len());
        let mut next = 0;
        let mut coalescer = BatchCoalescer::new(Arc::clone(&self.schema), self.batch_size);
        for StoredBatch {
            batch,
            alive,
            order_keys,
        } in batches
        {
            drop(order_keys);
            let position = |alive: &bool| {
                let at = next;
                next += usize::from(*alive);
                at
            };
            moved.push(alive.iter().map(position).collect());
            coalescer.push_batch_with_filter(batch, &BooleanArray::from(alive))?;
            while let Some(full) = coalescer.next_completed_batch() {
                self.store(full)?;
            }
        }
        coalescer.finish_buffered_batch()?;
        while let Some(rest) = coalescer.next_completed_batch() {
            self.store(rest)?;
        }

        // Where a row is now follows from its place among the rows alive, as all batches but the last are full.
        let batch_size = self.batch_size;
        if self
            .batches
            .iter()
            .rev()
            .skip(1)
            .any(|stored| stored.alive.len() != batch_size)
        {
            return internal_err!("a coalesced batch does not have {batch_size} rows");
        }
        let relocate = |id: &mut RowId| {
            let at = moved[id.batch as usize][id.row as usize];
            *id = RowId {
                batch: (at / batch_size) as u32,
                row: (at % batch_size) as u32,
            };
        };
        match &mut self.winners {
            Winners::One(rows) => rows.iter_mut().for_each(relocate),
            Winners::Many { rows, .. } => rows.iter_mut().flatten().for_each(relocate),
        }
        Ok(())
    }

    /// Gives up the groups and leaves the batches with what is alive in them.
    pub(super) fn into_batches(self) -> Vec<StoredBatch> {
        self.batches
    }

    /// The hash of every row of a stored batch, unweakened.
    pub(super) fn hash(&self, batch: &RecordBatch, hashes: &mut Vec<u64>) -> Result<()> {
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|k| ArrayRef::clone(batch.column(*k)))
            .collect();
        self.hasher.hash(&keys, batch.num_rows(), hashes)
    }

    pub(super) fn batches(&self) -> &[StoredBatch] {
        &self.batches
    }

    /// Frees what only finding groups needs; no row can be pushed any more.
    pub(super) fn forget_groups(&mut self) {
        self.buckets = HashTable::new();
        self.collided = HashMap::new();
        self.winners = Winners::One(Vec::new());
        self.collided_bytes = 0;
    }

    fn store(&mut self, batch: RecordBatch) -> Result<()> {
        let order_keys = self.encoder.encode(batch.columns())?;
        self.counter.count_batch(&batch);
        self.order_key_bytes += order_keys.bytes();
        self.stored += batch.num_rows();
        self.batches.push(StoredBatch {
            alive: vec![true; batch.num_rows()],
            batch,
            order_keys,
        });
        Ok(())
    }

    fn key_columns(&self, batch: u32) -> Vec<ArrayRef> {
        let batch = &self.batches[batch as usize].batch;
        self.keys
            .iter()
            .map(|k| ArrayRef::clone(batch.column(*k)))
            .collect()
    }

    fn proves_equality(&self) -> bool {
        self.hasher.is_one_to_one() && self.hash_mask == u64::MAX
    }

    /// Opens a group for each hash not seen before; returns the other rows with the group that has their hash.
    fn find_groups(&mut self, batch: u32, keys: &[ArrayRef], hashes: &[u64]) -> Vec<(u32, u32)> {
        let nulls = keys[0]
            .nulls()
            .filter(|nulls| self.proves_equality() && nulls.null_count() > 0);
        let mut rivals = Vec::new();
        for (row, &hash) in hashes.iter().enumerate() {
            let row = row as u32;
            let id = RowId { batch, row };
            if nulls.is_some_and(|nulls| nulls.is_null(row as usize)) {
                match self.null_group {
                    Some(group) => rivals.push((group, row)),
                    None => self.null_group = Some(open(&mut self.winners, id)),
                }
                continue;
            }
            match self
                .buckets
                .entry(hash, |bucket| bucket.hash == hash, |bucket| bucket.hash)
            {
                Entry::Occupied(bucket) => rivals.push((bucket.get().group, row)),
                Entry::Vacant(free) => {
                    let group = open(&mut self.winners, id);
                    free.insert(Bucket { hash, group });
                }
            }
        }
        rivals
    }

    /// Compares the keys of rows with equal hashes. A row of another key gets the group of its own.
    fn same_keys(
        &mut self,
        batch: u32,
        keys: &[ArrayRef],
        rivals: Vec<(u32, u32)>,
    ) -> Result<Vec<(u32, u32)>> {
        let of_group: Vec<(usize, usize)> = rivals
            .iter()
            .map(|(group, _)| self.member(*group))
            .map(|id| (id.batch as usize, id.row as usize))
            .collect();
        let rows = UInt32Array::from_iter_values(rivals.iter().map(|(_, row)| *row));
        let mut equal = vec![true; rivals.len()];
        let mut incoming = Vec::with_capacity(keys.len());
        for (column, key) in self.keys.iter().zip(keys) {
            let key = take(key, &rows, None)?;
            let stored: Vec<&dyn Array> = self
                .batches
                .iter()
                .map(|stored| stored.batch.column(*column).as_ref())
                .collect();
            let same = not_distinct(&interleave(&stored, &of_group)?, &key)?;
            if same.true_count() < same.len() {
                equal
                    .iter_mut()
                    .zip(same.values())
                    .for_each(|(equal, same)| *equal &= same);
            }
            incoming.push(key);
        }
        if equal.iter().all(|equal| *equal) {
            return Ok(rivals);
        }
        let key_rows = self.key_rows.convert_columns(&incoming)?;
        let mut same = Vec::with_capacity(rivals.len());
        for (i, (group, row)) in rivals.into_iter().enumerate() {
            if equal[i] {
                same.push((group, row));
                continue;
            }
            let key = key_rows.row(i);
            if let Some(group) = self.collided.get(key.as_ref()) {
                same.push((*group, row));
            } else {
                let group = open(&mut self.winners, RowId { batch, row });
                self.collided_bytes += key.as_ref().len() + 2 * size_of::<(Box<[u8]>, u32)>();
                self.collided.insert(key.as_ref().into(), group);
            }
        }
        Ok(same)
    }

    /// Any row of a group, to compare keys with.
    fn member(&self, group: u32) -> RowId {
        match &self.winners {
            Winners::One(rows) => rows[group as usize],
            Winners::Many { rows, .. } => rows[group as usize][0],
        }
    }

    /// Lets a row compete for a place in its group. At equal order keys the row seen first stays.
    fn admit(&mut self, group: u32, id: RowId) {
        let before = |a: RowId, b: RowId| {
            self.batches[a.batch as usize].order_keys.before(
                a.row,
                &self.batches[b.batch as usize].order_keys,
                b.row,
            )
        };
        let loser = match &mut self.winners {
            Winners::One(rows) => {
                let best = &mut rows[group as usize];
                if before(id, *best) {
                    Some(std::mem::replace(best, id))
                } else {
                    Some(id)
                }
            }
            Winners::Many { limit, rows } => {
                let rows = &mut rows[group as usize];
                let at = rows.partition_point(|stored| !before(id, *stored));
                rows.insert(at, id);
                if rows.len() > *limit {
                    rows.pop()
                } else {
                    None
                }
            }
        };
        if let Some(loser) = loser {
            self.batches[loser.batch as usize].alive[loser.row as usize] = false;
            self.dead += 1;
            self.dropped += 1;
        }
    }
}

/// A new group with one row.
fn open(winners: &mut Winners, first: RowId) -> u32 {
    match winners {
        Winners::One(rows) => {
            rows.push(first);
            (rows.len() - 1) as u32
        }
        Winners::Many { rows, .. } => {
            rows.push(vec![first]);
            (rows.len() - 1) as u32
        }
    }
}

/// Copies the strings of view columns that use less than half of the buffers they keep alive.
fn compact_views(batch: RecordBatch) -> Result<RecordBatch> {
    /// Below this the copy costs more than it frees.
    const SLACK: usize = 64 * 1024;
    let is_loose = |buffers: usize, used: usize| buffers > 2 * used + SLACK;
    let mut columns = batch.columns().to_vec();
    let mut copied = false;
    for column in &mut columns {
        let compact: Option<ArrayRef> = match column.data_type() {
            DataType::Utf8View => {
                let views = column.as_string_view();
                let buffers = views
                    .data_buffers()
                    .iter()
                    .map(|buffer| buffer.capacity())
                    .sum();
                is_loose(buffers, views.total_buffer_bytes_used())
                    .then(|| Arc::new(views.gc()) as ArrayRef)
            }
            DataType::BinaryView => {
                let views = column.as_binary_view();
                let buffers = views
                    .data_buffers()
                    .iter()
                    .map(|buffer| buffer.capacity())
                    .sum();
                is_loose(buffers, views.total_buffer_bytes_used())
                    .then(|| Arc::new(views.gc()) as ArrayRef)
            }
            _ => None,
        };
        if let Some(compact) = compact {
            *column = compact;
            copied = true;
        }
    }
    if copied {
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    } else {
        Ok(batch)
    }
}
