//! Streams batches into Parquet files: one open file per partition value, a new one at the target size.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use iceberg::spec::{Struct, Transform};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use uuid::Uuid;

use super::metrics::{NanCounts, data_file};
use super::result::WrittenFile;
use super::target::WriteSpec;
use crate::partition;
use crate::schema::arrow_schema;
use crate::stores::locate;

/// Files open at once in a task; beyond it the largest is finished first.
const MAX_OPEN_FILES: usize = 64;
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
    done: Vec<WrittenFile>,
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
    pub(super) fn new(spec: Arc<WriteSpec>, context: &TaskContext) -> Result<Self> {
        let (url, _) = locate(&spec.data_location)?;
        let store = context.runtime_env().object_store(&url)?;
        let schema = arrow_schema(&spec.schema)?;
        Ok(Self { spec, schema, store, keys: None, open: HashMap::new(), done: vec![] })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        // The plan's columns are the table's by position; its field ids are not in the plan's schema.
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())?;
        if self.spec.partition.is_unpartitioned() {
            return self.append(None, Struct::empty(), &batch).await;
        }
        for (key, partition, rows) in self.split(&batch)? {
            let part = match rows {
                Some(rows) => take_record_batch(&batch, &rows)?,
                None => batch.clone(),
            };
            self.append(Some(key), partition, &part).await?;
        }
        Ok(())
    }

    /// The batch's partitions; rows are none where one partition has all of them.
    fn split(&mut self, batch: &RecordBatch) -> Result<Vec<(OwnedRow, Struct, Option<UInt32Array>)>> {
        let (transforms, values) = self.partition_values(batch)?;
        if self.keys.is_none() {
            let fields = values.iter().map(|v| SortField::new(v.data_type().clone())).collect();
            self.keys = Some(RowConverter::new(fields)?);
        }
        let Some(converter) = &self.keys else { return Ok(vec![]) };
        let keys = converter.convert_columns(&values)?;
        let mut groups: HashMap<_, Vec<u32>> = HashMap::new();
        let mut order = vec![];
        for (row, key) in keys.iter().enumerate() {
            groups
                .entry(key)
                .or_insert_with(|| {
                    order.push(key);
                    vec![]
                })
                .push(row as u32);
        }
        let single = groups.len() == 1;
        order
            .into_iter()
            .filter_map(|key| groups.remove(&key).map(|rows| (key, rows)))
            .map(|(key, rows)| {
                let first = rows[0] as usize;
                let literals = transforms.iter().zip(&values).map(|(t, v)| partition::literal(*t, v, first));
                let partition = Struct::from_iter(literals.collect::<Result<Vec<_>>>()?);
                Ok((key.owned(), partition, (!single).then(|| UInt32Array::from(rows))))
            })
            .collect()
    }

    fn partition_values(&self, batch: &RecordBatch) -> Result<(Vec<Transform>, Vec<ArrayRef>)> {
        let mut transforms = vec![];
        let mut values = vec![];
        for field in self.spec.partition.fields() {
            let position = self.spec.schema.as_struct().fields().iter().position(|f| f.id == field.source_id);
            let position = position.ok_or_else(|| {
                DataFusionError::Internal(format!("partition field {} has no column", field.name))
            })?;
            transforms.push(field.transform);
            values.push(partition::values(field.transform, batch.column(position))?);
        }
        Ok((transforms, values))
    }

    async fn append(&mut self, key: Option<OwnedRow>, partition: Struct, batch: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(&key) {
            if self.open.len() >= MAX_OPEN_FILES {
                let largest = self.open.iter().max_by_key(|(_, file)| file.bytes()).map(|(key, _)| key.clone());
                if let Some(file) = largest.and_then(|key| self.open.remove(&key)) {
                    self.close(file).await?;
                }
            }
            let file = self.create(partition)?;
            self.open.insert(key.clone(), file);
        }
        let Some(file) = self.open.get_mut(&key) else { return Ok(()) };
        file.nans.count(batch);
        file.rows += batch.num_rows() as u64;
        let written = file.writer.write(batch).await;
        let full = file.bytes() as u64 >= self.spec.target_file_bytes;
        written.map_err(|e| failed(&self.spec, e))?;
        if full && let Some(file) = self.open.remove(&key) {
            self.close(file).await?;
        }
        Ok(())
    }

    fn create(&self, partition: Struct) -> Result<OpenFile> {
        let mut folder = self.spec.data_location.clone();
        if !self.spec.partition.is_unpartitioned() {
            let path = self.spec.partition.partition_to_path(&partition, Arc::clone(&self.spec.schema));
            folder = format!("{folder}/{path}");
        }
        let uri = format!("{folder}/{}-{}.parquet", self.spec.write_id, Uuid::new_v4().simple());
        let (_, path) = locate(&uri)?;
        let writer = self.parquet(&path)?;
        Ok(OpenFile { uri, partition, nans: NanCounts::new(&self.schema), rows: 0, writer })
    }

    fn parquet(&self, path: &Path) -> Result<AsyncArrowWriter<BufWriter>> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(|e| failed(&self.spec, e))?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(None)
            .set_dictionary_page_size_limit(DICTIONARY_PAGE_BYTES)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let upload = BufWriter::with_capacity(Arc::clone(&self.store), path.clone(), PART_BYTES);
        AsyncArrowWriter::try_new(upload, Arc::clone(&self.schema), Some(properties)).map_err(|e| failed(&self.spec, e))
    }

    async fn close(&mut self, file: OpenFile) -> Result<()> {
        let OpenFile { uri, partition, nans, writer, .. } = file;
        let mut writer = writer;
        let metadata = writer.finish().await.map_err(|e| failed(&self.spec, e))?;
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
        Ok(self.done)
    }
}

/// A write's error as the scheduler should treat it: faults of the store that pass are IO errors, which run the
/// task again; a full disk is not one of them.
fn failed(spec: &WriteSpec, error: ParquetError) -> DataFusionError {
    let text = root_cause(&error);
    let what = format!("cannot write data file of {} under {}", spec.table, spec.data_location);
    let lower = text.to_lowercase();
    if lower.contains("no space left") || lower.contains("storagefull") || lower.contains("storage full") {
        return DataFusionError::Execution(format!("{what}: no space left on device"));
    }
    match error {
        ParquetError::External(_) => DataFusionError::IoError(std::io::Error::other(format!("{what}: {text}"))),
        _ => DataFusionError::Execution(format!("{what}: {text}")),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
