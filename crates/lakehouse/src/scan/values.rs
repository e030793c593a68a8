//! Iceberg's values as arrow's.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StructArray, new_empty_array};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use iceberg::spec::{Literal, NestedField, PrimitiveLiteral, Type};

use retail_values::canonical_scalar;

const SECONDS_PER_DAY: i64 = 86_400;

/// A value, of this Iceberg type, as one of an arrow type; none where the two do not fit.
///
/// Of a list or a map only the empty one is a default that the specification allows.
pub(super) fn scalar(literal: &Literal, of: &Type, data_type: &DataType) -> Option<ScalarValue> {
    match (literal, of, data_type) {
        (Literal::Primitive(literal), _, _) => primitive(literal, data_type),
        (Literal::List(items), _, DataType::List(_)) if items.is_empty() => empty(data_type),
        (Literal::Map(map), _, DataType::Map(..)) if map.is_empty() => empty(data_type),
        (Literal::Struct(given), Type::Struct(inner), DataType::Struct(fields)) => {
            let children = inner.fields().iter().zip(fields).zip(given.iter());
            let children = children.map(|((child, field), given)| {
                let value = match given {
                    Some(given) => scalar(given, &child.field_type, field.data_type()),
                    None => missing(child, field.data_type(), &[]).ok(),
                };
                value?.to_array().ok()
            });
            let children: Vec<ArrayRef> = children.collect::<Option<_>>()?;
            let row = StructArray::try_new_with_length(fields.clone(), children, None, 1).ok()?;
            Some(ScalarValue::Struct(Arc::new(row)))
        }
        _ => None,
    }
}

/// Values of partition fields by the ids of their columns.
pub(super) type Constants = [(i32, ScalarValue)];

/// The value of a field that a file does not have: the partition's, its initial default, or null.
///
/// # Errors
/// Why there is none.
pub(super) fn missing(
    field: &NestedField,
    wanted: &DataType,
    constants: &Constants,
) -> Result<ScalarValue, String> {
    if let Some((_, value)) = constants.iter().find(|(id, _)| *id == field.id) {
        return Ok(value.clone());
    }
    if let Some(default) = &field.initial_default {
        let value = scalar(default, &field.field_type, wanted);
        return value.ok_or_else(|| "its initial default is no value of its type".to_owned());
    }
    if field.required {
        let reason = "it is required, the file does not have it, and it has no initial default";
        return Err(reason.to_owned());
    }
    ScalarValue::try_new_null(wanted).map_err(|e| e.to_string())
}

fn empty(data_type: &DataType) -> Option<ScalarValue> {
    // One row of no items: two equal offsets over an empty array.
    use datafusion::arrow::array::{ListArray, MapArray};
    use datafusion::arrow::buffer::OffsetBuffer;
    let offsets = OffsetBuffer::from_lengths([0]);
    match data_type {
        DataType::List(field) => {
            let items = new_empty_array(field.data_type());
            let list = ListArray::try_new(Arc::clone(field), offsets, items, None).ok()?;
            Some(ScalarValue::List(Arc::new(list)))
        }
        DataType::Map(field, sorted) => {
            let entries = new_empty_array(field.data_type());
            let entries = entries.as_any().downcast_ref::<StructArray>()?.clone();
            let map = MapArray::try_new(Arc::clone(field), offsets, entries, None, *sorted).ok()?;
            Some(ScalarValue::Map(Arc::new(map)))
        }
        _ => None,
    }
}

/// A primitive value as one of the column's arrow type, also from before the column was promoted; none where the two
/// do not fit.
pub(super) fn primitive(literal: &PrimitiveLiteral, data_type: &DataType) -> Option<ScalarValue> {
    use PrimitiveLiteral as L;
    Some(match (literal, data_type) {
        (L::Boolean(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v)),
        (L::Int(v), DataType::Int32) => ScalarValue::Int32(Some(*v)),
        (L::Int(v), DataType::Date32) => ScalarValue::Date32(Some(*v)),
        (L::Int(v), DataType::Int64) => ScalarValue::Int64(Some(i64::from(*v))),
        // A date from before the column became a timestamp.
        (L::Int(days), DataType::Timestamp(unit, None)) => {
            let seconds = i64::from(*days).checked_mul(SECONDS_PER_DAY)?;
            let value = Some(seconds.checked_mul(per_second(unit))?);
            match unit {
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(value, None),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(value, None),
                _ => return None,
            }
        }
        (L::Long(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (L::Long(v), DataType::Time64(TimeUnit::Microsecond)) => {
            ScalarValue::Time64Microsecond(Some(*v))
        }
        (L::Long(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*v), zone.clone())
        }
        (L::Long(v), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
            ScalarValue::TimestampNanosecond(Some(*v), zone.clone())
        }
        (L::Float(v), DataType::Float32) => canonical_scalar(ScalarValue::Float32(Some(v.0))),
        (L::Float(v), DataType::Float64) => {
            canonical_scalar(ScalarValue::Float64(Some(f64::from(v.0))))
        }
        (L::Double(v), DataType::Float64) => canonical_scalar(ScalarValue::Float64(Some(v.0))),
        (L::String(v), DataType::Utf8) => ScalarValue::Utf8(Some(v.clone())),
        (L::Binary(v), DataType::Binary) => ScalarValue::Binary(Some(v.clone())),
        (L::Binary(v), DataType::FixedSizeBinary(n)) if v.len() == *n as usize => {
            ScalarValue::FixedSizeBinary(*n, Some(v.clone()))
        }
        (L::UInt128(v), DataType::FixedSizeBinary(16)) => {
            ScalarValue::FixedSizeBinary(16, Some(v.to_be_bytes().to_vec()))
        }
        (L::Int128(v), DataType::Decimal128(p, s)) => ScalarValue::Decimal128(Some(*v), *p, *s),
        _ => return None,
    })
}

/// Units in a second.
pub(super) fn per_second(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}
