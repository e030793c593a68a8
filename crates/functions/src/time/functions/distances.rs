//! What warehouses have beside PostgreSQL: `datediff` counts boundaries, `dateadd` adds parts.

use std::sync::Arc;

use chrono::NaiveDateTime;
use datafusion::arrow::array::{Array, AsArray, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};

use super::moments::{WALL, at, in_micros, is_moment, is_number};
use crate::function::{is_text, micros, no_such_call, out_of_range, texts};
use crate::time::interval;
use crate::time::parts::Part;
use crate::time::text::moment;

// -------- what warehouses have: datediff, dateadd

function!(
    DATE_DIFF,
    "datediff",
    &["date_diff", "timestampdiff"],
    |types| match types {
        [p, a, b]
            if is_text(p)
                && [a, b]
                    .iter()
                    .all(|t| is_moment(t) || is_text(t) || t.is_null()) =>
        {
            Ok(vec![DataType::Utf8, WALL, WALL])
        }
        _ => Err(no_such_call(
            "datediff",
            types,
            "a part, the earlier and the later timestamp"
        )),
    },
    |_, _| Ok(DataType::Int64),
    |args, _| {
        let [name, from, to] = args else {
            return exec_err!("datediff takes three arguments");
        };
        let names = texts(name)?;
        let (from, to) = (micros(from)?, micros(to)?);
        let out = (0..names.len()).map(|row| {
            if names.is_null(row) || from.is_null(row) || to.is_null(row) {
                return Ok(None);
            }
            let part = Part::named(names.value(row))?;
            boundaries(part, at(from.value(row))?, at(to.value(row))?).map(Some)
        });
        Ok(Arc::new(
            out.collect::<Result<Vec<_>>>()?
                .into_iter()
                .collect::<Int64Array>(),
        ))
    }
);

/// How many boundaries of a part lie between two moments.
fn boundaries(part: Part, from: NaiveDateTime, to: NaiveDateTime) -> Result<i64> {
    use chrono::Datelike;
    let months = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
    let length = match part {
        Part::Year => return Ok(i64::from(to.year() - from.year())),
        Part::Quarter => return Ok(months(to).div_euclid(3) - months(from).div_euclid(3)),
        Part::Month => return Ok(months(to) - months(from)),
        Part::Decade => {
            return Ok(i64::from(
                to.year().div_euclid(10) - from.year().div_euclid(10),
            ));
        }
        Part::Week => 7 * interval::DAY,
        Part::Day => interval::DAY,
        Part::Hour => 3_600_000_000,
        Part::Minute => 60_000_000,
        Part::Second => 1_000_000,
        Part::Millisecond => 1000,
        Part::Microsecond => 1,
        _ => {
            return exec_err!(
                "datediff counts years, quarters, months, weeks, days, hours, minutes, seconds and below"
            );
        }
    };
    let cut = |at: NaiveDateTime| {
        part.cut(at)
            .map(|at| at.and_utc().timestamp_micros())
            .ok_or_else(|| out_of_range("a timestamp"))
    };
    Ok((cut(to)? - cut(from)?) / length)
}

function!(
    DATE_ADD,
    "dateadd",
    &["timestampadd"],
    |types| match types {
        [p, n, t] if is_text(p) && (is_number(n) || n.is_null()) => Ok(vec![
            DataType::Utf8,
            DataType::Int64,
            match t {
                DataType::Date32 => DataType::Date32,
                t if is_moment(t) => in_micros(t),
                t if is_text(t) || t.is_null() => WALL,
                _ =>
                    return Err(no_such_call(
                        "dateadd",
                        types,
                        "a part, a number and a timestamp"
                    )),
            }
        ]),
        _ => Err(no_such_call(
            "dateadd",
            types,
            "a part, a number and a timestamp"
        )),
    },
    |types, _| match types {
        [_, _, t] => Ok(match t {
            DataType::Date32 => WALL,
            t => t.clone(),
        }),
        _ => plan_err!("dateadd takes three arguments"),
    },
    |args, to| {
        let [name, number, value] = args else {
            return exec_err!("dateadd takes three arguments");
        };
        let names = texts(name)?;
        let numbers = number.as_primitive::<Int64Type>();
        let moments = micros(value)?;
        let out = (0..names.len()).map(|row| {
            if names.is_null(row) || numbers.is_null(row) || moments.is_null(row) {
                return Ok(None);
            }
            added(
                Part::named(names.value(row))?,
                numbers.value(row),
                at(moments.value(row))?,
            )
            .map(Some)
        });
        let out = TimestampMicrosecondArray::from(out.collect::<Result<Vec<_>>>()?);
        Ok(Arc::new(out.with_data_type(to.clone())))
    }
);

fn added(part: Part, number: i64, at: NaiveDateTime) -> Result<i64> {
    use chrono::Months;
    let beyond = || out_of_range("a timestamp");
    let months = match part {
        Part::Year => Some(12),
        Part::Quarter => Some(3),
        Part::Month => Some(1),
        Part::Decade => Some(120),
        _ => None,
    };
    if let Some(months) = months {
        let months = number.checked_mul(months).ok_or_else(beyond)?;
        let distance = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| beyond())?);
        let moved = if months < 0 {
            at.checked_sub_months(distance)
        } else {
            at.checked_add_months(distance)
        };
        return Ok(moved.ok_or_else(beyond)?.and_utc().timestamp_micros());
    }
    let unit = match part {
        Part::Week => 7 * interval::DAY,
        Part::Day => interval::DAY,
        Part::Hour => 3_600_000_000,
        Part::Minute => 60_000_000,
        Part::Second => 1_000_000,
        Part::Millisecond => 1000,
        Part::Microsecond => 1,
        _ => {
            return exec_err!(
                "dateadd adds years, quarters, months, weeks, days, hours, minutes, seconds and below"
            );
        }
    };
    let micros = number
        .checked_mul(unit)
        .and_then(|d| d.checked_add(at.and_utc().timestamp_micros()))
        .ok_or_else(beyond)?;
    moment(micros).map(|_| micros).ok_or_else(beyond)
}
