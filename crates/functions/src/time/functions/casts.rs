//! Casts of texts and times, `at time zone`, and arithmetic of intervals.

use std::sync::Arc;

use chrono::NaiveDateTime;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};

use super::moments::{WALL, at, days, in_micros, is_moment, is_number, is_zoned, utc};
use crate::function::{is_text, micros, no_such_call, out_of_range, texts};
use crate::time::interval::{self, DURATION, INTERVAL, Span, is_interval};
use crate::time::text::{Zone, of_moment, read};
use crate::time::zone;

// -------- casts

function!(
    TEXT_OF,
    "time_text",
    &[],
    |types| match types {
        [t] if is_moment(t) => Ok(vec![in_micros(t)]),
        [DataType::Duration(_)] => Ok(vec![DURATION]),
        [DataType::Interval(_)] => Ok(vec![INTERVAL]),
        _ => Err(no_such_call(
            "time_text",
            types,
            "a timestamp or an interval"
        )),
    },
    |_, _| Ok(DataType::Utf8),
    |args, _| {
        let [value] = args else {
            return exec_err!("time_text takes one argument");
        };
        if is_interval(value.data_type()) {
            let spans = interval::spans(value)?
                .into_iter()
                .map(|s| s.map(|s| s.to_string()));
            return Ok(Arc::new(spans.collect::<StringArray>()));
        }
        let zoned = is_zoned(value.data_type());
        let text = micros(value)?
            .iter()
            .map(|m| m.map(|m| Ok(of_moment(at(m)?, zoned))).transpose())
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StringArray::from(text)))
    }
);

// The engine's cast claims that times of day are in the order of their moments.
function!(
    TIME_OF_DAY,
    "time_of_day",
    &[],
    |types| match types {
        [t] if is_moment(t) => Ok(vec![in_micros(t)]),
        _ => Err(no_such_call("time_of_day", types, "a timestamp")),
    },
    |_, _| Ok(DataType::Time64(TimeUnit::Microsecond)),
    |args, to| {
        let [value] = args else {
            return exec_err!("time_of_day takes one argument");
        };
        Ok(cast(value, to)?)
    }
);

function!(
    FROM_TEXT,
    "time_from_text",
    &[],
    |types| match types {
        [t, to, DataType::Boolean] if is_text(t) && is_moment(to) =>
            Ok(vec![DataType::Utf8, to.clone(), DataType::Boolean]),
        _ => Err(no_such_call(
            "time_from_text",
            types,
            "text, a type and whether it tries"
        )),
    },
    |types, _| match types {
        [_, to, _] => Ok(to.clone()),
        _ => plan_err!("time_from_text takes three arguments"),
    },
    |args, to| {
        let [value, _, tries] = args else {
            return exec_err!("time_from_text takes three arguments");
        };
        let values = texts(value)?;
        let tries = tries.as_boolean();
        let moments = (0..values.len())
            .map(|row| {
                if values.is_null(row) {
                    return Ok(None);
                }
                match from_text(values.value(row), to) {
                    Err(_) if tries.value(row) => Ok(None),
                    found => found.map(Some),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(match to {
            DataType::Date32 => Arc::new(
                moments
                    .into_iter()
                    .map(|m| m.map(days))
                    .collect::<Date32Array>(),
            ) as ArrayRef,
            to => {
                let micros = moments
                    .into_iter()
                    .map(|m| m.map(|m| m.and_utc().timestamp_micros()));
                let micros = Arc::new(micros.collect::<TimestampMicrosecondArray>()) as ArrayRef;
                match to {
                    DataType::Timestamp(TimeUnit::Microsecond, None) => micros,
                    // The values are in UTC already: only the type changes.
                    DataType::Timestamp(unit, zone) => {
                        let micros = datafusion::arrow::compute::cast(
                            &micros,
                            &DataType::Timestamp(*unit, None),
                        )?;
                        let micros = datafusion::arrow::compute::cast(&micros, &DataType::Int64)?;
                        datafusion::arrow::compute::cast(
                            &micros,
                            &DataType::Timestamp(*unit, zone.clone()),
                        )?
                    }
                    to => datafusion::arrow::compute::cast(&micros, to)?,
                }
            }
        })
    }
);

/// A wall clock with a zone behind it, in UTC.
///
/// # Errors
/// There is no such zone, or no such moment.
pub(super) fn in_utc(at: NaiveDateTime, zone: Zone<'_>) -> Result<NaiveDateTime> {
    match zone {
        Zone::None => Some(at),
        Zone::Offset(seconds) => {
            at.checked_sub_signed(chrono::TimeDelta::seconds(i64::from(seconds)))
        }
        Zone::Named(name) => zone::to_utc(at, zone::named(name)?),
    }
    .ok_or_else(|| out_of_range("the timestamp"))
}

/// A text as a date, a wall clock (a zone in the text is not looked at) or a moment.
fn from_text(text: &str, to: &DataType) -> Result<NaiveDateTime> {
    let found = read(text).ok_or_else(|| {
        exec_datafusion_err!(
            "cannot cast '{text}' to {}: the text is not one; try_cast gives NULL instead",
            crate::type_name::type_name(to)
        )
    })?;
    match (to, found) {
        (DataType::Timestamp(_, Some(_)), (at, zone)) => in_utc(at, zone),
        (_, (at, _)) => Ok(at),
    }
}

// -------- at time zone

function!(
    TIMEZONE,
    "timezone",
    &[],
    |types| match types {
        [z, t] if is_text(z) || z.is_null() => Ok(vec![
            DataType::Utf8,
            match t {
                DataType::Timestamp(..) => in_micros(t),
                // As in PostgreSQL: a date, or a text, is a moment of the session's zone, UTC.
                DataType::Date32 | DataType::Date64 | DataType::Null => utc(),
                t if is_text(t) => utc(),
                _ => return Err(no_such_call("timezone", types, "a zone and a timestamp")),
            }
        ]),
        _ => Err(no_such_call("timezone", types, "a zone and a timestamp")),
    },
    |types, _| match types {
        [_, t] => Ok(if is_zoned(t) { WALL } else { utc() }),
        _ => plan_err!("timezone takes two arguments"),
    },
    |args, _| {
        let [zones, value] = args else {
            return exec_err!("timezone takes two arguments");
        };
        let zones = texts(zones)?;
        let zoned = is_zoned(value.data_type());
        let moments = micros(value)?;
        let mut known: Option<(String, datafusion::arrow::array::timezone::Tz)> = None;
        let mut out = Vec::with_capacity(value.len());
        for row in 0..value.len() {
            if zones.is_null(row) || moments.is_null(row) {
                out.push(None);
                continue;
            }
            let name = zones.value(row);
            if known.as_ref().is_none_or(|(k, _)| k != name) {
                known = Some((name.to_owned(), zone::named(name)?));
            }
            let Some((_, tz)) = &known else { continue };
            let moment = at(moments.value(row))?;
            let moved = if zoned {
                zone::to_wall(moment, *tz)
            } else {
                zone::to_utc(moment, *tz).ok_or_else(|| out_of_range("a timestamp"))?
            };
            out.push(Some(moved.and_utc().timestamp_micros()));
        }
        let out = TimestampMicrosecondArray::from(out);
        Ok(if zoned {
            Arc::new(out)
        } else {
            Arc::new(out.with_timezone("+00:00"))
        })
    }
);

// -------- arithmetic of intervals

function!(
    TIMES,
    "interval_times",
    &[],
    |types| interval_and_number("interval_times", types),
    |types, _| Ok(types[0].clone()),
    |args, to| { scaled(args, to, |span, by| span.scaled(|part| part * by)) }
);

function!(
    OVER,
    "interval_over",
    &[],
    |types| interval_and_number("interval_over", types),
    |types, _| Ok(types[0].clone()),
    |args, to| {
        scaled(args, to, |span, by| {
            if by == 0.0 {
                return exec_err!("an interval is divided by zero");
            }
            span.scaled(|part| part / by)
        })
    }
);

function!(
    LENGTH,
    "interval_length",
    &[],
    |types| match types {
        [DataType::Duration(_)] => Ok(vec![DURATION]),
        [DataType::Interval(_)] => Ok(vec![INTERVAL]),
        _ => Err(no_such_call("interval_length", types, "an interval")),
    },
    |_, _| Ok(DataType::Int64),
    |args, _| {
        let [value] = args else {
            return exec_err!("interval_length takes one argument");
        };
        let lengths = interval::spans(value)?
            .into_iter()
            .map(|s| s.map(Span::length).transpose());
        Ok(Arc::new(
            lengths
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .collect::<Int64Array>(),
        ))
    }
);

fn interval_and_number(name: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [DataType::Duration(_), n] if is_number(n) || n.is_null() => {
            Ok(vec![DURATION, DataType::Float64])
        }
        [DataType::Interval(_), n] if is_number(n) || n.is_null() => {
            Ok(vec![INTERVAL, DataType::Float64])
        }
        _ => Err(no_such_call(name, types, "an interval and a number")),
    }
}

fn scaled(
    args: &[ArrayRef],
    to: &DataType,
    by: impl Fn(Span, f64) -> Result<Span>,
) -> Result<ArrayRef> {
    let [spans, numbers] = args else {
        return exec_err!("an interval is scaled by a number");
    };
    let numbers = numbers.as_primitive::<Float64Type>();
    let out = interval::spans(spans)?
        .into_iter()
        .zip(numbers.iter())
        .map(|pair| match pair {
            (Some(span), Some(number)) => by(span, number).map(Some),
            _ => Ok(None),
        });
    interval::column(out.collect::<Result<_>>()?, to)
}
