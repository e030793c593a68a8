//! The beginning of a CSV or JSON file: its columns, and the types its first rows suggest.

use std::io::Read;
use std::sync::Arc;

use crate::text_scan::{self, Json, names};
use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use retail_api::source::{Compression, FileFormat, FileOptions};

use super::types;

/// How much of a file is read to learn its columns; more where a row is longer.
const HEAD_BYTES: u64 = 256 * 1024;

/// Rows that types are guessed from.
const SAMPLE_ROWS: usize = 1000;

/// What the beginning of a CSV or JSON file shows.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Columns by name, in the order of the file, with the type their first values suggest.
    pub schema: Schema,
    /// The first line, for messages.
    pub first_line: String,
}

/// Why a beginning could not be understood.
pub(super) enum HeadError {
    Store(object_store::Error),
    /// The cause, and the line it is about (0 = none).
    Content {
        cause: String,
        line: u32,
    },
}

/// Reads the beginning of one file; `None` if it holds neither a header nor a row.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    format: FileFormat,
    options: &FileOptions,
) -> Result<Option<Head>, HeadError> {
    if file.size == 0 {
        return match options.compression {
            Compression::None => Ok(None),
            // Nothing packed is still some bytes.
            _ => Err(content("the file has 0 bytes; it was not written whole", 0)),
        };
    }
    let mut wanted = HEAD_BYTES;
    let (text, whole) = loop {
        let end = file.size.min(wanted);
        let bytes = store
            .get_range(&file.location, 0..end)
            .await
            .map_err(HeadError::Store)?;
        let (text, whole) = unpacked(&bytes, options.compression, end == file.size, wanted)?;
        let lines = text.iter().filter(|b| **b == b'\n').take(2).count();
        if whole || lines == 2 {
            break (text, whole);
        }
        wanted *= 8;
    };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    if let Some(other) = other_kind(text) {
        return Err(content(other, 0));
    }
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(content("the file is UTF-16; save it as UTF-8", 1));
    }
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let first_line = String::from_utf8_lossy(first)
        .trim_end()
        .chars()
        .take(500)
        .collect();
    // A last line that is cut off would be understood wrongly.
    let text = match text.iter().rposition(|b| *b == b'\n') {
        Some(end) if !whole => &text[..=end],
        _ => text,
    };
    let schema = match format {
        FileFormat::Csv => csv(text, options)?,
        _ => json(text, options)?,
    };
    Ok(schema.map(|schema| Head { schema, first_line }))
}

/// What a file is that begins as no CSV and no JSON does, and what to do.
fn other_kind(text: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 6] = [
        (
            b"\x1f\x8b",
            "the file is packed with gzip; give it the ending .gz, or say compression: gzip",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "the file is packed with zstd; give it the ending .zst, or say compression: zstd",
        ),
        (
            b"PK\x03\x04",
            "the file is a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV in UTF-8",
        ),
        (
            b"\xd0\xcf\x11\xe0",
            "the file is an Excel workbook; save the sheet as CSV in UTF-8",
        ),
        (
            b"PAR1",
            "the file is Parquet; give it the ending .parquet, or say format: parquet",
        ),
        (
            b"Obj\x01",
            "the file is Avro, which is not read; write it as Parquet",
        ),
    ];
    if let Some((_, kind)) = KINDS.iter().find(|(magic, _)| text.starts_with(magic)) {
        return Some(kind);
    }
    let begins = text.trim_ascii_start();
    let begins = begins[..begins.len().min(14)].to_ascii_lowercase();
    let page = ["<!doctype html", "<html", "<?xml"];
    page.iter()
        .any(|tag| begins.starts_with(tag.as_bytes()))
        .then_some("the file is a page of HTML or XML; look whether its download failed")
}

fn content(cause: impl Into<String>, line: u32) -> HeadError {
    HeadError::Content {
        cause: cause.into(),
        line,
    }
}

/// Unpacks up to `wanted` bytes; whether that is the whole file.
fn unpacked(
    bytes: &Bytes,
    compression: Compression,
    whole: bool,
    wanted: u64,
) -> Result<(Vec<u8>, bool), HeadError> {
    let mut out = vec![];
    let mut from: Box<dyn Read + '_> = match compression {
        Compression::None => return Ok((bytes.to_vec(), whole)),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes.as_ref())),
        Compression::Zstd => {
            let decoder = zstd::Decoder::new(bytes.as_ref());
            Box::new(decoder.map_err(|error| content(format!("the file is no zstd: {error}"), 0))?)
        }
    };
    let mut buffer = [0; 16 * 1024];
    loop {
        if out.len() as u64 >= wanted {
            return Ok((out, false));
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok((out, whole)),
            Ok(n) => out.extend_from_slice(&buffer[..n]),
            // The end of what was read, not of the file.
            Err(_) if !whole && !out.is_empty() => return Ok((out, false)),
            Err(error) => {
                let name = if compression == Compression::Gzip {
                    "gzip"
                } else {
                    "zstd"
                };
                return Err(content(
                    format!("the file cannot be unpacked as {name}: {error}"),
                    0,
                ));
            }
        }
    }
}

fn csv(text: &[u8], options: &FileOptions) -> Result<Option<Schema>, HeadError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .from_reader(text);
    let mut record = csv::ByteRecord::new();
    let mut next = |record: &mut csv::ByteRecord| {
        let read = reader.read_byte_record(record);
        read.map_err(|error| content(error.to_string(), 1))
    };
    if !next(&mut record)? {
        return Ok(None);
    }
    let first: &[u8] = text.split(|b| *b == b'\n').next().unwrap_or_default();
    if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] = first.trim_ascii() {
        let delimiter = char::from(*delimiter);
        return Err(content(
            format!(
                "the first line is Excel's sep={delimiter}; delete it, and say delimiter: '{delimiter}'"
            ),
            1,
        ));
    }
    let names = match options.header {
        true => names::of_header(record.iter()).map_err(|cause| content(cause, 1))?,
        false => (1..=record.len()).map(|n| format!("column_{n}")).collect(),
    };
    let mut guesses: Vec<DataType> = vec![DataType::Null; names.len()];
    let mut more = !options.header || next(&mut record)?;
    let mut rows = 0;
    while more && rows < SAMPLE_ROWS {
        for (cell, guess) in record.iter().zip(&mut guesses) {
            let text = String::from_utf8_lossy(cell);
            if options.null_values.iter().any(|n| *n == text) {
                continue;
            }
            if let Some(here) = text_scan::guess(&text) {
                *guess = both(guess, &here).unwrap_or(DataType::Utf8);
            }
        }
        rows += 1;
        more = next(&mut record)?;
    }
    let fields = names.into_iter().zip(guesses);
    let fields: Vec<Field> = fields.map(|(n, t)| Field::new(n, t, true)).collect();
    Ok(Some(Schema::new(fields)))
}

/// The type of values of both types; an empty column has none yet.
fn both(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        _ => types::common(a, b),
    }
}

fn json(text: &[u8], options: &FileOptions) -> Result<Option<Schema>, HeadError> {
    if text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(content(
            "the file is one JSON array; one object per line is read (jq -c '.[]' makes them)",
            1,
        ));
    }
    let mut columns: Vec<(String, DataType)> = vec![];
    let mut rows = 0;
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if rows == SAMPLE_ROWS {
            break;
        }
        rows += 1;
        let bad = |cause: String| content(cause, u32::try_from(number + 1).unwrap_or(0));
        let line = std::str::from_utf8(line)
            .map_err(|_| bad("the line is not UTF-8 text; save the file as UTF-8".into()))?;
        match text_scan::parse_json(line) {
            Ok(Json::Object(fields)) => {
                add(&mut columns, &fields, &options.null_values).map_err(bad)?;
            }
            Ok(_) => return Err(bad("the line is no JSON object".into())),
            Err(cause) if line.trim() == "{" => {
                return Err(bad(format!(
                    "the line is not JSON: {cause}; an object stands on one line (jq -c . makes it so)"
                )));
            }
            Err(cause) => return Err(bad(format!("the line is not JSON: {cause}"))),
        }
    }
    if rows == 0 {
        return Ok(None);
    }
    let fields = columns.into_iter().map(|(n, t)| Field::new(n, t, true));
    Ok(Some(Schema::new(fields.collect::<Vec<_>>())))
}

fn add(
    columns: &mut Vec<(String, DataType)>,
    fields: &[(std::borrow::Cow<'_, str>, Json<'_>)],
    nulls: &[String],
) -> Result<(), String> {
    for (key, value) in fields {
        let here = json_type(value, nulls)?;
        match columns.iter_mut().find(|(name, _)| names::same(name, key)) {
            None => columns.push((key.to_string(), here)),
            Some((name, before)) => {
                *before = either(before, &here).ok_or_else(|| {
                    format!(
                        "{name} is {} here and {} before",
                        types::sql(&here),
                        types::sql(before)
                    )
                })?;
            }
        }
    }
    Ok(())
}

fn json_type(value: &Json<'_>, nulls: &[String]) -> Result<DataType, String> {
    Ok(match value {
        Json::Null => DataType::Null,
        Json::Text(text) if nulls.iter().any(|n| n == text) => DataType::Null,
        Json::Text(_) => DataType::Utf8,
        Json::Bool(_) => DataType::Boolean,
        Json::Number(text) => text_scan::guess_number(text),
        Json::List(items) => {
            let mut item = DataType::Null;
            for value in items {
                let here = json_type(value, nulls)?;
                item = either(&item, &here)
                    .ok_or_else(|| "a list holds values of different kinds".to_string())?;
            }
            DataType::List(Arc::new(Field::new_list_field(item, true)))
        }
        Json::Object(fields) => {
            let mut inner = vec![];
            add(&mut inner, fields, nulls)?;
            let fields = inner.into_iter().map(|(n, t)| Field::new(n, t, true));
            DataType::Struct(fields.collect::<Fields>())
        }
    })
}

/// The type of JSON values of both types: scalars of different types are text; none for a scalar and an object.
fn either(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::List(x), DataType::List(y)) => {
            let item = either(x.data_type(), y.data_type())?;
            Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
        }
        (DataType::Struct(x), DataType::Struct(y)) => {
            let mut fields: Vec<Field> = x.iter().map(|f| f.as_ref().clone()).collect();
            for new in y {
                match fields
                    .iter_mut()
                    .find(|f| names::same(f.name(), new.name()))
                {
                    None => fields.push(new.as_ref().clone()),
                    Some(field) => {
                        let merged = either(field.data_type(), new.data_type())?;
                        field.set_data_type(merged);
                    }
                }
            }
            Some(DataType::Struct(fields.into()))
        }
        _ if a.is_nested() || b.is_nested() => None,
        _ => Some(types::common(a, b).unwrap_or(DataType::Utf8)),
    }
}
