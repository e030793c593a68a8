//! The files of one partition, one after the other, as batches.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore};

use super::{Decoder, TextScan, batch, rules};

/// Bytes that are decoded before a batch may be handed on.
const PIECE: usize = 128 * 1024;

/// The rows of a partition's files.
pub(super) fn read(
    config: &FileScanConfig,
    read: &Arc<TextScan>,
    schema: SchemaRef,
    partition: usize,
    context: &TaskContext,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<SendableRecordBatchStream> {
    let group = config.file_groups.get(partition).ok_or_else(|| {
        DataFusionError::Internal(format!("a text scan has no partition {partition}"))
    })?;
    let files: Vec<PartitionedFile> = group.files().to_vec();
    let store = context
        .runtime_env()
        .object_store(&config.object_store_url)?;
    let of_files = Arc::new(OfFiles {
        read: Arc::clone(read),
        schema: Arc::clone(&schema),
        store,
        batch_size: context.session_config().batch_size().max(1),
    });
    let baseline = BaselineMetrics::new(metrics, partition);
    let bytes = MetricBuilder::new(metrics).counter("bytes_scanned", partition);
    let size = |file: &PartitionedFile| match &file.range {
        Some(range) => (range.end - range.start).max(0) as usize,
        None => file.object_meta.size as usize,
    };
    bytes.add(files.iter().map(size).sum());
    let limit = config.limit;
    let batches = stream::iter(files)
        .then(move |file| {
            let of_files = Arc::clone(&of_files);
            async move { of_files.open(file).await }
        })
        .try_flatten()
        .scan(limit, |left, item| {
            let item = match (item, left.as_mut()) {
                (Ok(_), Some(0)) => None,
                (Ok(batch), Some(left)) => {
                    let batch = batch.slice(0, batch.num_rows().min(*left));
                    *left -= batch.num_rows();
                    Some(Ok(batch))
                }
                (item, _) => Some(item),
            };
            futures::future::ready(item)
        })
        .inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

struct OfFiles {
    read: Arc<TextScan>,
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    batch_size: usize,
}

/// A file that is being read.
struct Open {
    bytes: BoxStream<'static, Result<Bytes>>,
    decoder: Decoder,
    lines: Lines,
    piece: Bytes,
    ended: bool,
    whole: bool,
    file: PartitionedFile,
}

impl OfFiles {
    async fn open(
        self: Arc<Self>,
        file: PartitionedFile,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let size = file.object_meta.size;
        let range = match &file.range {
            Some(range) => range.start.max(0) as u64..(range.end.max(0) as u64).min(size),
            None => 0..size,
        };
        let whole = range.end >= size;
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let is_whole = range.start == 0 && whole;
        if !self.read.splits() && !is_whole {
            return Err(DataFusionError::Internal(format!(
                "{} has to be read from its start, and was cut into parts",
                file.object_meta.location
            )));
        }
        // A line that begins where the part begins is known by the line feed before it.
        let from = range.start.saturating_sub(1);
        let options = GetOptions {
            range: (from > 0 || !whole).then_some(GetRange::Bounded(from..size)),
            ..GetOptions::default()
        };
        let got = self
            .store
            .get_opts(&file.object_meta.location, options)
            .await
            .map_err(store_error)?;
        let bytes = got.into_stream().map_err(store_error).boxed();
        let bytes = self.read.compression.convert_stream(bytes)?;
        let open = Open {
            decoder: Decoder::new(&self.read.format, &rules(&self.read), range.start == 0)?,
            lines: Lines::new(range, size, from),
            bytes,
            piece: Bytes::new(),
            ended: false,
            whole,
            file,
        };
        let batches = stream::try_unfold(open, move |mut open| {
            let of_files = Arc::clone(&self);
            async move {
                let batch = of_files.next(&mut open).await?;
                Ok(batch.map(|batch| (batch, open)))
            }
        });
        Ok(batches.boxed())
    }

    async fn next(&self, open: &mut Open) -> Result<Option<RecordBatch>> {
        let bad = |bad: super::BadRow, file: &PartitionedFile| {
            let text = format!("{}, {bad}", file.object_meta.location);
            DataFusionError::Execution(text)
        };
        while !open.ended && open.decoder.rows() < self.batch_size {
            if open.piece.is_empty() {
                match open.bytes.try_next().await? {
                    Some(bytes) => {
                        let part = open.lines.part(&bytes);
                        open.piece = bytes.slice(part);
                    }
                    None => open.lines.past = true,
                }
            }
            let piece = open.piece.split_to(open.piece.len().min(PIECE));
            open.decoder.feed(&piece).map_err(|b| bad(b, &open.file))?;
            if open.piece.is_empty() && open.lines.past {
                open.ended = true;
                open.decoder
                    .end(open.whole)
                    .map_err(|b| bad(b, &open.file))?;
            }
        }
        let rows = open.decoder.rows();
        if rows == 0 {
            return Ok(None);
        }
        let arrays = open.decoder.take()?;
        let path = &open.file.partition_values;
        batch(&self.read, &self.schema, arrays, rows, path).map(Some)
    }
}

/// A store's failure, as the rules for running tasks again know it.
fn store_error(error: object_store::Error) -> DataFusionError {
    DataFusionError::ObjectStore(Box::new(error))
}

/// Which of the bytes belong to the lines that begin within a range.
struct Lines {
    range: Range<u64>,
    size: u64,
    /// Of the next byte in the file.
    at: u64,
    /// The first line of the range has begun.
    begun: bool,
    /// All lines of the range have been seen.
    past: bool,
}

impl Lines {
    fn new(range: Range<u64>, size: u64, from: u64) -> Self {
        Self {
            begun: range.start == 0,
            range,
            size,
            at: from,
            past: false,
        }
    }

    fn part(&mut self, bytes: &[u8]) -> Range<usize> {
        if self.past {
            return 0..0;
        }
        let at = self.at;
        self.at += bytes.len() as u64;
        let line_feed = |from: usize| {
            bytes[from..]
                .iter()
                .position(|b| *b == b'\n')
                .map(|i| from + i)
        };
        let mut begin = 0;
        if !self.begun {
            match line_feed(0) {
                None => return 0..0,
                Some(end) => {
                    begin = end + 1;
                    self.begun = true;
                    if at + begin as u64 >= self.range.end {
                        self.past = true;
                        return 0..0;
                    }
                }
            }
        }
        if self.range.end >= self.size {
            return begin..bytes.len();
        }
        // The last line ends with the first line feed at or behind the last byte of the range.
        let last = self.range.end - 1;
        let search = (last.saturating_sub(at) as usize).max(begin);
        if search >= bytes.len() {
            return begin..bytes.len();
        }
        match line_feed(search) {
            None => begin..bytes.len(),
            Some(end) => {
                self.past = true;
                begin..end + 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line is read by exactly one part, wherever the parts are cut and however the bytes come.
    #[test]
    fn parts_share_the_lines_of_a_file() {
        let text = b"a\nbb\n\nccc\ndddddd\ne";
        let size = text.len() as u64;
        for first in 0..=size {
            for second in first..=size {
                for chunk in 1..=text.len() {
                    let mut lines = vec![];
                    for range in [0..first, first..second, second..size] {
                        if range.is_empty() {
                            continue;
                        }
                        let from = range.start.saturating_sub(1);
                        let mut part = Lines::new(range, size, from);
                        for bytes in text[from as usize..].chunks(chunk) {
                            lines.extend_from_slice(&bytes[part.part(bytes)]);
                        }
                    }
                    assert_eq!(lines, text, "{first} {second} {chunk}");
                }
            }
        }
    }
}
