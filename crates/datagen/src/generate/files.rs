//! Writes the files of one delivery. A delivery appears in one step: it is written beside, then renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};

use retail_api::{Failure, FailureKind};

use super::Format;
use super::batches::SourceRow;

const BATCH_ROWS: usize = 32_768;
const ROW_GROUP_ROWS: usize = 250_000;

/// A folder that is written under a hidden name and shown when it is complete.
pub(crate) struct Delivery {
    hidden: PathBuf,
    shown: PathBuf,
}

impl Delivery {
    /// Starts the delivery of `day` in `out`; what an attempt before left behind is deleted.
    pub(crate) fn start(out: &Path, day: u32) -> Result<Self, Failure> {
        let delivery = Self {
            hidden: out.join(format!(".day={day}.writing")),
            shown: out.join(format!("day={day}")),
        };
        remove(&delivery.hidden)?;
        fs::create_dir_all(&delivery.hidden)
            .map_err(|error| cannot("create", &delivery.hidden, &error))?;
        Ok(delivery)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.hidden
    }

    /// Lets the delivery land, in place of the one that is there.
    pub(crate) fn land(self) -> Result<(), Failure> {
        remove(&self.shown)?;
        fs::rename(&self.hidden, &self.shown)
            .map_err(|error| cannot("rename", &self.hidden, &error))
    }
}

/// Writes a file so that it is either whole or not there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let hidden = path.with_extension("writing");
    fs::write(&hidden, bytes).map_err(|error| cannot("write", &hidden, &error))?;
    fs::rename(&hidden, path).map_err(|error| cannot("rename", &hidden, &error))
}

/// Removes a file or folder; it may be missing.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(cannot("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// The failure to do something with a file or folder.
pub(crate) fn cannot(
    what: &str,
    path: &Path,
    error: &(dyn std::error::Error + 'static),
) -> Failure {
    Failure::new(
        FailureKind::Storage,
        format!("cannot {what} {}", path.display()),
    )
    .cause(error.to_string())
    .caused_by(error)
}

/// One file of a delivery; rows are buffered and written in batches.
pub(crate) struct TableWriter<R> {
    path: PathBuf,
    schema: SchemaRef,
    rows: Vec<R>,
    written: u64,
    sink: Sink,
    of: PhantomData<R>,
}

enum Sink {
    Parquet(Box<ArrowWriter<BufWriter<File>>>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
}

impl<R: SourceRow> TableWriter<R> {
    /// Creates `table` in `folder`.
    pub(crate) fn create(folder: &Path, table: &str, format: Format) -> Result<Self, Failure> {
        let path = folder.join(format!("{table}.{}", format.extension()));
        let schema = R::schema(table);
        let file = File::create(&path).map_err(|error| cannot("create", &path, &error))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let sink = match format {
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .set_statistics_enabled(EnabledStatistics::Chunk)
                    .build();
                let writer =
                    ArrowWriter::try_new(file, SchemaRef::clone(&schema), Some(properties))
                        .map_err(|error| cannot("write", &path, &error))?;
                Sink::Parquet(Box::new(writer))
            }
            Format::Csv => {
                let moments = "%Y-%m-%dT%H:%M:%SZ".to_string();
                let csv = csv::WriterBuilder::new()
                    .with_header(true)
                    .with_timestamp_tz_format(moments);
                Sink::Csv(Box::new(csv.build(file)))
            }
        };
        Ok(Self {
            path,
            schema,
            rows: Vec::with_capacity(BATCH_ROWS + 64),
            written: 0,
            sink,
            of: PhantomData,
        })
    }

    /// Where the next rows are put; call [`Self::flush_full`] after.
    pub(crate) fn rows(&mut self) -> &mut Vec<R> {
        &mut self.rows
    }

    /// Writes the buffered rows if they are many.
    pub(crate) fn flush_full(&mut self) -> Result<(), Failure> {
        if self.rows.len() >= BATCH_ROWS {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let wrong = |error: &(dyn std::error::Error + 'static)| cannot("write", &self.path, error);
        let batch = R::batch(&self.schema, &self.rows).map_err(|error| wrong(&error))?;
        match &mut self.sink {
            Sink::Parquet(writer) => writer.write(&batch).map_err(|error| wrong(&error))?,
            Sink::Csv(writer) => writer.write(&batch).map_err(|error| wrong(&error))?,
        }
        self.written += self.rows.len() as u64;
        self.rows.clear();
        Ok(())
    }

    /// Writes what is left and closes the file: rows and bytes in all.
    pub(crate) fn finish(mut self) -> Result<(u64, u64), Failure> {
        // An empty file still needs its header.
        if !self.rows.is_empty() || self.written == 0 {
            self.flush()?;
        }
        let path = self.path;
        match self.sink {
            Sink::Parquet(writer) => {
                let file = writer
                    .into_inner()
                    .map_err(|error| cannot("write", &path, &error))?;
                file.into_inner()
                    .map_err(|error| cannot("write", &path, &error))?;
            }
            Sink::Csv(writer) => writer
                .into_inner()
                .flush()
                .map_err(|error| cannot("write", &path, &error))?,
        }
        let bytes = fs::metadata(&path)
            .map_err(|error| cannot("read", &path, &error))?
            .len();
        Ok((self.written, bytes))
    }
}
