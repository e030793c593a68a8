//! One number for all rows of a table, whatever their order: the same as `tests/interop/lake.py` computes.

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, cast::AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use sha2::{Digest, Sha256};

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    pub rows: u64,
    /// The sum, modulo 2^64, of the first eight bytes of each row's SHA-256, in hex.
    pub checksum: String,
}

impl Summary {
    /// From the JSON that a script printed.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        Self {
            rows: value["rows"]
                .as_u64()
                .unwrap_or_else(|| panic!("no row count in {value}")),
            checksum: value["checksum"]
                .as_str()
                .unwrap_or_else(|| panic!("no checksum in {value}"))
                .to_owned(),
        }
    }
}

/// Sums up rows. A row is its values' texts joined with 0x1f.
pub(crate) fn summary(batches: &[RecordBatch]) -> Summary {
    let (mut rows, mut sum) = (0, 0_u64);
    for batch in batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(texts).collect();
        for row in 0..batch.num_rows() {
            let text = columns
                .iter()
                .map(|column| column[row].as_str())
                .collect::<Vec<_>>()
                .join("\u{1f}");
            let digest = Sha256::digest(text.as_bytes());
            sum = sum.wrapping_add(u64::from_be_bytes(digest[..8].try_into().unwrap()));
        }
        rows += batch.num_rows() as u64;
    }
    Summary {
        rows,
        checksum: format!("{sum:016x}"),
    }
}

fn texts(column: &ArrayRef) -> Vec<String> {
    let values = normal(column);
    (0..values.len()).map(|row| text(&values, row)).collect()
}

/// The column in the one type that stands for its kind.
fn normal(column: &ArrayRef) -> ArrayRef {
    let kind = match column.data_type() {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => return column.clone(),
    };
    cast(column, &kind).unwrap()
}

fn text(values: &ArrayRef, row: usize) -> String {
    if values.is_null(row) {
        return "\\N".to_owned();
    }
    match values.data_type() {
        DataType::Null => "\\N".to_owned(),
        DataType::Boolean => values.as_boolean().value(row).to_string(),
        DataType::Utf8 => values.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => float(values.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Date32 => values.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(..) => values
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Binary => values
            .as_binary::<i32>()
            .value(row)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            format!("[{}]", texts(&items).join(","))
        }
        DataType::Struct(_) => {
            let fields = values
                .as_struct()
                .columns()
                .iter()
                .map(|column| text(&normal(column), row));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => panic!("no text for a value of type {other}"),
    }
}

/// Ten digits: sums of floats differ in their last bits.
fn float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => format!("{value}e0"),
        value => format!("{value:.9e}"),
    }
}

mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float64Array, Int32Array, StringArray};

    use super::*;

    #[test]
    fn the_order_of_rows_does_not_matter_and_their_values_do() {
        let batch = |ids: Vec<Option<i32>>, names: Vec<&str>| {
            let ids: ArrayRef = Arc::new(Int32Array::from(ids));
            let names: ArrayRef = Arc::new(StringArray::from(names));
            RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap()
        };
        let one = summary(&[batch(vec![Some(1), None], vec!["a", "b"])]);
        assert_eq!(
            one,
            summary(&[
                batch(vec![None], vec!["b"]),
                batch(vec![Some(1)], vec!["a"])
            ])
        );
        assert_ne!(one, summary(&[batch(vec![Some(1), None], vec!["b", "a"])]));
    }

    #[test]
    fn floats_that_differ_in_their_last_bits_are_equal() {
        let floats = |value: f64| {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![value]));
            summary(&[RecordBatch::try_from_iter([("f", column)]).unwrap()])
        };
        assert_eq!(floats(0.1 + 0.2), floats(0.3));
        assert_ne!(floats(0.3), floats(0.300_000_01));
    }
}
