//! The functions themselves: what they take, what they answer, column by column.

use std::sync::{Arc, LazyLock};

use chrono::NaiveDateTime;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::interval::{self, DURATION, INTERVAL, Span, is_interval};
use super::number_pattern::NumberPattern;
use super::parts::{self, Part};
use super::pattern::{self, Piece};
use super::text::{Zone, moment, of_moment, read};
use super::to_char::{self, Written};
use super::{parse, zone};
use crate::sql::postgres::function::{
    Function, is_text, micros, no_such_call, out_of_range, rows, texts,
};

const WALL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The type of moments in UTC.
fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

fn is_moment(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

fn is_zoned(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp(_, Some(_)))
}

fn is_number(t: &DataType) -> bool {
    t.is_numeric()
}

/// Microseconds for a moment of any type, with its zone kept.
fn in_micros(t: &DataType) -> DataType {
    match t {
        DataType::Timestamp(_, Some(_)) => utc(),
        _ => WALL,
    }
}

macro_rules! function {
    ($static:ident, $name:literal, $aliases:expr, $coerce:expr, $answer:expr, $run:expr) => {
        static $static: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
            Function {
                name: $name,
                aliases: $aliases,
                coerce: $coerce,
                answer: $answer,
                run: $run,
                stays: false,
            }
            .udf()
        });
    };
}

/// All of them.
pub(in crate::sql::postgres) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        &TO_CHAR, &TO_DATE, &TO_TIMESTAMP, &TIMEZONE, &DATE_PART, &DATE_TRUNC, &AGE, &TEXT_OF, &FROM_TEXT, &TIMES, &OVER,
        &LENGTH, &MAKE_TIMESTAMP, &LAST_DAY, &DATE_DIFF, &DATE_ADD,
    ]
    .into_iter()
    .map(|f| Arc::clone(f))
    .collect()
}

/// Text of a moment or an interval, in place of the engine's casts.
pub(in crate::sql::postgres) fn text_of() -> &'static Arc<ScalarUDF> {
    &TEXT_OF
}

/// A moment from text: `moment_from_text(text, NULL::type, tries)`.
pub(in crate::sql::postgres) fn moment_from_text() -> &'static Arc<ScalarUDF> {
    &FROM_TEXT
}

/// `interval_times(interval, number)`.
pub(in crate::sql::postgres) fn interval_times() -> &'static Arc<ScalarUDF> {
    &TIMES
}

/// `interval_over(interval, number)`.
pub(in crate::sql::postgres) fn interval_over() -> &'static Arc<ScalarUDF> {
    &OVER
}

/// `interval_length(interval)`: what intervals are compared by.
pub(in crate::sql::postgres) fn interval_length() -> &'static Arc<ScalarUDF> {
    &LENGTH
}

/// The types of a wall clock and of a moment.
pub(in crate::sql::postgres) fn wall_clock_and_moment() -> (DataType, DataType) {
    (WALL, utc())
}

/// An interval from its text, as a constant.
pub(in crate::sql::postgres) fn read_interval(text: &str) -> Option<ScalarValue> {
    let column = interval::column(vec![Some(Span::read(text)?)], &INTERVAL).ok()?;
    ScalarValue::try_from_array(&column, 0).ok()
}

// -------- to_char

function!(TO_CHAR, "to_char", &["date_format"], |types| match types {
    [t, f] if is_text(f) || f.is_null() => Ok(vec![
        match t {
            t if is_moment(t) => in_micros(t),
            DataType::Duration(_) => DURATION,
            DataType::Interval(_) => INTERVAL,
            t if is_number(t) => t.clone(),
            DataType::Null => WALL,
            _ => return Err(no_such_call("to_char", types, "a date, timestamp, interval or number, and a pattern")),
        },
        DataType::Utf8,
    ]),
    _ => Err(no_such_call("to_char", types, "a date, timestamp, interval or number, and a pattern")),
}, |_, _| Ok(DataType::Utf8), |args, _| {
    let [value, pattern] = args else { return exec_err!("to_char takes two arguments") };
    let patterns = texts(pattern)?;
    if is_number(value.data_type()) {
        return numbers_to_char(value, &patterns);
    }
    let zoned = is_zoned(value.data_type());
    let spans = is_interval(value.data_type()).then(|| interval::spans(value)).transpose()?;
    let moments = spans.is_none().then(|| micros(value)).transpose()?;
    let mut known: Option<(String, Pattern)> = None;
    let mut out = Vec::with_capacity(value.len());
    for row in 0..value.len() {
        if value.is_null(row) || patterns.is_null(row) {
            out.push(None);
            continue;
        }
        let text = patterns.value(row);
        if known.as_ref().is_none_or(|(k, _)| k != text) {
            known = Some((text.to_owned(), Pattern::read(text)?));
        }
        let Some((_, pattern)) = &known else { continue };
        let what = match (&spans, &moments) {
            (Some(spans), _) => spans[row].map(Written::Interval),
            (_, Some(moments)) => Some(Written::Moment(at(moments.value(row))?, zoned)),
            _ => None,
        };
        out.push(what.map(|what| pattern.write(what)).transpose()?);
    }
    Ok(Arc::new(StringArray::from(out)))
});

/// A pattern of PostgreSQL's, or one of strftime's: those have a percent sign before each field.
enum Pattern {
    Postgres(Vec<Piece>),
    Strftime(String),
}

impl Pattern {
    fn read(text: &str) -> Result<Self> {
        if is_strftime(text) {
            return Ok(Self::Strftime(text.to_owned()));
        }
        Ok(Self::Postgres(pattern::read(text)?))
    }

    fn write(&self, what: Written) -> Result<String> {
        match (self, what) {
            (Self::Postgres(pieces), what) => to_char::write(pieces, what),
            (Self::Strftime(format), Written::Moment(at, _)) => {
                use std::fmt::Write;
                let mut out = String::new();
                write!(out, "{}", at.and_utc().format(format))
                    .map_err(|_| exec_datafusion_err!("'{format}' is no pattern of strftime"))?;
                Ok(out)
            }
            (Self::Strftime(_), Written::Interval(_)) => {
                exec_err!("an interval has no strftime form; use a pattern such as 'HH24:MI'")
            }
        }
    }
}

fn is_strftime(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' && chars.clone().next().is_some_and(|c| c.is_ascii_alphabetic()) {
            return true;
        }
    }
    false
}

fn numbers_to_char(value: &ArrayRef, patterns: &StringArray) -> Result<ArrayRef> {
    let mut known: Option<(String, NumberPattern, ArrayRef)> = None;
    let mut out = Vec::with_capacity(value.len());
    for row in 0..value.len() {
        if value.is_null(row) || patterns.is_null(row) {
            out.push(None);
            continue;
        }
        let text = patterns.value(row);
        if known.as_ref().is_none_or(|(k, ..)| k != text) {
            let pattern = NumberPattern::read(text)?;
            let digits = digits(value, pattern.scale())?;
            known = Some((text.to_owned(), pattern, digits));
        }
        if let Some((_, pattern, digits)) = &known {
            out.push(Some(pattern.write(digits.as_string::<i32>().value(row))));
        }
    }
    Ok(Arc::new(StringArray::from(out)))
}

/// Numbers as digits, rounded half away from zero to `scale` of them behind the point.
fn digits(value: &ArrayRef, scale: usize) -> Result<ArrayRef> {
    use datafusion::arrow::compute::{CastOptions, cast_with_options};
    if value.data_type().is_floating() {
        let doubles = datafusion::arrow::compute::cast(value, &DataType::Float64)?;
        let doubles = doubles.as_primitive::<Float64Type>();
        let text = doubles.iter().map(|v| v.map(|v| format!("{v:.scale$}")));
        return Ok(Arc::new(text.collect::<StringArray>()));
    }
    let strict = CastOptions { safe: false, ..Default::default() };
    let to = DataType::Decimal128(38, scale.min(37) as i8);
    let rounded = cast_with_options(value, &to, &strict)?;
    Ok(datafusion::arrow::compute::cast(&rounded, &DataType::Utf8)?)
}

// -------- to_date, to_timestamp

const FORM: &str = "text and a pattern";

function!(TO_DATE, "to_date", &[], |types| match types {
    [t] if is_text(t) || t.is_null() => Ok(vec![DataType::Utf8]),
    [t] if is_moment(t) => Ok(vec![in_micros(t)]),
    [t, f] if (is_text(t) || t.is_null()) && (is_text(f) || f.is_null()) => Ok(vec![DataType::Utf8; 2]),
    _ => Err(no_such_call("to_date", types, FORM)),
}, |_, _| Ok(DataType::Date32), |args, _| {
    if let [value] = args && !is_text(value.data_type()) {
        return Ok(datafusion::arrow::compute::cast(value, &DataType::Date32)?);
    }
    let moments = in_form(args)?;
    Ok(Arc::new(moments.into_iter().map(|m| m.map(|(at, _)| days(at))).collect::<Date32Array>()))
});

function!(TO_TIMESTAMP, "to_timestamp", &["to_timestamp_micros", "strptime"], |types| match types {
    [t] if is_text(t) || t.is_null() => Ok(vec![DataType::Utf8]),
    [t] if is_number(t) => Ok(vec![if t.is_integer() { DataType::Int64 } else if t.is_decimal() { DataType::Decimal128(38, 6) } else { DataType::Float64 }]),
    [t] if is_moment(t) => Ok(vec![in_micros(t)]),
    [t, f] if (is_text(t) || t.is_null()) && (is_text(f) || f.is_null()) => Ok(vec![DataType::Utf8; 2]),
    _ => Err(no_such_call("to_timestamp", types, "seconds since 1970, or text and a pattern")),
}, |_, _| Ok(utc()), |args, _| {
    let [value, ..] = args else { return exec_err!("to_timestamp takes arguments") };
    let found: Vec<Option<i64>> = match value.data_type() {
        t if is_text(t) => in_form(args)?
            .into_iter()
            .map(|m| m.map(|(at, offset)| at.and_utc().timestamp_micros() - i64::from(offset) * 1_000_000))
            .collect(),
        DataType::Int64 => value
            .as_primitive::<Int64Type>()
            .iter()
            .map(|s| s.map(|s| s.checked_mul(1_000_000).ok_or_else(|| out_of_range(&format!("second {s}")))).transpose())
            .collect::<Result<_>>()?,
        DataType::Decimal128(..) => value
            .as_primitive::<datafusion::arrow::datatypes::Decimal128Type>()
            .iter()
            .map(|s| s.map(|s| i64::try_from(s).map_err(|_| out_of_range("the second"))).transpose())
            .collect::<Result<_>>()?,
        DataType::Float64 => value
            .as_primitive::<Float64Type>()
            .iter()
            .map(|s| match s {
                Some(s) if !(s * 1e6).is_finite() || (s * 1e6).abs() > 9e18 => Err(out_of_range(&format!("second {s}"))),
                s => Ok(s.map(|s| (s * 1e6).round() as i64)),
            })
            .collect::<Result<_>>()?,
        _ => micros(value)?.iter().collect(),
    };
    Ok(Arc::new(TimestampMicrosecondArray::from(found).with_timezone("+00:00")))
});

/// Texts in a pattern's form; without a pattern in any form that a cast takes.
fn in_form(args: &[ArrayRef]) -> Result<Vec<Option<(NaiveDateTime, i32)>>> {
    let [value, pattern @ ..] = args else { return Ok(vec![]) };
    let values = texts(value)?;
    let patterns = pattern.first().map(texts).transpose()?;
    let mut known: Option<(String, Pattern)> = None;
    let mut out = Vec::with_capacity(values.len());
    for row in 0..values.len() {
        if values.is_null(row) || patterns.as_ref().is_some_and(|p| p.is_null(row)) {
            out.push(None);
            continue;
        }
        let text = values.value(row);
        let Some(patterns) = &patterns else {
            out.push(Some(free(text)?));
            continue;
        };
        let form = patterns.value(row);
        if known.as_ref().is_none_or(|(k, _)| k != form) {
            known = Some((form.to_owned(), Pattern::read(form)?));
        }
        out.push(match &known {
            Some((_, Pattern::Postgres(pieces))) => Some(parse::read(pieces, text)?),
            Some((_, Pattern::Strftime(format))) => Some(strptime(text, format)?),
            None => None,
        });
    }
    Ok(out)
}

fn strptime(text: &str, format: &str) -> Result<(NaiveDateTime, i32)> {
    use chrono::{DateTime, NaiveDate};
    if let Ok(at) = DateTime::parse_from_str(text, format) {
        return Ok((at.naive_local(), at.offset().local_minus_utc()));
    }
    NaiveDateTime::parse_from_str(text, format)
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, format).ok().map(Into::into))
        .map(|at| (at, 0))
        .ok_or_else(|| exec_datafusion_err!("'{text}' does not have the form of its pattern '{format}'"))
}

fn free(text: &str) -> Result<(NaiveDateTime, i32)> {
    let (at, zone) = read(text).ok_or_else(|| exec_datafusion_err!("'{text}' is no date or timestamp"))?;
    Ok((in_utc(at, zone)?, 0))
}

fn in_utc(at: NaiveDateTime, zone: Zone<'_>) -> Result<NaiveDateTime> {
    match zone {
        Zone::None => Some(at),
        Zone::Offset(seconds) => at.checked_sub_signed(chrono::TimeDelta::seconds(i64::from(seconds))),
        Zone::Named(name) => zone::to_utc(at, zone::named(name)?),
    }
    .ok_or_else(|| out_of_range("the timestamp"))
}

fn at(micros: i64) -> Result<NaiveDateTime> {
    moment(micros).ok_or_else(|| out_of_range("a timestamp"))
}

fn days(at: NaiveDateTime) -> i32 {
    at.and_utc().timestamp_micros().div_euclid(interval::DAY) as i32
}

// -------- casts

function!(TEXT_OF, "time_text", &[], |types| match types {
    [t] if is_moment(t) => Ok(vec![in_micros(t)]),
    [DataType::Duration(_)] => Ok(vec![DURATION]),
    [DataType::Interval(_)] => Ok(vec![INTERVAL]),
    _ => Err(no_such_call("time_text", types, "a timestamp or an interval")),
}, |_, _| Ok(DataType::Utf8), |args, _| {
    let [value] = args else { return exec_err!("time_text takes one argument") };
    if is_interval(value.data_type()) {
        let spans = interval::spans(value)?.into_iter().map(|s| s.map(|s| s.to_string()));
        return Ok(Arc::new(spans.collect::<StringArray>()));
    }
    let zoned = is_zoned(value.data_type());
    let text = micros(value)?
        .iter()
        .map(|m| m.map(|m| Ok(of_moment(at(m)?, zoned))).transpose())
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StringArray::from(text)))
});

function!(FROM_TEXT, "time_from_text", &[], |types| match types {
    [t, to, DataType::Boolean] if is_text(t) && is_moment(to) => Ok(vec![DataType::Utf8, to.clone(), DataType::Boolean]),
    _ => Err(no_such_call("time_from_text", types, "text, a type and whether it tries")),
}, |types, _| match types {
    [_, to, _] => Ok(to.clone()),
    _ => plan_err!("time_from_text takes three arguments"),
}, |args, to| {
    let [value, _, tries] = args else { return exec_err!("time_from_text takes three arguments") };
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
        DataType::Date32 => Arc::new(moments.into_iter().map(|m| m.map(days)).collect::<Date32Array>()) as ArrayRef,
        to => {
            let micros = moments.into_iter().map(|m| m.map(|m| m.and_utc().timestamp_micros()));
            let micros = Arc::new(micros.collect::<TimestampMicrosecondArray>()) as ArrayRef;
            match to {
                DataType::Timestamp(TimeUnit::Microsecond, None) => micros,
                // The values are in UTC already: only the type changes.
                DataType::Timestamp(unit, zone) => {
                    let micros = datafusion::arrow::compute::cast(&micros, &DataType::Timestamp(*unit, None))?;
                    let micros = datafusion::arrow::compute::cast(&micros, &DataType::Int64)?;
                    datafusion::arrow::compute::cast(&micros, &DataType::Timestamp(*unit, zone.clone()))?
                }
                to => datafusion::arrow::compute::cast(&micros, to)?,
            }
        }
    })
});

/// A text as a date, a wall clock (a zone in the text is not looked at) or a moment.
fn from_text(text: &str, to: &DataType) -> Result<NaiveDateTime> {
    let found = read(text).ok_or_else(|| {
        exec_datafusion_err!(
            "cannot cast '{text}' to {}: it is none; try_cast gives NULL instead",
            crate::sql::postgres::type_name(to)
        )
    })?;
    match (to, found) {
        (DataType::Timestamp(_, Some(_)), (at, zone)) => in_utc(at, zone),
        (_, (at, _)) => Ok(at),
    }
}

// -------- at time zone

function!(TIMEZONE, "timezone", &[], |types| match types {
    [z, t] if is_text(z) || z.is_null() => Ok(vec![DataType::Utf8, match t {
        DataType::Timestamp(..) => in_micros(t),
        // As in PostgreSQL: a date, or a text, is a moment of the session's zone, UTC.
        DataType::Date32 | DataType::Date64 | DataType::Null => utc(),
        t if is_text(t) => utc(),
        _ => return Err(no_such_call("timezone", types, "a zone and a timestamp")),
    }]),
    _ => Err(no_such_call("timezone", types, "a zone and a timestamp")),
}, |types, _| match types {
    [_, t] => Ok(if is_zoned(t) { WALL } else { utc() }),
    _ => plan_err!("timezone takes two arguments"),
}, |args, _| {
    let [zones, value] = args else { return exec_err!("timezone takes two arguments") };
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
    Ok(if zoned { Arc::new(out) } else { Arc::new(out.with_timezone("+00:00")) })
});

// -------- parts

function!(DATE_PART, "date_part", &["datepart"], |types| match types {
    [p, t] if is_text(p) => Ok(vec![DataType::Utf8, match t {
        t if is_moment(t) => in_micros(t),
        DataType::Duration(_) => DURATION,
        DataType::Interval(_) => INTERVAL,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        t if is_text(t) || t.is_null() => WALL,
        _ => return Err(no_such_call("extract", types, "a part and a date, timestamp or interval")),
    }]),
    _ => Err(no_such_call("extract", types, "a part and a date, timestamp or interval")),
}, |_, constants| match constants.first() {
    Some(Some(name)) => Ok(Part::named(name.try_as_str().flatten().unwrap_or_default())?.answer()),
    // The engine asks for types alone where it only compares them.
    _ => Ok(DataType::Decimal128(20, 6)),
}, |args, to| {
    let [name, value] = args else { return exec_err!("date_part takes two arguments") };
    let names = texts(name)?;
    if names.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(to));
    }
    let part = Part::named(names.value(0))?;
    let found: Vec<Option<i128>> = if is_interval(value.data_type()) {
        interval::spans(value)?
            .into_iter()
            .map(|s| s.map(|s| part.of_span(s).ok_or_else(|| exec_datafusion_err!("an interval has no part '{}'", names.value(0)))).transpose())
            .collect::<Result<_>>()?
    } else {
        let moments = match value.data_type() {
            DataType::Time64(_) => datafusion::arrow::compute::cast(value, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            _ => micros(value)?,
        };
        moments.iter().map(|m| m.map(|m| Ok(part.of_moment(at(m)?))).transpose()).collect::<Result<_>>()?
    };
    Ok(Arc::new(Decimal128Array::from(found).with_data_type(to.clone())))
});

function!(DATE_TRUNC, "date_trunc", &["datetrunc"], |types| match types {
    [p, t] if is_text(p) || p.is_null() => Ok(vec![DataType::Utf8, match t {
        t if is_moment(t) => in_micros(t),
        DataType::Duration(_) => DURATION,
        DataType::Interval(_) => INTERVAL,
        t if is_text(t) || t.is_null() => WALL,
        _ => return Err(no_such_call("date_trunc", types, "a part and a date or timestamp")),
    }]),
    _ => Err(no_such_call("date_trunc", types, "a part and a date or timestamp")),
}, |types, _| match types {
    [_, t] => Ok(t.clone()),
    _ => plan_err!("date_trunc takes two arguments"),
}, |args, to| {
    let [name, value] = args else { return exec_err!("date_trunc takes two arguments") };
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
        let spans = interval::spans(value)?.into_iter().enumerate().map(|(row, span)| {
            let (false, Some(span)) = (names.is_null(row), span) else { return Ok(None) };
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
            exec_datafusion_err!("date_trunc cannot cut a timestamp at '{}'", names.value(row))
        })?;
        out.push(Some(cut.and_utc().timestamp_micros()));
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(out).with_data_type(to.clone())))
});

fn cut_span(part: Part, span: Span) -> Result<Span> {
    let whole = |unit: i64| span.micros / unit * unit;
    let clock = |micros| Ok(Span { micros, ..span });
    let months = |unit: i32| Ok(Span { months: span.months / unit * unit, ..Span::default() });
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
        _ => exec_err!("date_trunc cuts an interval at years, quarters, months, days, hours, minutes or seconds"),
    }
}

function!(AGE, "age", &[], |types| match types {
    [a, b] if [a, b].iter().all(|t| is_moment(t) || is_text(t) || t.is_null()) => {
        Ok(vec![WALL, WALL])
    }
    _ => Err(no_such_call("age", types, "two timestamps: the later and the earlier one; age(x) is age(current_date, x)")),
}, |_, _| Ok(INTERVAL), |args, to| {
    let [later, earlier] = args else { return exec_err!("age takes two arguments") };
    let (later, earlier) = (micros(later)?, micros(earlier)?);
    let ages = later.iter().zip(earlier.iter()).map(|pair| match pair {
        (Some(later), Some(earlier)) => {
            parts::age(at(later)?, at(earlier)?).map(Some).ok_or_else(|| out_of_range("a timestamp"))
        }
        _ => Ok(None),
    });
    interval::column(ages.collect::<Result<_>>()?, to)
});

function!(LAST_DAY, "last_day", &[], |types| match types {
    [t] if is_moment(t) || is_text(t) || t.is_null() => Ok(vec![WALL]),
    _ => Err(no_such_call("last_day", types, "a date")),
}, |_, _| Ok(DataType::Date32), |args, _| {
    let [value] = args else { return exec_err!("last_day takes one argument") };
    let last = micros(value)?
        .iter()
        .map(|m| m.map(|m| {
            let at = at(m)?;
            let length = parts::days_in_month(at.date()).ok_or_else(|| out_of_range("a date"))?;
            Ok(days(at) + length - chrono::Datelike::day(&at) as i32)
        }).transpose())
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Date32Array::from(last)))
});

function!(MAKE_TIMESTAMP, "make_timestamp", &[], |types| match types {
    [_, _, _, _, _, _] => Ok([vec![DataType::Int64; 5], vec![DataType::Float64]].concat()),
    _ => Err(no_such_call("make_timestamp", types, "year, month, day, hour, minute and second")),
}, |_, _| Ok(WALL), |args, _| {
    let [year, month, day, hour, minute, second] = args else { return exec_err!("make_timestamp takes six arguments") };
    let whole: Vec<&Int64Array> = [year, month, day, hour, minute].into_iter().map(|c| c.as_primitive::<Int64Type>()).collect();
    let second = second.as_primitive::<Float64Type>();
    let out = (0..rows(args)).map(|row| {
        if args.iter().any(|a| a.is_null(row)) {
            return Ok(None);
        }
        let part = |i: usize| u32::try_from(whole[i].value(row)).unwrap_or(u32::MAX);
        let micros = (second.value(row) * 1e6).round();
        let date = i32::try_from(whole[0].value(row)).ok().and_then(|y| chrono::NaiveDate::from_ymd_opt(y, part(1), part(2)));
        let at = (0.0..60e6).contains(&micros).then_some(()).and(date).and_then(|d| {
            d.and_hms_micro_opt(part(3), part(4), (micros / 1e6) as u32, (micros % 1e6) as u32)
        });
        at.map(|at| Some(at.and_utc().timestamp_micros())).ok_or_else(|| exec_datafusion_err!("make_timestamp names a day or a time that there is not"))
    });
    Ok(Arc::new(out.collect::<Result<Vec<_>>>()?.into_iter().collect::<TimestampMicrosecondArray>()))
});

// -------- what warehouses have: datediff, dateadd

function!(DATE_DIFF, "datediff", &["date_diff", "timestampdiff"], |types| match types {
    [p, a, b] if is_text(p) && [a, b].iter().all(|t| is_moment(t) || is_text(t) || t.is_null()) => {
        Ok(vec![DataType::Utf8, WALL, WALL])
    }
    _ => Err(no_such_call("datediff", types, "a part, the earlier and the later timestamp")),
}, |_, _| Ok(DataType::Int64), |args, _| {
    let [name, from, to] = args else { return exec_err!("datediff takes three arguments") };
    let names = texts(name)?;
    let (from, to) = (micros(from)?, micros(to)?);
    let out = (0..names.len()).map(|row| {
        if names.is_null(row) || from.is_null(row) || to.is_null(row) {
            return Ok(None);
        }
        let part = Part::named(names.value(row))?;
        boundaries(part, at(from.value(row))?, at(to.value(row))?).map(Some)
    });
    Ok(Arc::new(out.collect::<Result<Vec<_>>>()?.into_iter().collect::<Int64Array>()))
});

/// How many boundaries of a part lie between two moments.
fn boundaries(part: Part, from: NaiveDateTime, to: NaiveDateTime) -> Result<i64> {
    use chrono::Datelike;
    let months = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
    let length = match part {
        Part::Year => return Ok(i64::from(to.year() - from.year())),
        Part::Quarter => return Ok(months(to).div_euclid(3) - months(from).div_euclid(3)),
        Part::Month => return Ok(months(to) - months(from)),
        Part::Decade => return Ok(i64::from(to.year().div_euclid(10) - from.year().div_euclid(10))),
        Part::Week => 7 * interval::DAY,
        Part::Day => interval::DAY,
        Part::Hour => 3_600_000_000,
        Part::Minute => 60_000_000,
        Part::Second => 1_000_000,
        Part::Millisecond => 1000,
        Part::Microsecond => 1,
        _ => return exec_err!("datediff counts years, quarters, months, weeks, days, hours, minutes, seconds and below"),
    };
    let cut = |at: NaiveDateTime| part.cut(at).map(|at| at.and_utc().timestamp_micros()).ok_or_else(|| out_of_range("a timestamp"));
    Ok((cut(to)? - cut(from)?) / length)
}

function!(DATE_ADD, "dateadd", &["timestampadd"], |types| match types {
    [p, n, t] if is_text(p) && (is_number(n) || n.is_null()) => Ok(vec![DataType::Utf8, DataType::Int64, match t {
        DataType::Date32 => DataType::Date32,
        t if is_moment(t) => in_micros(t),
        t if is_text(t) || t.is_null() => WALL,
        _ => return Err(no_such_call("dateadd", types, "a part, a number and a timestamp")),
    }]),
    _ => Err(no_such_call("dateadd", types, "a part, a number and a timestamp")),
}, |types, _| match types {
    [_, _, t] => Ok(match t {
        DataType::Date32 => WALL,
        t => t.clone(),
    }),
    _ => plan_err!("dateadd takes three arguments"),
}, |args, to| {
    let [name, number, value] = args else { return exec_err!("dateadd takes three arguments") };
    let names = texts(name)?;
    let numbers = number.as_primitive::<Int64Type>();
    let moments = micros(value)?;
    let out = (0..names.len()).map(|row| {
        if names.is_null(row) || numbers.is_null(row) || moments.is_null(row) {
            return Ok(None);
        }
        added(Part::named(names.value(row))?, numbers.value(row), at(moments.value(row))?).map(Some)
    });
    let out = TimestampMicrosecondArray::from(out.collect::<Result<Vec<_>>>()?);
    Ok(Arc::new(out.with_data_type(to.clone())))
});

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
        let moved = if months < 0 { at.checked_sub_months(distance) } else { at.checked_add_months(distance) };
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
        _ => return exec_err!("dateadd adds years, quarters, months, weeks, days, hours, minutes, seconds and below"),
    };
    let micros = number.checked_mul(unit).and_then(|d| d.checked_add(at.and_utc().timestamp_micros())).ok_or_else(beyond)?;
    moment(micros).map(|_| micros).ok_or_else(beyond)
}

// -------- arithmetic of intervals

function!(TIMES, "interval_times", &[], |types| interval_and_number("interval_times", types), |types, _| Ok(types[0].clone()), |args, to| {
    scaled(args, to, |span, by| span.scaled(|part| part * by))
});

function!(OVER, "interval_over", &[], |types| interval_and_number("interval_over", types), |types, _| Ok(types[0].clone()), |args, to| {
    scaled(args, to, |span, by| {
        if by == 0.0 {
            return exec_err!("an interval is divided by zero");
        }
        span.scaled(|part| part / by)
    })
});

function!(LENGTH, "interval_length", &[], |types| match types {
    [DataType::Duration(_)] => Ok(vec![DURATION]),
    [DataType::Interval(_)] => Ok(vec![INTERVAL]),
    _ => Err(no_such_call("interval_length", types, "an interval")),
}, |_, _| Ok(DataType::Int64), |args, _| {
    let [value] = args else { return exec_err!("interval_length takes one argument") };
    let lengths = interval::spans(value)?.into_iter().map(|s| s.map(Span::length).transpose());
    Ok(Arc::new(lengths.collect::<Result<Vec<_>>>()?.into_iter().collect::<Int64Array>()))
});

fn interval_and_number(name: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [DataType::Duration(_), n] if is_number(n) || n.is_null() => Ok(vec![DURATION, DataType::Float64]),
        [DataType::Interval(_), n] if is_number(n) || n.is_null() => Ok(vec![INTERVAL, DataType::Float64]),
        _ => Err(no_such_call(name, types, "an interval and a number")),
    }
}

fn scaled(args: &[ArrayRef], to: &DataType, by: impl Fn(Span, f64) -> Result<Span>) -> Result<ArrayRef> {
    let [spans, numbers] = args else { return exec_err!("an interval is scaled by a number") };
    let numbers = numbers.as_primitive::<Float64Type>();
    let out = interval::spans(spans)?.into_iter().zip(numbers.iter()).map(|pair| match pair {
        (Some(span), Some(number)) => by(span, number).map(Some),
        _ => Ok(None),
    });
    interval::column(out.collect::<Result<_>>()?, to)
}
