//! The transforms of the Iceberg specification on arrow arrays.

use std::sync::Arc;

use datafusion::arrow::array::types::{Date32Type, Int32Type, Int64Type};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, Int32Array, PrimitiveArray,
    StringArray, new_null_array,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use datafusion::arrow::error::ArrowError;
use iceberg::spec::Transform;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// The partition values of a column; null stays null.
pub(super) fn apply(transform: Transform, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match transform {
        Transform::Identity => Ok(Arc::clone(column)),
        Transform::Void => Ok(new_null_array(column.data_type(), column.len())),
        Transform::Year => days(column, |day| civil(day).0 - 1970),
        Transform::Month => days(column, |day| {
            let (year, month) = civil(day);
            (year - 1970) * 12 + month - 1
        }),
        Transform::Day => days(column, |day| day),
        Transform::Hour => hours(column),
        Transform::Bucket(n) => bucket(n, column),
        Transform::Truncate(width) => truncate(width, column),
        Transform::Unknown => Err(refused(transform, column)),
    }
}

fn refused(transform: Transform, column: &ArrayRef) -> ArrowError {
    let data_type = column.data_type();
    ArrowError::InvalidArgumentError(format!("{transform} does not apply to {data_type}"))
}

fn map<T: ArrowPrimitiveType>(column: &ArrayRef, f: impl Fn(T::Native) -> i32) -> ArrayRef {
    let values: &PrimitiveArray<T> = column.as_primitive();
    Arc::new(values.unary::<_, Int32Type>(f))
}

/// Applies `f` to the days since 1970 of dates and timestamps.
fn days(column: &ArrayRef, f: impl Fn(i32) -> i32) -> Result<ArrayRef, ArrowError> {
    let day = |micros: i64| micros.div_euclid(MICROS_PER_DAY) as i32;
    Ok(match column.data_type() {
        DataType::Date32 => map::<Date32Type>(column, f),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType>(column, |micros| f(day(micros)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType>(column, |nanos| f(day(nanos.div_euclid(1000))))
        }
        _ => return Err(refused(Transform::Day, column)),
    })
}

fn hours(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let hour = |micros: i64| micros.div_euclid(MICROS_PER_HOUR) as i32;
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType>(column, hour)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType>(column, |nanos| hour(nanos.div_euclid(1000)))
        }
        _ => return Err(refused(Transform::Hour, column)),
    })
}

/// Year and month (1 to 12) of a day since 1970 in the proleptic Gregorian calendar, which repeats every 400 years.
pub(super) fn civil(day: i32) -> (i32, i32) {
    let day = i64::from(day) + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    // Years begin in March here, so that a leap day is a year's last.
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year as i32, month as i32)
}

fn bucket(n: u32, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let of = |hash: i32| (hash & i32::MAX) % n as i32;
    let of_long = |value: i64| of(hash_long(value));
    fn of_bytes<'a, B: AsRef<[u8]> + ?Sized + 'a>(
        values: impl Iterator<Item = Option<&'a B>>,
        of: impl Fn(i32) -> i32,
    ) -> ArrayRef {
        let buckets = values.map(|value| value.map(|v| of(hash(v.as_ref()))));
        Arc::new(buckets.collect::<Int32Array>())
    }
    Ok(match column.data_type() {
        DataType::Int32 => map::<Int32Type>(column, |v| of_long(i64::from(v))),
        DataType::Int64 => map::<Int64Type>(column, of_long),
        DataType::Date32 => map::<Date32Type>(column, |v| of_long(i64::from(v))),
        DataType::Time64(TimeUnit::Microsecond) => map::<Time64MicrosecondType>(column, of_long),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType>(column, of_long)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType>(column, |nanos| of_long(nanos.div_euclid(1000)))
        }
        DataType::Decimal128(..) => map::<Decimal128Type>(column, |v| of(hash_decimal(v))),
        DataType::Utf8 => of_bytes(column.as_string::<i32>().iter(), of),
        DataType::Binary => of_bytes(column.as_binary::<i32>().iter(), of),
        DataType::FixedSizeBinary(_) => of_bytes(column.as_fixed_size_binary().iter(), of),
        _ => return Err(refused(Transform::Bucket(n), column)),
    })
}

fn truncate(width: u32, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wide = i64::from(width);
    Ok(match column.data_type() {
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            // Towards minus infinity; the smallest numbers wrap, as they do in Java.
            let down = |v: i32| v.wrapping_sub(i64::from(v).rem_euclid(wide) as i32);
            Arc::new(values.unary::<_, Int32Type>(down))
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            Arc::new(values.unary::<_, Int64Type>(|v| v.wrapping_sub(v.rem_euclid(wide))))
        }
        DataType::Decimal128(precision, scale) => {
            let values = column.as_primitive::<Decimal128Type>();
            let down = |v: i128| v - v.rem_euclid(i128::from(width));
            let values = values.unary::<_, Decimal128Type>(down);
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>().iter();
            let head = |text: &str| match text.char_indices().nth(width as usize) {
                Some((end, _)) => text[..end].to_owned(),
                None => text.to_owned(),
            };
            Arc::new(values.map(|v| v.map(head)).collect::<StringArray>())
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>().iter();
            let head = |bytes: &[u8]| bytes[..bytes.len().min(width as usize)].to_vec();
            Arc::new(values.map(|v| v.map(head)).collect::<BinaryArray>())
        }
        _ => return Err(refused(Transform::Truncate(width), column)),
    })
}

pub(super) fn hash_long(value: i64) -> i32 {
    hash(&value.to_le_bytes())
}

pub(super) fn hash_decimal(unscaled: i128) -> i32 {
    hash(crate::write::minimal_be(&unscaled.to_be_bytes()))
}

/// Murmur3, 32 bits, x86 variant, seed 0.
pub(super) fn hash(bytes: &[u8]) -> i32 {
    let mix = |k: u32| {
        k.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let mut h = 0u32;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        h = (h ^ mix(u32::from_le_bytes(*block))).rotate_left(13);
        h = h.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut rest = [0; 4];
    rest[..tail.len()].copy_from_slice(tail);
    h ^= mix(u32::from_le_bytes(rest));
    h ^= bytes.len() as u32;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    (h ^ (h >> 16)) as i32
}
