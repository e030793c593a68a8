//! The statistics of a Parquet footer, as far as they may be believed.
//!
//! DataFusion leaves out row groups by their bounds, and takes a missing count of nulls for none: a file whose writer
//! counts no nulls then has no row for `x IS NULL`. Old writers compared bytes and unsigned numbers as signed ones. Such
//! statistics are taken away before anybody looks at them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use retail_values::may_hide_rows;

/// The footer without statistics that may hide rows.
fn believable(footer: Arc<ParquetMetaData>) -> ParquetResult<Arc<ParquetMetaData>> {
    let groups = footer.row_groups();
    if !groups.iter().flat_map(|g| g.columns()).any(may_hide_rows) {
        return Ok(footer);
    }
    let groups = groups.iter().map(|group| {
        let columns = group.columns().iter().map(|chunk| {
            let hides = may_hide_rows(chunk);
            let chunk = chunk.clone().into_builder();
            match hides {
                // Its pages have the same writer.
                true => chunk
                    .clear_statistics()
                    .set_column_index_offset(None)
                    .set_column_index_length(None)
                    .build(),
                false => chunk.build(),
            }
        });
        let columns = columns.collect::<ParquetResult<Vec<_>>>()?;
        let group = group.clone().into_builder();
        group.set_column_metadata(columns).build()
    });
    let groups = groups.collect::<ParquetResult<Vec<_>>>()?;
    let footer = footer.as_ref().clone().into_builder();
    // The pages' bounds, which may have been read with the footer.
    let footer = footer.set_row_groups(groups).set_column_index(None);
    Ok(Arc::new(footer.build()))
}

/// Reads files as `inner` does, with believable footers.
#[derive(Debug)]
pub(super) struct BelievableFooters {
    pub(super) inner: Arc<dyn ParquetFileReaderFactory>,
}

impl ParquetFileReaderFactory for BelievableFooters {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let inner = self
            .inner
            .create_reader(partition, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader { inner }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move { believable(self.inner.get_metadata(options).await?) }.boxed()
    }
}
