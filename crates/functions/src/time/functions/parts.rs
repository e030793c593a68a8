//! `extract`, `date_trunc`, `age`, `last_day`, `make_timestamp`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, Date32Array, Decimal128Array, Int64Array, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};

use super::moments::{WALL, at, days, in_micros, is_moment};
use crate::function::{is_text, micros, no_such_call, out_of_range, rows, texts};
use crate::time::interval::{self, DURATION, INTERVAL, Span, is_interval};
use crate::time::parts::{self, Part};

// -------- parts

function!(
    DATE_PART,
    "date_part",
    &["datepart"],
    |types| match types {
        [p, t] if is_text(p) => Ok(vec![
            DataType::Utf8,
            match t {
                t if is_moment(t) => in_micros(t),
                DataType::Duration(_) => DURATION,
                DataType::Interval(_) => INTERVAL,
                DataType::Time32(_) | DataType::Time64(_) =>
                    DataType::Time64(TimeUnit::Microsecond),
                t if is_text(t) || t.is_null() => WALL,
                _ =>
                    return Err(no_such_call(
                        "extract",
                        types,
                        "a part and a date, timestamp or interval"
                    )),
            }
        ]),
        _ => Err(no_such_call(
            "extract",
            types,
            "a part and a date, timestamp or interval"
        )),
    },
    |_, constants| match constants.first() {
        Some(Some(name)) =>
            Ok(Part::named(name.try_as_str().flatten().unwrap_or_default())?.answer()),
        // The engine requests types alone where it only compares them.
        _ => Ok(DataType::Decimal128(20, 6)),
    },
    |args, to| {
        let [name, value] = args else {
            return exec_err!("date_part takes two arguments");
        };
        let names = texts(name)?;
        if names.is_empty() {
            return Ok(datafusion::arrow::array::new_empty_array(to));
        }
        let part = Part::named(names.value(0))?;
        let found: Vec<Option<i128>> = if is_interval(value.data_type()) {
            interval::spans(value)?
                .into_iter()
                .map(|s| {
                    s.map(|s| {
                        part.of_span(s).ok_or_else(|| {
                            exec_datafusion_err!("an interval has no part '{}'", names.value(0))
                        })
                    })
                    .transpose()
                })
                .collect::<Result<_>>()?
        } else {
            let moments = match value.data_type() {
                DataType::Time64(_) => datafusion::arrow::compute::cast(value, &DataType::Int64)?
                    .as_primitive::<Int64Type>()
                    .clone(),
                _ => micros(value)?,
            };
            moments
                .iter()
                .map(|m| m.map(|m| Ok(part.of_moment(at(m)?))).transpose())
                .collect::<Result<_>>()?
        };
        Ok(Arc::new(
            Decimal128Array::from(found).with_data_type(to.clone()),
        ))
    }
);

function!(
    DATE_TRUNC,
    "date_trunc",
    &["datetrunc"],
    |types| match types {
        [p, t] if is_text(p) || p.is_null() => Ok(vec![
            DataType::Utf8,
            match t {
                t if is_moment(t) => in_micros(t),
                DataType::Duration(_) => DURATION,
                DataType::Interval(_) => INTERVAL,
                t if is_text(t) || t.is_null() => WALL,
                _ =>
                    return Err(no_such_call(
                        "date_trunc",
                        types,
                        "a part and a date or timestamp"
                    )),
            }
        ]),
        _ => Err(no_such_call(
            "date_trunc",
            types,
            "a part and a date or timestamp"
        )),
    },
    |types, _| match types {
        [_, t] => Ok(t.clone()),
        _ => plan_err!("date_trunc takes two arguments"),
    },
    |args, to| {
        let [name, value] = args else {
            return exec_err!("date_trunc takes two arguments");
        };
        let names = texts(name)?;
        let mut known: Option<(String, Part)> = None;
        let mut part_at = |row: usize| -> Result<Part> {
            let name = names.value(row);
            match &known {
                Some((k, part)) if k == name => Ok(*part),
                _ => {
                    let part = Part::named(name)?;
                    known = Some((name.to_owned(), part));
                    Ok(part)
                }
            }
        };
        if is_interval(to) {
            let spans = interval::spans(value)?
                .into_iter()
                .enumerate()
                .map(|(row, span)| {
                    let (false, Some(span)) = (names.is_null(row), span) else {
                        return Ok(None);
                    };
                    cut_span(part_at(row)?, span).map(Some)
                });
            return interval::column(spans.collect::<Result<_>>()?, to);
        }
        let moments = micros(value)?;
        let mut out = Vec::with_capacity(moments.len());
        for row in 0..moments.len() {
            if names.is_null(row) || moments.is_null(row) {
                out.push(None);
                continue;
            }
            let part = part_at(row)?;
            let cut = part.cut(at(moments.value(row))?).ok_or_else(|| {
                exec_datafusion_err!(
                    "date_trunc cannot cut a timestamp at '{}'",
                    names.value(row)
                )
            })?;
            out.push(Some(cut.and_utc().timestamp_micros()));
        }
        Ok(Arc::new(
            TimestampMicrosecondArray::from(out).with_data_type(to.clone()),
        ))
    }
);

fn cut_span(part: Part, span: Span) -> Result<Span> {
    let whole = |unit: i64| span.micros / unit * unit;
    let clock = |micros| Ok(Span { micros, ..span });
    let months = |unit: i32| {
        Ok(Span {
            months: span.months / unit * unit,
            ..Span::default()
        })
    };
    match part {
        Part::Microsecond => Ok(span),
        Part::Millisecond => clock(whole(1000)),
        Part::Second => clock(whole(1_000_000)),
        Part::Minute => clock(whole(60_000_000)),
        Part::Hour => clock(whole(3_600_000_000)),
        Part::Day => clock(0),
        Part::Month => months(1),
        Part::Quarter => months(3),
        Part::Year => months(12),
        _ => exec_err!(
            "date_trunc cuts an interval at years, quarters, months, days, hours, minutes or seconds"
        ),
    }
}

function!(
    AGE,
    "age",
    &[],
    |types| match types {
        [a, b]
            if [a, b]
                .iter()
                .all(|t| is_moment(t) || is_text(t) || t.is_null()) =>
        {
            Ok(vec![WALL, WALL])
        }
        _ => Err(no_such_call(
            "age",
            types,
            "two timestamps: the later and the earlier one; age(x) is age(current_date, x)"
        )),
    },
    |_, _| Ok(INTERVAL),
    |args, to| {
        let [later, earlier] = args else {
            return exec_err!("age takes two arguments");
        };
        let (later, earlier) = (micros(later)?, micros(earlier)?);
        let ages = later.iter().zip(earlier.iter()).map(|pair| match pair {
            (Some(later), Some(earlier)) => parts::age(at(later)?, at(earlier)?)
                .map(Some)
                .ok_or_else(|| out_of_range("a timestamp")),
            _ => Ok(None),
        });
        interval::column(ages.collect::<Result<_>>()?, to)
    }
);

function!(
    LAST_DAY,
    "last_day",
    &[],
    |types| match types {
        [t] if is_moment(t) || is_text(t) || t.is_null() => Ok(vec![WALL]),
        _ => Err(no_such_call("last_day", types, "a date")),
    },
    |_, _| Ok(DataType::Date32),
    |args, _| {
        let [value] = args else {
            return exec_err!("last_day takes one argument");
        };
        let last = micros(value)?
            .iter()
            .map(|m| {
                m.map(|m| {
                    let at = at(m)?;
                    let length =
                        parts::days_in_month(at.date()).ok_or_else(|| out_of_range("a date"))?;
                    Ok(days(at) + length - chrono::Datelike::day(&at) as i32)
                })
                .transpose()
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Date32Array::from(last)))
    }
);

function!(
    MAKE_TIMESTAMP,
    "make_timestamp",
    &[],
    |types| match types {
        [_, _, _, _, _, _] => Ok([vec![DataType::Int64; 5], vec![DataType::Float64]].concat()),
        _ => Err(no_such_call(
            "make_timestamp",
            types,
            "year, month, day, hour, minute and second"
        )),
    },
    |_, _| Ok(WALL),
    |args, _| {
        let [year, month, day, hour, minute, second] = args else {
            return exec_err!("make_timestamp takes six arguments");
        };
        let whole: Vec<&Int64Array> = [year, month, day, hour, minute]
            .into_iter()
            .map(|c| c.as_primitive::<Int64Type>())
            .collect();
        let second = second.as_primitive::<Float64Type>();
        let out = (0..rows(args)).map(|row| {
            if args.iter().any(|a| a.is_null(row)) {
                return Ok(None);
            }
            let part = |i: usize| u32::try_from(whole[i].value(row)).unwrap_or(u32::MAX);
            let micros = (second.value(row) * 1e6).round();
            let date = i32::try_from(whole[0].value(row))
                .ok()
                .and_then(|y| chrono::NaiveDate::from_ymd_opt(y, part(1), part(2)));
            let at = (0.0..60e6)
                .contains(&micros)
                .then_some(())
                .and(date)
                .and_then(|d| {
                    d.and_hms_micro_opt(
                        part(3),
                        part(4),
                        (micros / 1e6) as u32,
                        (micros % 1e6) as u32,
                    )
                });
            at.map(|at| Some(at.and_utc().timestamp_micros()))
                .ok_or_else(|| {
                    exec_datafusion_err!("make_timestamp names a day or a time that there is not")
                })
        });
        Ok(Arc::new(
            out.collect::<Result<Vec<_>>>()?
                .into_iter()
                .collect::<TimestampMicrosecondArray>(),
        ))
    }
);
