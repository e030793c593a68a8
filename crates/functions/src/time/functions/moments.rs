//! Types and values of moments, as all functions of them need.

use chrono::NaiveDateTime;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Result;

use crate::function::out_of_range;
use crate::time::interval;
use crate::time::text::moment;

/// The type of a wall clock.
pub(super) const WALL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The type of moments in UTC.
pub(super) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

pub(super) fn is_moment(t: &DataType) -> bool {
    matches!(
        t,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
    )
}

pub(super) fn is_zoned(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(_, Some(_)))
}

pub(super) fn is_number(t: &DataType) -> bool {
    t.is_numeric()
}

/// Microseconds for a moment of any type, with its zone kept.
pub(super) fn in_micros(t: &DataType) -> DataType {
    match t {
        DataType::Timestamp(_, Some(_)) => utc(),
        _ => WALL,
    }
}

/// A wall clock from microseconds since 1970.
pub(super) fn at(micros: i64) -> Result<NaiveDateTime> {
    moment(micros).ok_or_else(|| out_of_range("a timestamp"))
}

/// Days since 1970.
pub(super) fn days(at: NaiveDateTime) -> i32 {
    at.and_utc().timestamp_micros().div_euclid(interval::DAY) as i32
}
