//! A data file's metrics, from its Parquet footer.
//!
//! A bound that is wrong makes readers skip rows, so there is none where any row group lacks its statistics, and
//! a shortened upper bound is always above what it stands for.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::parquet::file::statistics::Statistics;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, PrimitiveType, Schema,
    Struct,
};

use super::target::WriteSpec;
use crate::error::{LakehouseError, Result};
use crate::table::partition::minimal_big_endian;

/// Characters of a text bound. Long enough for codes and ids, which readers prune by.
const BOUND_CHARS: usize = 64;
/// Bytes of a binary bound.
const BOUND_BYTES: usize = 64;

/// NaNs of the float columns, which Parquet's statistics do not count.
pub(super) struct NanCounts {
    /// Position and field id of each float column.
    columns: Vec<(usize, i32)>,
    counts: HashMap<i32, u64>,
}

impl NanCounts {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let floats = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| f.data_type().is_floating());
        let columns: Vec<_> = floats
            .filter_map(|(i, f)| {
                Some((
                    i,
                    f.metadata()
                        .get(crate::table::schema::FIELD_ID)?
                        .parse()
                        .ok()?,
                ))
            })
            .collect();
        let counts = columns.iter().map(|(_, id)| (*id, 0)).collect();
        Self { columns, counts }
    }

    pub(super) fn count(&mut self, batch: &RecordBatch) {
        for (position, id) in &self.columns {
            let column = batch.column(*position);
            let nans = match column.data_type() {
                DataType::Float32 => column
                    .as_primitive::<Float32Type>()
                    .iter()
                    .flatten()
                    .filter(|v| v.is_nan())
                    .count(),
                DataType::Float64 => column
                    .as_primitive::<Float64Type>()
                    .iter()
                    .flatten()
                    .filter(|v| v.is_nan())
                    .count(),
                _ => 0,
            };
            *self.counts.entry(*id).or_default() += nans as u64;
        }
    }
}

/// Describes a finished file.
pub(super) fn data_file(
    spec: &WriteSpec,
    uri: String,
    bytes: u64,
    footer: &ParquetMetaData,
    nans: NanCounts,
    partition: Struct,
) -> Result<DataFile> {
    let mut columns = Columns::default();
    let mut offsets = vec![];
    for group in footer.row_groups() {
        if let Some(first) = group.columns().first() {
            offsets.push(
                first
                    .dictionary_page_offset()
                    .unwrap_or_else(|| first.data_page_offset()),
            );
        }
        for chunk in group.columns() {
            columns.add(chunk, &spec.schema);
        }
    }
    columns.drop_incomplete();
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(uri)
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(spec.partition.spec_id())
        .record_count(footer.file_metadata().num_rows() as u64)
        .file_size_in_bytes(bytes)
        .column_sizes(columns.sizes)
        .value_counts(columns.values)
        .null_value_counts(columns.nulls)
        .nan_value_counts(nans.counts)
        .lower_bounds(columns.lower)
        .upper_bounds(columns.upper)
        .split_offsets(Some(offsets))
        .build()
        .map_err(|e| LakehouseError::DataFiles {
            table: spec.table.clone(),
            reason: e.to_string(),
        })
}

#[derive(Default)]
struct Columns {
    sizes: HashMap<i32, u64>,
    values: HashMap<i32, u64>,
    nulls: HashMap<i32, u64>,
    lower: HashMap<i32, Datum>,
    upper: HashMap<i32, Datum>,
    /// Columns with a row group whose bound, or null count, is unknown.
    no_lower: HashSet<i32>,
    no_upper: HashSet<i32>,
    no_nulls: HashSet<i32>,
}

impl Columns {
    fn add(&mut self, chunk: &ColumnChunkMetaData, schema: &Schema) {
        let id = chunk.column_descr().self_type().get_basic_info().id();
        *self.sizes.entry(id).or_default() += chunk.compressed_size() as u64;
        *self.values.entry(id).or_default() += chunk.num_values() as u64;
        let field = schema
            .field_by_id(id)
            .and_then(|f| f.field_type.as_primitive_type());
        let (Some(primitive), Some(statistics)) = (field, chunk.statistics()) else {
            self.unknown(id);
            return;
        };
        match statistics.null_count_opt() {
            Some(nulls) => {
                *self.nulls.entry(id).or_default() += nulls;
                if nulls == chunk.num_values() as u64 {
                    return;
                }
            }
            None => {
                self.no_nulls.insert(id);
            }
        }
        // A float's bounds mean nothing to readers where NaN may hide between them; Parquet leaves NaN out.
        match bound(statistics, primitive, Side::Lower) {
            Some(low) => {
                self.lower
                    .entry(id)
                    .and_modify(|have| {
                        if low < *have {
                            *have = low.clone()
                        }
                    })
                    .or_insert(low);
            }
            None => {
                self.no_lower.insert(id);
            }
        }
        match bound(statistics, primitive, Side::Upper) {
            Some(high) => {
                self.upper
                    .entry(id)
                    .and_modify(|have| {
                        if high > *have {
                            *have = high.clone()
                        }
                    })
                    .or_insert(high);
            }
            None => {
                self.no_upper.insert(id);
            }
        }
    }

    fn unknown(&mut self, id: i32) {
        self.no_lower.insert(id);
        self.no_upper.insert(id);
        self.no_nulls.insert(id);
    }

    fn drop_incomplete(&mut self) {
        self.lower.retain(|id, _| !self.no_lower.contains(id));
        self.upper.retain(|id, _| !self.no_upper.contains(id));
        self.nulls.retain(|id, _| !self.no_nulls.contains(id));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

fn bound(statistics: &Statistics, primitive: &PrimitiveType, side: Side) -> Option<Datum> {
    let lower = side == Side::Lower;
    macro_rules! value {
        ($s:expr) => {
            *(if lower { $s.min_opt() } else { $s.max_opt() })?
        };
    }
    let decimal = matches!(primitive, PrimitiveType::Decimal { .. });
    let bytes = match statistics {
        Statistics::Boolean(s) => vec![u8::from(value!(s))],
        Statistics::Int32(s) if decimal => minimal_big_endian(i128::from(value!(s))),
        Statistics::Int64(s) if decimal => minimal_big_endian(i128::from(value!(s))),
        Statistics::Int32(s) => value!(s).to_le_bytes().to_vec(),
        Statistics::Int64(s) => value!(s).to_le_bytes().to_vec(),
        Statistics::Float(s) => Some(value!(s))
            .filter(|v| !v.is_nan())?
            .to_le_bytes()
            .to_vec(),
        Statistics::Double(s) => Some(value!(s))
            .filter(|v| !v.is_nan())?
            .to_le_bytes()
            .to_vec(),
        Statistics::ByteArray(s) => {
            let value = (if lower { s.min_opt() } else { s.max_opt() })?.data();
            match primitive {
                PrimitiveType::String => {
                    text_bound(std::str::from_utf8(value).ok()?, side)?.into_bytes()
                }
                _ => binary_bound(value, side)?,
            }
        }
        Statistics::FixedLenByteArray(s) => {
            let value = (if lower { s.min_opt() } else { s.max_opt() })?.data();
            if decimal {
                minimal_big_endian(sign_extended(value)?)
            } else {
                value.to_vec()
            }
        }
        Statistics::Int96(_) => return None,
    };
    Datum::try_from_bytes(&bytes, primitive.clone()).ok()
}

fn sign_extended(big_endian: &[u8]) -> Option<i128> {
    let fill = if big_endian.first()? & 0x80 == 0 {
        0x00
    } else {
        0xff
    };
    let mut bytes = [fill; 16];
    let start = 16usize.checked_sub(big_endian.len())?;
    bytes[start..].copy_from_slice(big_endian);
    Some(i128::from_be_bytes(bytes))
}

/// Shortened to [`BOUND_CHARS`]; an upper bound's last character is raised, so that it stays above.
fn text_bound(text: &str, side: Side) -> Option<String> {
    let Some((end, _)) = text.char_indices().nth(BOUND_CHARS) else {
        return Some(text.to_owned());
    };
    let short = &text[..end];
    if side == Side::Lower {
        return Some(short.to_owned());
    }
    let mut chars: Vec<char> = short.chars().collect();
    while let Some(last) = chars.pop() {
        // The code points between are surrogates, which no text holds.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(last as u32 + 1)
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn binary_bound(bytes: &[u8], side: Side) -> Option<Vec<u8>> {
    if bytes.len() <= BOUND_BYTES {
        return Some(bytes.to_vec());
    }
    let mut short = bytes[..BOUND_BYTES].to_vec();
    if side == Side::Lower {
        return Some(short);
    }
    while let Some(last) = short.pop() {
        if last < 0xff {
            short.push(last + 1);
            return Some(short);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_upper_bound_stays_above_its_text() {
        let text = "x".repeat(BOUND_CHARS) + "tail";
        let upper = text_bound(&text, Side::Upper).unwrap();
        assert!(upper.as_str() > text.as_str(), "{upper}");
        assert_eq!(upper.chars().count(), BOUND_CHARS);
        let lower = text_bound(&text, Side::Lower).unwrap();
        assert!(lower.as_str() < text.as_str());
    }

    #[test]
    fn a_text_that_cannot_be_raised_has_no_upper_bound() {
        let text = "\u{10ffff}".repeat(BOUND_CHARS + 1);
        assert_eq!(text_bound(&text, Side::Upper), None);
        assert_eq!(binary_bound(&[0xff; BOUND_BYTES + 1], Side::Upper), None);
    }

    #[test]
    fn decimals_are_extended_with_their_sign() {
        assert_eq!(sign_extended(&[0xff, 0x7f]), Some(-129));
        assert_eq!(sign_extended(&[0x00, 0x80]), Some(128));
    }
}
