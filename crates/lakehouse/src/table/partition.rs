//! Partition fields: their text, their transforms and their values.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result as DfResult};
use iceberg::spec::{
    Literal, PartitionSpec, PrimitiveLiteral, Schema, Struct, Transform, Type,
    UnboundPartitionField,
};
use murmur3::murmur3_32;

use crate::error::{LakehouseError, Result};
use crate::table::LakeTable;
use retail_api::TableName;

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// The partition spec of a table from a model's fields: `order_date`, `day(ts)`, `bucket(16, id)`.
///
/// An equal spec of `base` is used again, so that its id stays. A field that any spec of `base` has
/// had keeps its id, and a new field gets one that none has had.
pub(crate) fn spec(
    table: &TableName,
    base: Option<&LakeTable>,
    schema: &Schema,
    fields: &[String],
) -> Result<PartitionSpec> {
    let next_id = base.map_or(0, |base| {
        base.metadata()
            .partition_specs_iter()
            .map(|s| s.spec_id())
            .max()
            .unwrap_or(0)
            + 1
    });
    let mut builder = PartitionSpec::builder(schema.clone()).with_spec_id(next_id);
    if let Some(base) = base {
        builder = builder.with_last_assigned_field_id(base.metadata().last_partition_id());
    }
    for field in fields {
        let invalid = |reason: String| LakehouseError::InvalidPartition {
            table: table.clone(),
            field: field.clone(),
            reason,
        };
        let (transform, column) = parse(field).ok_or_else(|| {
            invalid("write a column, or year|month|day|hour(column), bucket(n, column), truncate(n, column)".to_owned())
        })?;
        let source = schema.as_struct().field_by_name(column);
        let source = source.ok_or_else(|| invalid(format!("the table has no column {column}")))?;
        if transform.result_type(&source.field_type).is_err() {
            return Err(invalid(format!(
                "{} of a {} column is not defined",
                transform, source.field_type
            )));
        }
        let name = match transform {
            Transform::Identity => column.to_owned(),
            Transform::Bucket(_) => format!("{column}_bucket"),
            Transform::Truncate(_) => format!("{column}_trunc"),
            other => format!("{column}_{other}"),
        };
        let specs = base
            .into_iter()
            .flat_map(|base| base.metadata().partition_specs_iter());
        let mut known = specs
            .flat_map(|s| s.fields())
            .filter(|f| f.source_id == source.id && f.transform == transform);
        let field = UnboundPartitionField {
            source_id: source.id,
            field_id: known.next().map(|f| f.field_id),
            name,
            transform,
        };
        builder = builder
            .add_unbound_field(field)
            .map_err(|e| invalid(e.message().to_owned()))?;
    }
    let built = builder
        .build()
        .map_err(LakehouseError::metadata(table, "build the partition spec"))?;
    let same = base.and_then(|base| {
        base.metadata()
            .partition_specs_iter()
            .find(|s| s.is_compatible_with(&built))
    });
    Ok(same.map_or(built, |same| same.as_ref().clone()))
}

/// `bucket(16, id)` as transform and column.
fn parse(field: &str) -> Option<(Transform, &str)> {
    let field = field.trim();
    let Some((function, rest)) = field.split_once('(') else {
        return (!field.is_empty()).then_some((Transform::Identity, field));
    };
    let inner = rest.strip_suffix(')')?.trim();
    let sized = || {
        let (n, column) = inner.split_once(',')?;
        Some((
            n.trim().parse::<u32>().ok().filter(|n| *n > 0)?,
            column.trim(),
        ))
    };
    Some(match function.trim().to_ascii_lowercase().as_str() {
        "identity" => (Transform::Identity, inner),
        "year" | "years" => (Transform::Year, inner),
        "month" | "months" => (Transform::Month, inner),
        "day" | "days" => (Transform::Day, inner),
        "hour" | "hours" => (Transform::Hour, inner),
        "bucket" => sized().map(|(n, column)| (Transform::Bucket(n), column))?,
        "truncate" => sized().map(|(n, column)| (Transform::Truncate(n), column))?,
        _ => return None,
    })
}

/// A column's partition values: an array of the transform's result type.
///
/// Definitions of the transforms: Iceberg table spec, "Partition Transforms" and appendix B.
pub(crate) fn values(transform: Transform, column: &ArrayRef) -> DfResult<ArrayRef> {
    let column = match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values)?,
        _ => Arc::clone(column),
    };
    Ok(match transform {
        Transform::Identity => column,
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
            Arc::new(time_parts(transform, &column)?)
        }
        Transform::Bucket(n) => Arc::new(buckets(n, &column)?),
        Transform::Truncate(width) => truncated(width, &column)?,
        other => return Err(not_written(other, column.data_type())),
    })
}

fn not_written(transform: Transform, data_type: &DataType) -> DataFusionError {
    DataFusionError::NotImplemented(format!("writing partitions by {transform} of {data_type}"))
}

fn time_parts(transform: Transform, column: &ArrayRef) -> DfResult<Int32Array> {
    let micros = |micros: i64| match transform {
        Transform::Hour => micros.div_euclid(MICROS_PER_HOUR) as i32,
        Transform::Day => micros.div_euclid(MICROS_PER_DAY) as i32,
        _ => date_part(transform, micros.div_euclid(MICROS_PER_DAY) as i32),
    };
    match column.data_type() {
        DataType::Date32 if transform != Transform::Hour => {
            let days = column.as_primitive::<Date32Type>();
            Ok(days
                .iter()
                .map(|d| d.map(|d| date_part(transform, d)))
                .collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            Ok(times.iter().map(|t| t.map(micros)).collect())
        }
        other => Err(not_written(transform, other)),
    }
}

/// Years, months or days since 1970-01-01, from days since then.
fn date_part(transform: Transform, days: i32) -> i32 {
    use chrono::Datelike;
    let epoch = chrono::NaiveDate::default();
    match (
        transform,
        epoch.checked_add_signed(chrono::Duration::days(i64::from(days))),
    ) {
        (Transform::Year, Some(date)) => date.year() - 1970,
        (Transform::Month, Some(date)) => (date.year() - 1970) * 12 + date.month0() as i32,
        _ => days,
    }
}

fn buckets(n: u32, column: &ArrayRef) -> DfResult<Int32Array> {
    let of = |bytes: &[u8]| ((murmur3(bytes) & i32::MAX as u32) % n) as i32;
    Ok(match column.data_type() {
        DataType::Int32 => column
            .as_primitive::<Int32Type>()
            .iter()
            .map(|v| v.map(|v| of(&i64::from(v).to_le_bytes())))
            .collect(),
        DataType::Date32 => column
            .as_primitive::<Date32Type>()
            .iter()
            .map(|v| v.map(|v| of(&i64::from(v).to_le_bytes())))
            .collect(),
        DataType::Int64 => column
            .as_primitive::<Int64Type>()
            .iter()
            .map(|v| v.map(|v| of(&v.to_le_bytes())))
            .collect(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            times
                .iter()
                .map(|v| v.map(|v| of(&v.to_le_bytes())))
                .collect()
        }
        DataType::Decimal128(..) => {
            let decimals = column.as_primitive::<Decimal128Type>();
            decimals
                .iter()
                .map(|v| v.map(|v| of(&minimal_big_endian(v))))
                .collect()
        }
        DataType::Utf8 => column
            .as_string::<i32>()
            .iter()
            .map(|v| v.map(|v| of(v.as_bytes())))
            .collect(),
        DataType::Binary => column
            .as_binary::<i32>()
            .iter()
            .map(|v| v.map(of))
            .collect(),
        DataType::FixedSizeBinary(_) => column
            .as_fixed_size_binary()
            .iter()
            .map(|v| v.map(of))
            .collect(),
        other => return Err(not_written(Transform::Bucket(n), other)),
    })
}

fn truncated(width: u32, column: &ArrayRef) -> DfResult<ArrayRef> {
    let w = i64::from(width);
    Ok(match column.data_type() {
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            // The smallest numbers wrap, as they do in Java.
            let floor = |v: i32| v.wrapping_sub(i64::from(v).rem_euclid(w) as i32);
            Arc::new(values.iter().map(|v| v.map(floor)).collect::<Int32Array>())
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            let floor = |v: i64| v.wrapping_sub(v.rem_euclid(w));
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(floor))
                    .collect::<datafusion::arrow::array::Int64Array>(),
            )
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            let cut = |v: &str| v.chars().take(width as usize).collect::<String>();
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(cut))
                    .collect::<datafusion::arrow::array::StringArray>(),
            )
        }
        other => return Err(not_written(Transform::Truncate(width), other)),
    })
}

/// Two's complement, big endian, as few bytes as hold the value: how Iceberg stores and hashes decimals.
pub(crate) fn minimal_big_endian(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let redundant = |i: usize| match bytes[i] {
        0x00 => bytes[i + 1] < 0x80,
        0xff => bytes[i + 1] >= 0x80,
        _ => false,
    };
    let start = (0..15).find(|i| !redundant(*i)).unwrap_or(15);
    bytes[start..].to_vec()
}

/// 32-bit Murmur3, x86 variant, seed 0 (Iceberg table spec, appendix B).
fn murmur3(mut bytes: &[u8]) -> u32 {
    murmur3_32(&mut bytes, 0).expect("bytes in memory can be read")
}

/// Row `row` of a transform's result as Iceberg's literal; none for null.
pub(crate) fn literal(
    transform: Transform,
    values: &ArrayRef,
    row: usize,
) -> DfResult<Option<Literal>> {
    if values.is_null(row) {
        return Ok(None);
    }
    if transform == Transform::Day {
        return Ok(Some(Literal::date(
            values.as_primitive::<Int32Type>().value(row),
        )));
    }
    Ok(Some(match values.data_type() {
        DataType::Boolean => Literal::bool(values.as_boolean().value(row)),
        DataType::Int32 => Literal::int(values.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Literal::long(values.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => Literal::date(values.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            Literal::timestamp(values.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            Literal::timestamptz(values.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Utf8 => Literal::string(values.as_string::<i32>().value(row)),
        DataType::Decimal128(..) => {
            Literal::decimal(values.as_primitive::<Decimal128Type>().value(row))
        }
        other => return Err(not_written(transform, other)),
    }))
}

/// The folders of a partition, `order_date_month=2024-01/store=S+1%2F2`, named and escaped as Java does.
///
/// Unescaped, a value would make folders of its own, or a path that no store takes.
pub(crate) fn path(spec: &PartitionSpec, schema: &Schema, values: &Struct) -> String {
    let mut path = String::new();
    for (field, value) in spec.fields().iter().zip(values.iter()) {
        if !path.is_empty() {
            path.push('/');
        }
        escape(&field.name, &mut path);
        path.push('=');
        let source = schema.field_by_id(field.source_id);
        let result = source.and_then(|source| field.transform.result_type(&source.field_type).ok());
        match result {
            Some(result) => escape(&text(field.transform, &result, value), &mut path),
            None => path.push_str("null"),
        }
    }
    path
}

fn text(transform: Transform, result: &Type, value: Option<&Literal>) -> String {
    let Some(Literal::Primitive(PrimitiveLiteral::Int(n))) = value else {
        return transform.to_human_string(result, value);
    };
    let date = |days: i32| {
        let date = chrono::NaiveDate::default()
            .checked_add_signed(chrono::Duration::days(i64::from(days)));
        date.map_or_else(|| days.to_string(), |date| date.to_string())
    };
    match transform {
        Transform::Year => format!("{:04}", 1970 + n),
        Transform::Month => format!("{:04}-{:02}", 1970 + n.div_euclid(12), n.rem_euclid(12) + 1),
        Transform::Day => date(*n),
        Transform::Hour => format!("{}-{:02}", date(n.div_euclid(24)), n.rem_euclid(24)),
        _ => transform.to_human_string(result, value),
    }
}

/// As `java.net.URLEncoder` does.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            byte => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
