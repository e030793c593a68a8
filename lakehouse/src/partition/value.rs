//! Partition values as Iceberg's literals and as the text of folders.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use iceberg::spec::{Literal, PrimitiveLiteral, PrimitiveType, Transform, Type};

use super::transform::civil;

/// The value of a row of a partition column; none for null.
pub(crate) fn literal_at(array: &ArrayRef, row: usize, result: &PrimitiveType) -> Option<Literal> {
    if array.is_null(row) {
        return None;
    }
    let long = |value: i64| Literal::Primitive(PrimitiveLiteral::Long(value));
    Some(match array.data_type() {
        DataType::Boolean => Literal::bool(array.as_boolean().value(row)),
        DataType::Int32 => Literal::int(array.as_primitive::<Int32Type>().value(row)),
        DataType::Date32 => Literal::int(array.as_primitive::<Date32Type>().value(row)),
        DataType::Int64 => long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Literal::float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Literal::double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Time64(TimeUnit::Microsecond) => {
            long(array.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            long(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            long(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Decimal128(..) => {
            Literal::decimal(array.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Utf8 => Literal::string(array.as_string::<i32>().value(row)),
        DataType::Binary => Literal::binary(array.as_binary::<i32>().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            match (result, <[u8; 16]>::try_from(bytes)) {
                (PrimitiveType::Uuid, Ok(bytes)) => {
                    Literal::Primitive(PrimitiveLiteral::UInt128(u128::from_be_bytes(bytes)))
                }
                _ => Literal::fixed(bytes.to_vec()),
            }
        }
        _ => return None,
    })
}

/// The text of a partition value in a folder's name, before escaping.
pub(super) fn human(transform: Transform, result: &Type, literal: Option<&Literal>) -> String {
    let number = match literal {
        Some(Literal::Primitive(PrimitiveLiteral::Int(number))) => *number,
        _ => return transform.to_human_string(result, literal),
    };
    match transform {
        Transform::Year => format!("{:04}", 1970 + number),
        Transform::Month => {
            let (year, month) = (1970 + number.div_euclid(12), number.rem_euclid(12) + 1);
            format!("{year:04}-{month:02}")
        }
        Transform::Day => date(number),
        Transform::Hour => format!("{}-{:02}", date(number.div_euclid(24)), number.rem_euclid(24)),
        _ => transform.to_human_string(result, literal),
    }
}

fn date(day: i32) -> String {
    let (year, month) = civil(day);
    let mut first = day;
    while first > i32::MIN && civil(first - 1) == (year, month) {
        first -= 1;
    }
    format!("{year:04}-{month:02}-{:02}", day - first + 1)
}
