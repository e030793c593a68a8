//! Streams batches into Parquet files: one open file per partition value, a new one at the target size.
//!
//! ```text
//!           ┌ its partition has an open file, or may open one ─▶ the file ─▶ finished at the target size
//!   rows ───┤
//!           └ as many others are open as may be ─▶ held back ─▶ beyond 64 MiB the largest becomes a file
//! ```
//!
//! So the number of files follows the data, not the batches, when rows come in no order.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{
    CastOptions, cast_with_options, concat_batches, take_arrays, take_record_batch,
};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use iceberg::spec::{Struct, Transform};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use retail_storage::{ErrorClass, classify, innermost, locate};
use uuid::Uuid;

use super::metrics::{NanCounts, data_file};
use super::result::WrittenFile;
use super::target::WriteSpec;
use crate::table::partition;
use crate::table::schema::arrow_schema;

/// Files open at once in a task; rows of further partitions are held back.
const MAX_OPEN_FILES: usize = 64;
/// Bytes held back before the largest partition of them becomes a file.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
/// Pieces of batches held back before they are made one.
const MAX_HELD_PIECES: usize = 64;
/// Row groups smaller than this are not ended early: it would free too little memory.
const MIN_FLUSH_BYTES: usize = 1024 * 1024;
/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 1024 * 1024;
/// Bytes of a dictionary page; small ones keep high-cardinality columns from building useless dictionaries.
const DICTIONARY_PAGE_BYTES: usize = 128 * 1024;
/// Bytes of an upload part.
const PART_BYTES: usize = 10 * 1024 * 1024;

/// Writes one task's rows of one table.
pub(super) struct TableWriter {
    spec: Arc<WriteSpec>,
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    /// Converts partition values to keys; none for a table without partitions.
    keys: Option<RowConverter>,
    open: HashMap<Option<OwnedRow>, OpenFile>,
    held: HashMap<OwnedRow, Held>,
    held_bytes: usize,
    memory: MemoryReservation,
    done: Vec<WrittenFile>,
}

/// Rows of a partition that has no open file.
struct Held {
    partition: Struct,
    whole: Vec<RecordBatch>,
    pieces: Vec<RecordBatch>,
    bytes: usize,
}

struct OpenFile {
    uri: String,
    partition: Struct,
    nans: NanCounts,
    rows: u64,
    writer: AsyncArrowWriter<BufWriter>,
}

impl OpenFile {
    fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }
}

impl TableWriter {
    pub(super) fn new(
        spec: Arc<WriteSpec>,
        partition: usize,
        context: &TaskContext,
    ) -> Result<Self> {
        let (url, _) = locate(&spec.data_location)?;
        let store = context.runtime_env().object_store(&url)?;
        let schema = arrow_schema(&spec.schema)?;
        let memory = MemoryConsumer::new(format!("TableWriteExec[{partition}]"))
            .register(context.memory_pool());
        Ok(Self {
            spec,
            schema,
            store,
            keys: None,
            open: HashMap::new(),
            held: HashMap::new(),
            held_bytes: 0,
            memory,
            done: vec![],
        })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.align(batch)?;
        if self.spec.partition.is_unpartitioned() {
            self.append(None, Struct::empty(), &batch).await?;
            return self.account().await;
        }
        for (key, partition, rows) in self.split(&batch)? {
            let part = match rows {
                Some(rows) => take_record_batch(&batch, &rows)?,
                None => batch.clone(),
            };
            if self.open.len() < MAX_OPEN_FILES || self.open.contains_key(&Some(key.clone())) {
                self.append(Some(key), partition, &part).await?;
            } else {
                self.hold(key, partition, part)?;
            }
        }
        while self.held_bytes > MAX_HELD_BYTES && self.release_largest().await? {}
        self.account().await
    }

    /// The batch in the table's schema. The plan's columns are the table's by position and, but for their metadata of nested
    /// fields, by type.
    fn align(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(
                |(column, field)| match column.data_type() == field.data_type() {
                    true => Ok(Arc::clone(column)),
                    false => cast_with_options(column, field.data_type(), &options),
                },
            );
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns.collect::<Result<Vec<_>, _>>()?,
        )?)
    }

    fn hold(&mut self, key: OwnedRow, partition: Struct, rows: RecordBatch) -> Result<()> {
        let held = self.held.entry(key);
        let held = held.or_insert_with(|| Held {
            partition,
            whole: vec![],
            pieces: vec![],
            bytes: 0,
        });
        let mut before = 0;
        let mut after = rows.get_array_memory_size();
        held.pieces.push(rows);
        if held.pieces.len() >= MAX_HELD_PIECES {
            let pieces = std::mem::take(&mut held.pieces);
            let sizes = pieces.iter().map(RecordBatch::get_array_memory_size);
            before = sizes.sum::<usize>().saturating_sub(after);
            let whole = concat_batches(&self.schema, &pieces)?;
            after = whole.get_array_memory_size();
            held.whole.push(whole);
        }
        held.bytes = (held.bytes + after).saturating_sub(before);
        self.held_bytes = (self.held_bytes + after).saturating_sub(before);
        Ok(())
    }

    /// Makes a file of the rows of the partition that holds back most; false if none does.
    async fn release_largest(&mut self) -> Result<bool> {
        let largest = self
            .held
            .iter()
            .max_by_key(|(_, held)| held.bytes)
            .map(|(key, _)| key.clone());
        let Some(held) = largest.and_then(|key| self.held.remove(&key)) else {
            return Ok(false);
        };
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        self.write_held(held).await?;
        Ok(true)
    }

    async fn write_held(&mut self, held: Held) -> Result<()> {
        let mut file = self.create(held.partition)?;
        for rows in held.whole.iter().chain(&held.pieces) {
            file.nans.count(rows);
            file.writer
                .write(rows)
                .await
                .map_err(|e| failed(&self.spec, &e))?;
        }
        self.close(file).await
    }

    /// Reports what is buffered to the memory pool. When it refuses, writes held rows and ends row groups; what is left
    /// then is too little to fail for.
    async fn account(&mut self) -> Result<()> {
        loop {
            let open: usize = self
                .open
                .values()
                .map(|file| file.writer.memory_size())
                .sum();
            if self.memory.try_resize(open + self.held_bytes).is_ok() {
                return Ok(());
            }
            if self.held_bytes >= MIN_FLUSH_BYTES && self.release_largest().await? {
                continue;
            }
            let largest = self
                .open
                .values_mut()
                .max_by_key(|file| file.writer.memory_size());
            if let Some(file) = largest.filter(|file| file.writer.memory_size() >= MIN_FLUSH_BYTES)
            {
                let before = file.writer.memory_size();
                file.writer
                    .flush()
                    .await
                    .map_err(|e| failed(&self.spec, &e))?;
                if file.writer.memory_size() < before {
                    continue;
                }
            }
            self.memory.resize(open + self.held_bytes);
            return Ok(());
        }
    }

    /// The batch's partitions; rows are none where one partition has all of them.
    fn split(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<Vec<(OwnedRow, Struct, Option<UInt32Array>)>> {
        let (transforms, values) = self.partition_values(batch)?;
        if self.keys.is_none() {
            let fields = values
                .iter()
                .map(|v| SortField::new(v.data_type().clone()))
                .collect();
            self.keys = Some(RowConverter::new(fields)?);
        }
        let Some(converter) = &self.keys else {
            return Ok(vec![]);
        };
        let types = values
            .iter()
            .map(|v| Field::new("", v.data_type().clone(), true));
        let types = Arc::new(Schema::new(types.collect::<Vec<_>>()));
        let mut groups = new_group_values(types, &GroupOrdering::None)?;
        let mut group_of_row = vec![];
        groups.intern(&values, &mut group_of_row)?;
        let mut rows_of_group = vec![vec![]; groups.len()];
        for (row, group) in (0..).zip(group_of_row) {
            rows_of_group[group].push(row);
        }
        let single = rows_of_group.len() == 1;
        let firsts: UInt32Array = rows_of_group
            .iter()
            .map(|rows: &Vec<u32>| rows[0])
            .collect();
        let keys = converter.convert_columns(&take_arrays(&values, &firsts, None)?)?;
        rows_of_group
            .into_iter()
            .zip(&keys)
            .map(|(rows, key)| {
                let first = rows[0] as usize;
                let literals = transforms
                    .iter()
                    .zip(&values)
                    .map(|(t, v)| partition::literal(*t, v, first));
                let partition = Struct::from_iter(literals.collect::<Result<Vec<_>>>()?);
                let rows = (!single).then(|| UInt32Array::from(rows));
                Ok((key.owned(), partition, rows))
            })
            .collect()
    }

    fn partition_values(&self, batch: &RecordBatch) -> Result<(Vec<Transform>, Vec<ArrayRef>)> {
        let mut transforms = vec![];
        let mut values = vec![];
        for field in self.spec.partition.fields() {
            let position = self
                .spec
                .schema
                .as_struct()
                .fields()
                .iter()
                .position(|f| f.id == field.source_id);
            let position = position.ok_or_else(|| {
                DataFusionError::Internal(format!("partition field {} has no column", field.name))
            })?;
            transforms.push(field.transform);
            values.push(partition::values(field.transform, batch.column(position))?);
        }
        Ok((transforms, values))
    }

    async fn append(
        &mut self,
        key: Option<OwnedRow>,
        partition: Struct,
        batch: &RecordBatch,
    ) -> Result<()> {
        if !self.open.contains_key(&key) {
            let file = self.create(partition)?;
            self.open.insert(key.clone(), file);
        }
        let Some(file) = self.open.get_mut(&key) else {
            return Ok(());
        };
        file.nans.count(batch);
        file.rows += batch.num_rows() as u64;
        let written = file.writer.write(batch).await;
        let full = file.bytes() as u64 >= self.spec.target_file_bytes;
        written.map_err(|e| failed(&self.spec, &e))?;
        if full && let Some(file) = self.open.remove(&key) {
            self.close(file).await?;
        }
        Ok(())
    }

    fn create(&self, partition: Struct) -> Result<OpenFile> {
        let mut folder = self.spec.data_location.clone();
        if !self.spec.partition.is_unpartitioned() {
            let path = partition::path(&self.spec.partition, &self.spec.schema, &partition);
            folder = format!("{folder}/{path}");
        }
        let uri = format!(
            "{folder}/{}-{}.parquet",
            self.spec.write_id,
            Uuid::new_v4().simple()
        );
        let (_, path) = locate(&uri)?;
        let writer = self.parquet(&path)?;
        Ok(OpenFile {
            uri,
            partition,
            nans: NanCounts::new(&self.schema),
            rows: 0,
            writer,
        })
    }

    fn parquet(&self, path: &Path) -> Result<AsyncArrowWriter<BufWriter>> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(None)
            .set_dictionary_page_size_limit(DICTIONARY_PAGE_BYTES)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let upload = BufWriter::with_capacity(Arc::clone(&self.store), path.clone(), PART_BYTES);
        Ok(AsyncArrowWriter::try_new(
            upload,
            Arc::clone(&self.schema),
            Some(properties),
        )?)
    }

    async fn close(&mut self, file: OpenFile) -> Result<()> {
        let OpenFile {
            uri,
            partition,
            nans,
            writer,
            ..
        } = file;
        let mut writer = writer;
        let metadata = writer.finish().await.map_err(|e| failed(&self.spec, &e))?;
        let bytes = writer.bytes_written() as u64;
        let file = data_file(&self.spec, uri, bytes, &metadata, nans, partition)?;
        self.done.push(WrittenFile::new(&self.spec, file)?);
        Ok(())
    }

    /// Finishes all files. Without it none of the open ones ever becomes visible in the store.
    pub(super) async fn finish(mut self) -> Result<Vec<WrittenFile>> {
        let open = std::mem::take(&mut self.open);
        for file in open.into_values() {
            self.close(file).await?;
        }
        for held in std::mem::take(&mut self.held).into_values() {
            self.write_held(held).await?;
        }
        Ok(self.done)
    }
}

/// An error of writing a file; an `IoError`, for which the task is retried, only where it is transient.
fn failed(spec: &WriteSpec, error: &(dyn Error + 'static)) -> DataFusionError {
    let (table, folder) = (&spec.table, &spec.data_location);
    let cannot = format!("cannot write data file of {table} under {folder}");
    let root = || format!("{cannot}: {}", innermost(error));
    match classify(error) {
        ErrorClass::OutOfSpace => {
            DataFusionError::Execution(format!("{cannot}: no space left on device"))
        }
        ErrorClass::Transient => DataFusionError::IoError(io::Error::other(root())),
        ErrorClass::Permanent => DataFusionError::Execution(root()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(error: io::Error) -> DataFusionError {
        let schema = crate::table::schema::new_schema(
            &"marts.a".parse().unwrap(),
            &Arc::new(datafusion::arrow::datatypes::Schema::empty()),
        );
        let spec = WriteSpec {
            table: "marts.a".parse().unwrap(),
            data_location: "file:///w/a/data".to_owned(),
            schema: schema.unwrap().into(),
            partition: iceberg::spec::PartitionSpec::unpartition_spec().into(),
            target_file_bytes: 1,
            write_id: "w".to_owned(),
        };
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        };
        failed(&spec, &error)
    }

    #[test]
    fn a_full_disk_is_reported_plainly_and_not_retried() {
        let error = writing(io::Error::from_raw_os_error(28));
        assert!(matches!(error, DataFusionError::Execution(_)), "{error:?}");
        let text =
            "cannot write data file of marts.a under file:///w/a/data: no space left on device";
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn only_what_is_transient_is_retried() {
        let timeout = writing(io::Error::from(io::ErrorKind::TimedOut));
        assert!(matches!(timeout, DataFusionError::IoError(_)));
        let forbidden = writing(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(forbidden, DataFusionError::Execution(_)));
    }
}
