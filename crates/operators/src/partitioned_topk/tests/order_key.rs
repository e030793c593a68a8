//! Keys of order columns compare as a sort of the columns does.

use datafusion::arrow::array::{
    ArrayData, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray,
    LargeStringArray, make_array,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::compute::{LexicographicalComparator, SortColumn, SortOptions};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::partitioned_topk::order_key::OrderKeyEncoder;
use crate::partitioned_topk::spec::OrderColumn;

/// A cell before its type is known: bits for what has a fixed width, a text for the rest.
type Cell = Option<(i128, String)>;

static TYPES: [DataType; 32] = [
    DataType::Boolean,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float16,
    DataType::Float32,
    DataType::Float64,
    DataType::Decimal32(9, 2),
    DataType::Decimal64(18, 2),
    DataType::Decimal128(38, 2),
    DataType::Decimal256(76, 2),
    DataType::Date32,
    DataType::Date64,
    DataType::Time32(TimeUnit::Second),
    DataType::Time32(TimeUnit::Millisecond),
    DataType::Time64(TimeUnit::Microsecond),
    DataType::Time64(TimeUnit::Nanosecond),
    DataType::Timestamp(TimeUnit::Second, None),
    DataType::Timestamp(TimeUnit::Microsecond, None),
    DataType::Duration(TimeUnit::Nanosecond),
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Utf8View,
    DataType::Binary,
    DataType::LargeBinary,
    DataType::BinaryView,
    DataType::FixedSizeBinary(3),
];

fn cell() -> impl Strategy<Value = Cell> {
    let bits = prop_oneof![
        -2..3_i128,
        prop::sample::select(vec![i128::MIN, i128::MAX, i64::MIN.into(), i64::MAX.into()]),
        // Floats: zeros, infinities and NaNs of both signs.
        prop::sample::select(vec![
            0_f64,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            -f64::NAN
        ])
        .prop_map(|float| i128::from(float.to_bits())),
        prop::sample::select(vec![
            0_f32,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -f32::NAN
        ])
        .prop_map(|float| i128::from(float.to_bits())),
        any::<i128>(),
    ];
    prop::option::weighted(0.8, (bits, "[ab\u{0}é]{0,14}"))
}

/// The cells as values of a type.
fn array(data_type: &DataType, cells: &[Cell]) -> ArrayRef {
    let texts = || cells.iter().map(|cell| cell.as_ref().map(|(_, text)| text));
    let three = |text: &String| [text.as_bytes(), b"abc"].concat()[..3].to_vec();
    match data_type {
        DataType::Boolean => {
            let odd = cells
                .iter()
                .map(|cell| cell.as_ref().map(|(bits, _)| bits & 1 == 1));
            Arc::new(odd.collect::<BooleanArray>())
        }
        DataType::Utf8 => Arc::new(texts().collect::<StringArray>()),
        DataType::LargeUtf8 => Arc::new(texts().collect::<LargeStringArray>()),
        DataType::Utf8View => Arc::new(texts().collect::<StringViewArray>()),
        DataType::Binary => Arc::new(texts().collect::<BinaryArray>()),
        DataType::LargeBinary => Arc::new(texts().collect::<LargeBinaryArray>()),
        DataType::BinaryView => Arc::new(texts().collect::<BinaryViewArray>()),
        DataType::FixedSizeBinary(width) => {
            let values = texts().map(|text| text.map(three));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, *width).unwrap())
        }
        fixed => {
            let width = fixed.primitive_width().unwrap();
            let bytes = cells.iter().flat_map(|cell| {
                let bits = cell.as_ref().map_or(0, |(bits, _)| *bits);
                let sign = if bits < 0 { [0xff; 16] } else { [0; 16] };
                [bits.to_le_bytes(), sign].concat()[..width].to_vec()
            });
            let valid: BooleanArray = cells.iter().map(|cell| Some(cell.is_some())).collect();
            let data = ArrayData::builder(fixed.clone())
                .len(cells.len())
                .add_buffer(Buffer::from_iter(bytes))
                .null_bit_buffer(Some(valid.values().inner().clone()));
            make_array(data.build().unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn keys_compare_as_their_rows_do(
        order in prop::collection::vec((prop::sample::select(&TYPES[..]), any::<[bool; 2]>()), 1..4),
        rows in prop::collection::vec([cell(), cell(), cell()], 2..10),
        cut in any::<prop::sample::Index>(),
    ) {
        let fields = order.iter().map(|(data_type, _)| Field::new("o", data_type.clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let columns: Vec<ArrayRef> = order.iter().enumerate().map(|(at, (data_type, _))| {
            let cells: Vec<Cell> = rows.iter().map(|row| row[at].clone()).collect();
            array(data_type, &cells)
        }).collect();
        let options = order.iter().map(|(_, [descending, nulls_first])| SortOptions {
            descending: *descending,
            nulls_first: *nulls_first,
        });
        let by = options.clone().enumerate().map(|(column, options)| OrderColumn { column, options });
        let encoder = OrderKeyEncoder::try_new(&schema, &by.collect::<Vec<_>>()).unwrap();
        let sorted = options.zip(&columns).map(|(options, values)| SortColumn {
            values: Arc::clone(values),
            options: Some(options),
        });
        let sorted = LexicographicalComparator::try_new(&sorted.collect::<Vec<_>>()).unwrap();

        // Rows are compared across batches, too.
        let cut = cut.index(rows.len());
        let slices = |from, rows| columns.iter().map(|c| c.slice(from, rows)).collect::<Vec<_>>();
        let first = encoder.encode(&slices(0, cut)).unwrap();
        let second = encoder.encode(&slices(cut, rows.len() - cut)).unwrap();
        let key = |row: usize| match row.checked_sub(cut) {
            None => (&first, row as u32),
            Some(row) => (&second, row as u32),
        };
        for a in 0..rows.len() {
            for b in 0..rows.len() {
                let ((keys, row), (other, other_row)) = (key(a), key(b));
                prop_assert_eq!(keys.before(row, other, other_row), sorted.compare(a, b).is_lt(), "rows {} and {}", a, b);
            }
        }
    }
}
