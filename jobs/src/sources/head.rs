//! The beginning of a file: its columns, and the types its first rows suggest.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::json::reader::infer_json_schema;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::project::{Compression, FileFormat, FileOptions};

/// How much of a file is read to learn its columns.
const HEAD_BYTES: u64 = 256 * 1024;

/// Rows that types are guessed from.
const SAMPLE_ROWS: usize = 1000;

/// What the beginning of a CSV or JSON file says.
#[derive(Debug, Clone)]
pub struct Head {
    /// Columns by name, in the order of the file, with the type their first values suggest.
    pub schema: Schema,
    /// The first line, for messages.
    pub first_line: String,
}

/// Why a beginning could not be understood.
pub enum HeadError {
    Store(object_store::Error),
    /// The cause, and the line it is about (0 = none).
    Content {
        cause: String,
        line: u32,
    },
}

/// Reads the beginning of one file.
pub async fn read(
    store: &Arc<dyn ObjectStore>,
    file: &ObjectMeta,
    format: FileFormat,
    options: &FileOptions,
) -> Result<Head, HeadError> {
    let end = file.size.min(HEAD_BYTES);
    let bytes = store
        .get_range(&file.location, 0..end)
        .await
        .map_err(HeadError::Store)?;
    let (text, whole) = unpacked(&bytes, options.compression, end == file.size)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
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
        _ => json(text)?,
    };
    Ok(Head { schema, first_line })
}

fn content(cause: impl Into<String>, line: u32) -> HeadError {
    HeadError::Content {
        cause: cause.into(),
        line,
    }
}

/// Unpacks as much as there is; whether that is the whole file.
fn unpacked(
    bytes: &Bytes,
    compression: Compression,
    whole: bool,
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
        if out.len() as u64 >= HEAD_BYTES {
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

fn csv(text: &[u8], options: &FileOptions) -> Result<Schema, HeadError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .quote(options.quote)
        .from_reader(text);
    let mut first = csv::ByteRecord::new();
    let there = reader
        .read_byte_record(&mut first)
        .map_err(|error| content(error.to_string(), 1))?;
    if !there {
        return Err(content("the file is empty: not even a header", 0));
    }
    let mut names: Vec<String> = vec![];
    for (index, name) in first.iter().enumerate() {
        let name = match options.header {
            true => std::str::from_utf8(name)
                .map_err(|_| content("the header is not UTF-8 text", 1))?
                .to_string(),
            false => format!("column_{}", index + 1),
        };
        if options.header && names.contains(&name) {
            return Err(content(format!("the header names {name} twice"), 1));
        }
        names.push(name);
    }
    let inferred = Format::default()
        .with_header(options.header)
        .with_delimiter(options.delimiter)
        .with_quote(options.quote)
        .with_truncated_rows(true)
        .infer_schema(text, Some(SAMPLE_ROWS));
    // Rows that do not fit the header are told when they are read; their types are text until then.
    let types = inferred.map(|(schema, _)| schema).ok();
    let fields: Vec<Field> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let guess = types
                .as_ref()
                .and_then(|s| s.fields().get(index))
                .map(|f| f.data_type().clone());
            Field::new(
                name,
                guess.unwrap_or(datafusion::arrow::datatypes::DataType::Utf8),
                true,
            )
        })
        .collect();
    Ok(Schema::new(fields))
}

fn json(text: &[u8]) -> Result<Schema, HeadError> {
    if text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(content(
            "the file is one JSON array; one object per line is read",
            1,
        ));
    }
    for (number, line) in text.split(|b| *b == b'\n').take(SAMPLE_ROWS).enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let cause = match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(serde_json::Value::Object(_)) => continue,
            Ok(_) => "the line is no JSON object".to_string(),
            Err(error) => format!("the line is not JSON: {}", json_cause(&error)),
        };
        return Err(content(cause, number as u32 + 1));
    }
    match infer_json_schema(text, Some(SAMPLE_ROWS)) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(content(error.to_string().replace("Json error: ", ""), 0)),
    }
}

/// The cause without ` at line 1 column 7`: a line of ours is a whole text of theirs.
pub fn json_cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}
