//! After a query failed on the content of a file: which file, which row, which cell.

use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::checked_cast::{CastColumn, checked};
use crate::text_scan::{BadRow, CellRule, Origin, TextScan, first_bad_row};
use bytes::Bytes;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfigBuilder;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{FutureExt, StreamExt};
use object_store::ObjectStoreExt;
use retail_api::cause::{ENGINE_FAILED, UNREADABLE_PARQUET, innermost};
use retail_storage::ObjectStores;
use tokio::sync::mpsc;

use retail_api::source::{Compression, FileFormat, Source, SourceLocation};
use retail_api::{Failure, FailureKind};

use super::listing::Listing;
use super::shape::{self, FileShape};
use super::{UNDECODABLE, file_shapes, listing, parquet_columns, text_scan};

/// Looks in the CSV and JSON files of `read` for what made a query fail with `error`, and names the first bad cell.
///
/// `None` if the error is of another kind or nothing is found: then the error itself is all there is to report.
pub async fn diagnose(read: &[&Source], stores: &ObjectStores, error: &str) -> Option<Failure> {
    let error = error.to_lowercase();
    let signs = [
        "pars",
        "cast",
        "csv",
        "json",
        "decod",
        "utf-8",
        "utf8",
        "fields",
        "unequal length",
        "expected ",
        "corrupt",
        "parquet",
        "eof",
        "decompress",
        "panicked",
        ENGINE_FAILED,
    ];
    // A cast of the model's own SQL states it; a cell that is wrong as well is not what made it fail.
    let of_sql = error.contains("cannot cast '");
    let of_files = error.contains("cannot be parsed") || error.contains("cell cannot be cast");
    if !signs.iter().any(|s| error.contains(s)) || (of_sql && !of_files) {
        return None;
    }
    for source in read {
        let found = match &source.location {
            SourceLocation::Files {
                format: FileFormat::Csv,
                ..
            } => scan(source, stores, FileFormat::Csv, &error).await,
            SourceLocation::Files {
                format: FileFormat::Json,
                ..
            } => scan(source, stores, FileFormat::Json, &error).await,
            SourceLocation::Files {
                format: FileFormat::Parquet,
                ..
            } => parquet(source, stores, &error).await,
            SourceLocation::Iceberg { .. } => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The first cell of the source's CSV files that is not of its column's type, or the first row of a wrong length.
pub async fn diagnose_csv(source: &Source, stores: &ObjectStores) -> Option<Failure> {
    scan(source, stores, FileFormat::Csv, "").await
}

/// The first line of the source's JSON files that is no object, or a value in it that is not of its column's type.
pub async fn diagnose_json(source: &Source, stores: &ObjectStores) -> Option<Failure> {
    scan(source, stores, FileFormat::Json, "").await
}

async fn scan(
    source: &Source,
    stores: &ObjectStores,
    wanted: FileFormat,
    error: &str,
) -> Option<Failure> {
    let SourceLocation::Files {
        pattern,
        format,
        options,
    } = &source.location
    else {
        return None;
    };
    if *format != wanted {
        return None;
    }
    let listing = match listing::list(source, pattern, stores).await {
        Ok(listing) => listing,
        Err(failure) => return Some(failure),
    };
    let shape = file_shapes(source, &listing, *format, options, None)
        .await
        .and_then(|files| shape::shape(source, *format, options, &listing.keys, files, false));
    let shape = match shape {
        Ok(shape) => shape,
        Err(failure) => return Some(failure),
    };
    let mut files: Vec<&FileShape> = shape.files.iter().collect();
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
    let named = |f: &&FileShape| error.contains(&f.meta.location.as_ref().to_lowercase());
    if files.iter().any(named) {
        files.retain(named);
    }
    for file in files {
        let read = text_scan(source, *format, options, &shape, file);
        let (sender, chunks) = mpsc::channel(8);
        let stream = listing
            .store
            .get(&file.meta.location)
            .await
            .ok()?
            .into_stream();
        let compression = options.compression;
        let rules = rules(&read, error);
        let look = tokio::task::spawn_blocking(move || {
            let chunks = Chunks {
                chunks,
                now: Bytes::new(),
            };
            first_bad_row(unpacked(chunks, compression)?, &read.format, &rules).ok()?
        });
        forward(stream, sender).await;
        if let Ok(Some(bad)) = look.await {
            return Some(bad_cell(source, file, &bad));
        }
    }
    None
}

/// The first value of the source's Parquet files that does not fit into its column.
async fn parquet(source: &Source, stores: &ObjectStores, error: &str) -> Option<Failure> {
    let SourceLocation::Files {
        pattern,
        format,
        options,
    } = &source.location
    else {
        return None;
    };
    let listing = match listing::list(source, pattern, stores).await {
        Ok(listing) => listing,
        Err(failure) => return Some(failure),
    };
    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(stores.registry());
    let runtime = runtime.build_arc().ok()?;
    let session = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
    let shape = file_shapes(source, &listing, *format, options, Some(&session.state()))
        .await
        .and_then(|files| shape::shape(source, *format, options, &listing.keys, files, false));
    let shape = match shape {
        Ok(shape) => shape,
        Err(failure) => return Some(failure),
    };
    for file in &shape.files {
        let (read, columns) = parquet_columns(&shape, file);
        if may_be_damage(error)
            && let Some(damage) = damage(&session, &listing, file, &read).await
        {
            let what = format!("source {}: cannot read {}", source.source_ref(), file.shown);
            return Some(
                Failure::new(FailureKind::Source, what)
                    .at(&file.shown, 0, 0)
                    .cause(damage)
                    .note("the file is damaged; have it written again"),
            );
        }
        for column in columns.iter().filter(|c| c.checked) {
            let read = read.field(column.from?);
            let Some((row, what)) = bad_value(&session, &listing, file, read, column).await else {
                continue;
            };
            let bad = BadRow {
                row,
                line: 0,
                column: Some(column.name.clone()),
                what,
            };
            return Some(bad_cell(source, file, &bad));
        }
    }
    None
}

/// Whether an error may come from bytes that are no Parquet: the reader's own words, as they are or in lower case, and
/// panics, since some bytes make the reader panic.
fn may_be_damage(error: &str) -> bool {
    let unreadable = UNREADABLE_PARQUET.to_lowercase();
    let signs = [
        "corrupt",
        "eof",
        "decompress",
        "parquet error: ",
        "parquet argument error: ",
        "panicked",
        ENGINE_FAILED,
        &unreadable,
    ];
    signs.iter().any(|sign| error.contains(sign))
}

/// Why the rows of a file cannot be read, in the file format's words; none if they can.
async fn damage(
    session: &SessionContext,
    listing: &Listing,
    file: &FileShape,
    read: &SchemaRef,
) -> Option<String> {
    // As the file has them: a type that it does not have is no damage.
    let of_file = read.fields().iter().filter_map(|field| {
        let index = file.spelled.iter().position(|name| name == field.name())?;
        Some(file.schema.field(index).clone().with_name(field.name()))
    });
    let schema = Arc::new(Schema::new(of_file.collect::<Vec<_>>()));
    let read = async {
        let mut batches = rows(session, listing, file, schema)?;
        while let Some(batch) = batches.next().await {
            if let Err(error) = batch {
                return Some(innermost(&error.to_string()));
            }
        }
        None
    };
    let found = AssertUnwindSafe(read).catch_unwind().await;
    let found = found.unwrap_or_else(|_| Some(UNDECODABLE.to_string()))?;
    let cause = found.strip_prefix(UNREADABLE_PARQUET).unwrap_or(&found);
    Some(cause.trim_start_matches(": ").to_string())
}

/// The first row, from 1, whose value does not fit, and why.
async fn bad_value(
    session: &SessionContext,
    listing: &Listing,
    file: &FileShape,
    read: &Field,
    column: &CastColumn,
) -> Option<(u64, String)> {
    let schema = Arc::new(Schema::new(vec![read.clone()]));
    let mut batches = rows(session, listing, file, schema)?;
    let mut before = 0;
    while let Some(Ok(batch)) = batches.next().await {
        if let Err(bad) = checked(&column.name, batch.column(0), &column.rule) {
            return Some((before + bad.row as u64 + 1, bad.what));
        }
        before += batch.num_rows() as u64;
    }
    None
}

/// The rows of one Parquet file.
fn rows(
    session: &SessionContext,
    listing: &Listing,
    file: &FileShape,
    schema: SchemaRef,
) -> Option<SendableRecordBatchStream> {
    let source = ParquetFormat::default().file_source(TableSchema::from(schema));
    let config = FileScanConfigBuilder::new(listing.url.clone(), source)
        .with_file(PartitionedFile::new_from_meta(file.meta.clone()))
        .build();
    let scan = DataSourceExec::from_data_source(config);
    scan.execute(0, session.task_ctx()).ok()
}

/// The columns that the error names, else all.
fn rules(read: &TextScan, error: &str) -> Vec<(usize, CellRule)> {
    let of_files = read.columns.iter().filter_map(|column| match column.from {
        Origin::File(index) => Some((index, column)),
        _ => None,
    });
    let all: Vec<_> = of_files.collect();
    let named = |name: &str| {
        let name = name.to_lowercase();
        [" ", ".", "["]
            .iter()
            .any(|next| error.contains(&format!("parsed: {name}{next}")))
    };
    let some: Vec<_> = all
        .iter()
        .filter(|(_, c)| named(&c.name))
        .copied()
        .collect();
    let chosen = if some.is_empty() { all } else { some };
    let rules = chosen.into_iter().map(|(i, c)| (i, c.rule.clone()));
    rules.collect()
}

fn bad_cell(source: &Source, file: &FileShape, bad: &BadRow) -> Failure {
    let place = format!(
        "source {}, row {}",
        source.source_ref(),
        with_commas(bad.row)
    );
    let failure = Failure::new(FailureKind::Source, format!("{place}: {}", bad.what)).at(
        &file.shown,
        u32::try_from(bad.line).unwrap_or(0),
        0,
    );
    let Some(name) = &bad.column else {
        return failure.note("fix the file");
    };
    let failure = match null_token(&bad.what) {
        Some(token) => failure.note(format!(
            "if {token} stands for no value, say null_values: ['{token}'] in {}",
            source.defined_at
        )),
        None => failure,
    };
    match source.columns.iter().find(|c| c.name == *name) {
        Some(column) if column.data_type.is_some() => failure.note(format!(
            "fix the file, or correct data_type in {}",
            column.at
        )),
        _ => failure.note(format!(
            "fix the file, or declare the data_type of {name} in {}",
            source.defined_at
        )),
    }
}

/// The refused text, where it is one that other programs write for null.
fn null_token(what: &str) -> Option<&str> {
    let text = what.rsplit_once(": \"")?.1.strip_suffix('"')?;
    let known = [
        "null", "\\n", "na", "n/a", "#n/a", "nan", "none", "nil", "-", "--", "?", ".", "unknown",
        "missing",
    ];
    known
        .iter()
        .any(|k| text.trim().eq_ignore_ascii_case(k))
        .then_some(text)
}

/// 81202 as `81,202`.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

async fn forward(
    mut stream: futures::stream::BoxStream<'static, object_store::Result<Bytes>>,
    sender: mpsc::Sender<Bytes>,
) {
    while let Some(Ok(chunk)) = stream.next().await {
        // The reader has found what it looks for.
        if sender.send(chunk).await.is_err() {
            return;
        }
    }
}

/// Chunks of a stream as a blocking reader.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    now: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.now.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.now = chunk,
                None => return Ok(0),
            }
        }
        let length = self.now.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.now.split_to(length));
        Ok(length)
    }
}

fn unpacked(bytes: Chunks, compression: Compression) -> Option<Box<dyn Read>> {
    Some(match compression {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Compression::Zstd => Box::new(zstd::Decoder::new(bytes).ok()?),
    })
}
