//! One data file while it is written.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::AsyncArrowWriter;
use datafusion::parquet::arrow::async_writer::AsyncFileWriter;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesPtr,
};
use futures::future::BoxFuture;
use iceberg::spec::{DataFile, Struct};
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::fault::cannot_write;
use super::metrics::{Written, count_nans, data_file};
use super::target::Destination;
use crate::partition::partition_path;
use crate::stores::split;

const ROW_GROUP_ROWS: usize = 1_048_576;
/// A larger dictionary is not one: the column's values hardly repeat.
const DICTIONARY_BYTES: usize = 128 * 1024;
/// Bytes of a text that a row group's statistics keep; more than a bound of ours needs.
const STATISTICS_BYTES: usize = 256;

/// What every file of one task has in common.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) destination: Arc<Destination>,
    pub(super) columns: SchemaRef,
    store: Arc<dyn ObjectStore>,
    properties: WriterPropertiesPtr,
}

impl Files {
    pub(super) fn new(
        destination: Arc<Destination>,
        columns: SchemaRef,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Self, DataFusionError> {
        let compression = destination.compression.parse()?;
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(true)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(STATISTICS_BYTES))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        Ok(Self {
            destination,
            columns,
            store,
            properties: Arc::new(properties),
        })
    }

    /// Begins a file with a name that no other attempt of this task will ever use.
    pub(super) fn create(&self, partition: Struct) -> Result<OpenFile, DataFusionError> {
        let destination = &self.destination;
        let mut uri = destination.data_location.clone();
        if !destination.spec.is_unpartitioned() {
            uri.push('/');
            uri += &partition_path(&destination.spec, &destination.schema, &partition);
        }
        uri += &format!("/{}-{}.parquet", destination.write_id, Uuid::new_v4());
        let (_, key) = split(&uri).map_err(DataFusionError::from)?;
        let path = Path::parse(key.trim_matches('/'))
            .map_err(|e| DataFusionError::ObjectStore(Box::new(e.into())))?;
        let upload = Upload {
            writer: BufWriter::new(Arc::clone(&self.store), path),
        };
        let columns = Arc::clone(&self.columns);
        let properties = Some(self.properties.as_ref().clone());
        Ok(OpenFile {
            uri,
            partition,
            nans: HashMap::new(),
            parquet: AsyncArrowWriter::try_new(upload, columns, properties)?,
        })
    }

    pub(super) fn failed(&self, error: &ParquetError) -> DataFusionError {
        let destination = &self.destination;
        cannot_write(&destination.table, &destination.data_location, error)
    }
}

/// A file that nobody sees until it is finished.
///
/// A local file is written under a temporary name and renamed; an object of S3 exists when its upload completes.
/// Dropping it leaves nothing but, on S3, parts of an upload that the bucket's lifecycle rule removes.
pub(super) struct OpenFile {
    uri: String,
    pub(super) partition: Struct,
    nans: HashMap<i32, u64>,
    parquet: AsyncArrowWriter<Upload>,
}

impl OpenFile {
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> ParquetResult<()> {
        count_nans(batch.schema_ref().fields(), batch.columns(), &mut self.nans);
        self.parquet.write(batch).await
    }

    /// Bytes the file will have if it ends here.
    pub(super) fn bytes(&self) -> u64 {
        (self.parquet.bytes_written() + self.parquet.in_progress_size()) as u64
    }

    pub(super) fn memory(&self) -> usize {
        self.parquet.memory_size()
    }

    /// Ends the row group, which frees its memory.
    pub(super) async fn flush(&mut self) -> ParquetResult<()> {
        self.parquet.flush().await
    }

    /// Makes the file visible.
    pub(super) async fn finish(mut self, files: &Files) -> Result<DataFile, DataFusionError> {
        let footer = match self.parquet.finish().await {
            Ok(footer) => footer,
            Err(error) => return Err(files.failed(&error)),
        };
        let destination = &files.destination;
        let written = Written {
            uri: self.uri,
            bytes: self.parquet.bytes_written() as u64,
            partition: self.partition,
            spec_id: destination.spec.spec_id(),
            nans: self.nans,
        };
        data_file(written, &footer, &destination.schema)
            .map_err(|e| DataFusionError::External(Box::new(e)))
    }
}

/// Hands row groups over to the store without copying them.
struct Upload {
    writer: BufWriter,
}

impl AsyncFileWriter for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, ParquetResult<()>> {
        Box::pin(async move {
            let put = self.writer.put(bytes).await;
            put.map_err(|e| ParquetError::External(Box::new(e)))
        })
    }

    fn complete(&mut self) -> BoxFuture<'_, ParquetResult<()>> {
        Box::pin(async move {
            let shut = self.writer.shutdown().await;
            shut.map_err(|e| ParquetError::External(Box::new(e)))
        })
    }
}
