//! After a query failed on the content of a file: which file, which row, which cell.

use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use chrono::Utc;
use datafusion::arrow::compute::kernels::cast_utils::{Parser, parse_decimal, string_to_datetime};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Schema, Time64MicrosecondType,
};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use retail_lakehouse::ObjectStores;
use tokio::sync::mpsc;

use crate::failure::{Failure, FailureKind};
use crate::project::{Compression, FileFormat, FileOptions, Source, SourceLocation};

use super::head::json_cause;
use super::shape::{self, FileShape, Shape};
use super::{file_shapes, listing, types};

/// Looks in the CSV and JSON files of `read` for what made a query fail with `error`, and tells the first bad cell.
///
/// `None` if the error is of another kind or nothing is found: then the error itself is all there is to tell.
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
    ];
    if !signs.iter().any(|s| error.contains(s)) {
        return None;
    }
    for source in read {
        let found = match &source.location {
            SourceLocation::Files {
                format: FileFormat::Csv,
                ..
            } => diagnose_csv(source, stores).await,
            SourceLocation::Files {
                format: FileFormat::Json,
                ..
            } => diagnose_json(source, stores).await,
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The first cell of the source's CSV files that is not of its column's type, or the first row of a wrong length.
pub async fn diagnose_csv(source: &Source, stores: &ObjectStores) -> Option<Failure> {
    scan(source, stores, FileFormat::Csv).await
}

/// The first line of the source's JSON files that is no object, or a value in it that is not of its column's type.
pub async fn diagnose_json(source: &Source, stores: &ObjectStores) -> Option<Failure> {
    scan(source, stores, FileFormat::Json).await
}

async fn scan(source: &Source, stores: &ObjectStores, wanted: FileFormat) -> Option<Failure> {
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
    let files = shape.layouts.iter().flat_map(|l| &l.files);
    let mut files: Vec<&FileShape> = files.collect();
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
    for file in files {
        let columns = wanted_types(file, &shape);
        let (sender, chunks) = mpsc::channel(8);
        let stream = listing
            .store
            .get(&file.meta.location)
            .await
            .ok()?
            .into_stream();
        let options = options.clone();
        let look = tokio::task::spawn_blocking(move || {
            let bytes = unpacked(
                Chunks {
                    chunks,
                    now: Bytes::new(),
                },
                options.compression,
            )?;
            match wanted {
                FileFormat::Csv => bad_cell(bytes, &columns, &options),
                _ => bad_line(bytes, &columns),
            }
        });
        forward(stream, sender).await;
        if let Ok(Some(bad)) = look.await {
            return Some(tell(source, file, &bad));
        }
    }
    None
}

/// The columns of a file as the table wants them; text where the table does not have them.
fn wanted_types(file: &FileShape, shape: &Shape) -> Schema {
    let fields = file.schema.fields().iter().map(|f| {
        let wanted = shape.data_type(f.name()).cloned().unwrap_or(DataType::Utf8);
        f.as_ref().clone().with_data_type(wanted)
    });
    let mut fields: Vec<_> = fields.collect();
    // A JSON column may first come up far behind the beginning.
    for column in shape
        .columns
        .iter()
        .filter(|c| !c.from_path && file.first_line.is_empty())
    {
        if !fields.iter().any(|f| *f.name() == column.name) {
            fields.push(datafusion::arrow::datatypes::Field::new(
                &column.name,
                column.data_type.clone(),
                true,
            ));
        }
    }
    Schema::new(fields)
}

/// What is wrong, and where.
struct Bad {
    /// Counted from 1, without the header.
    row: u64,
    /// Of the file, from 1.
    line: u64,
    column: Option<String>,
    what: String,
}

fn tell(source: &Source, file: &FileShape, bad: &Bad) -> Failure {
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

fn bad_cell(bytes: impl Read, columns: &Schema, options: &FileOptions) -> Option<Bad> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(options.header)
        .flexible(true)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut row = 0;
    loop {
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(true) => row += 1,
            Ok(false) => return None,
            Err(error) => {
                return Some(Bad {
                    row: row + 1,
                    line,
                    column: None,
                    what: error.to_string(),
                });
            }
        }
        // The reader stands behind the header until its first record is read.
        let line = record.position().map_or(line, csv::Position::line);
        let there = record.len();
        let wanted = columns.fields().len();
        if there != wanted {
            let what = format!("{there} fields, the file has {wanted} columns");
            return Some(Bad {
                row,
                line,
                column: None,
                what,
            });
        }
        for (cell, field) in record.iter().zip(columns.fields()) {
            let column = || Some(field.name().clone());
            let Ok(text) = std::str::from_utf8(cell) else {
                return Some(Bad {
                    row,
                    line,
                    column: None,
                    what: format!("{} is not UTF-8 text", field.name()),
                });
            };
            if text.is_empty()
                || options.null_values.iter().any(|n| n == text)
                || fits(text, field.data_type())
            {
                continue;
            }
            let what = format!(
                "{} is not {}: {}",
                field.name(),
                called(text, field.data_type()),
                quoted(text)
            );
            return Some(Bad {
                row,
                line,
                column: column(),
                what,
            });
        }
    }
}

/// Whether the reader of CSV takes `text` for a value of the type.
fn fits(text: &str, wanted: &DataType) -> bool {
    match wanted {
        DataType::Boolean => {
            text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
        }
        DataType::Int8 => Int8Type::parse(text).is_some(),
        DataType::Int16 => Int16Type::parse(text).is_some(),
        DataType::Int32 => Int32Type::parse(text).is_some(),
        DataType::Int64 => Int64Type::parse(text).is_some(),
        DataType::Float32 => Float32Type::parse(text).is_some(),
        DataType::Float64 => Float64Type::parse(text).is_some(),
        DataType::Decimal128(p, s) => parse_decimal::<Decimal128Type>(text, *p, *s).is_ok(),
        DataType::Date32 => Date32Type::parse(text).is_some(),
        DataType::Time64(_) => Time64MicrosecondType::parse(text).is_some(),
        DataType::Timestamp(..) => string_to_datetime(&Utc, text).is_ok(),
        _ => true,
    }
}

/// What the text should have been; an integer that is only too big is said to be so.
fn called(text: &str, wanted: &DataType) -> String {
    let digits = text.trim_start_matches(['-', '+']);
    if wanted.is_integer() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let article = if *wanted == DataType::Int32 {
            "an"
        } else {
            "a"
        };
        return format!("{article} {} (too large)", types::sql(wanted));
    }
    types::called(wanted)
}

fn bad_line(bytes: impl Read, columns: &Schema) -> Option<Bad> {
    let (mut row, mut line) = (0, 0);
    for text in BufReader::new(bytes).split(b'\n') {
        line += 1;
        let text = text.ok()?;
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        row += 1;
        let bad = |column: Option<String>, what: String| {
            Some(Bad {
                row,
                line,
                column,
                what,
            })
        };
        let object = match serde_json::from_slice(text) {
            Ok(serde_json::Value::Object(object)) => object,
            Ok(_) => return bad(None, "the line is no JSON object".into()),
            Err(error) => {
                return bad(
                    None,
                    format!("the line is not JSON: {}", json_cause(&error)),
                );
            }
        };
        for field in columns.fields() {
            let Some(value) = object.get(field.name()) else {
                continue;
            };
            if let Some((path, value, wanted)) = misfit(field.name(), value, field.data_type()) {
                let shown: String = value.to_string().chars().take(80).collect();
                return bad(
                    Some(field.name().clone()),
                    format!("{path} is not {}: {shown}", types::called(&wanted)),
                );
            }
        }
    }
    None
}

/// The first value inside `value` that is not of its type, with its path.
fn misfit<'a>(
    path: &str,
    value: &'a serde_json::Value,
    wanted: &DataType,
) -> Option<(String, &'a serde_json::Value, DataType)> {
    use serde_json::Value;
    let fine = match (value, wanted) {
        (Value::Null, _) => true,
        (Value::Object(object), DataType::Struct(fields)) => {
            return fields.iter().find_map(|f| {
                misfit(
                    &format!("{path}.{}", f.name()),
                    object.get(f.name())?,
                    f.data_type(),
                )
            });
        }
        (Value::Array(items), DataType::List(item)) => {
            let mut items = items.iter().enumerate();
            return items.find_map(|(i, v)| misfit(&format!("{path}[{i}]"), v, item.data_type()));
        }
        (_, DataType::Struct(_) | DataType::List(_)) => false,
        (Value::String(_), DataType::Utf8 | DataType::Utf8View) => true,
        (_, DataType::Utf8 | DataType::Utf8View) => false,
        (Value::Bool(_), DataType::Boolean) => true,
        (_, DataType::Boolean) => false,
        (Value::String(text), _) => fits(text, wanted),
        (Value::Number(number), DataType::Timestamp(..) | DataType::Date32) => number.is_i64(),
        (Value::Number(number), _) => fits(&number.to_string(), wanted),
        _ => false,
    };
    (!fine).then(|| (path.to_string(), value, wanted.clone()))
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("\"{short}{more}\"")
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
