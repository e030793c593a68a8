//! `to_char`, `to_date`, `to_timestamp`: texts in a pattern's form.

use std::sync::Arc;

use chrono::NaiveDateTime;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::casts::in_utc;
use super::moments::{WALL, at, days, in_micros, is_moment, is_number, is_zoned, utc};
use crate::function::{is_text, micros, no_such_call, out_of_range, texts};
use crate::time::interval::{self, DURATION, INTERVAL, is_interval};
use crate::time::number_pattern::NumberPattern;
use crate::time::parse;
use crate::time::pattern::{self, Piece};
use crate::time::text::read;
use crate::time::to_char::{self, Written};

// -------- to_char

function!(
    TO_CHAR,
    "to_char",
    &["date_format"],
    |types| match types {
        [t, f] if is_text(f) || f.is_null() => Ok(vec![
            match t {
                t if is_moment(t) => in_micros(t),
                DataType::Duration(_) => DURATION,
                DataType::Interval(_) => INTERVAL,
                t if is_number(t) => t.clone(),
                DataType::Null => WALL,
                _ =>
                    return Err(no_such_call(
                        "to_char",
                        types,
                        "a date, timestamp, interval or number, and a pattern"
                    )),
            },
            DataType::Utf8,
        ]),
        _ => Err(no_such_call(
            "to_char",
            types,
            "a date, timestamp, interval or number, and a pattern"
        )),
    },
    |_, _| Ok(DataType::Utf8),
    |args, _| {
        let [value, pattern] = args else {
            return exec_err!("to_char takes two arguments");
        };
        let patterns = texts(pattern)?;
        if is_number(value.data_type()) {
            return numbers_to_char(value, &patterns);
        }
        let zoned = is_zoned(value.data_type());
        let spans = is_interval(value.data_type())
            .then(|| interval::spans(value))
            .transpose()?;
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
    }
);

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
        if c == '%'
            && chars
                .clone()
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic())
        {
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
    let strict = CastOptions {
        safe: false,
        ..Default::default()
    };
    let to = DataType::Decimal128(38, scale.min(37) as i8);
    let rounded = cast_with_options(value, &to, &strict)?;
    Ok(datafusion::arrow::compute::cast(&rounded, &DataType::Utf8)?)
}

// -------- to_date, to_timestamp

const FORM: &str = "text and a pattern";

function!(
    TO_DATE,
    "to_date",
    &[],
    |types| match types {
        [t] if is_text(t) || t.is_null() => Ok(vec![DataType::Utf8]),
        [t] if is_moment(t) => Ok(vec![in_micros(t)]),
        [t, f] if (is_text(t) || t.is_null()) && (is_text(f) || f.is_null()) =>
            Ok(vec![DataType::Utf8; 2]),
        _ => Err(no_such_call("to_date", types, FORM)),
    },
    |_, _| Ok(DataType::Date32),
    |args, _| {
        if let [value] = args
            && !is_text(value.data_type())
        {
            return Ok(datafusion::arrow::compute::cast(value, &DataType::Date32)?);
        }
        let moments = in_form(args)?;
        Ok(Arc::new(
            moments
                .into_iter()
                .map(|m| m.map(|(at, _)| days(at)))
                .collect::<Date32Array>(),
        ))
    }
);

function!(
    TO_TIMESTAMP,
    "to_timestamp",
    &["to_timestamp_micros", "strptime"],
    |types| match types {
        [t] if is_text(t) || t.is_null() => Ok(vec![DataType::Utf8]),
        [t] if is_number(t) => Ok(vec![if t.is_integer() {
            DataType::Int64
        } else if t.is_decimal() {
            DataType::Decimal128(38, 6)
        } else {
            DataType::Float64
        }]),
        [t] if is_moment(t) => Ok(vec![in_micros(t)]),
        [t, f] if (is_text(t) || t.is_null()) && (is_text(f) || f.is_null()) =>
            Ok(vec![DataType::Utf8; 2]),
        _ => Err(no_such_call(
            "to_timestamp",
            types,
            "seconds since 1970, or text and a pattern"
        )),
    },
    |_, _| Ok(utc()),
    |args, _| {
        let [value, ..] = args else {
            return exec_err!("to_timestamp takes arguments");
        };
        let found: Vec<Option<i64>> = match value.data_type() {
            t if is_text(t) => in_form(args)?
                .into_iter()
                .map(|m| {
                    m.map(|(at, offset)| {
                        at.and_utc().timestamp_micros() - i64::from(offset) * 1_000_000
                    })
                })
                .collect(),
            DataType::Int64 => value
                .as_primitive::<Int64Type>()
                .iter()
                .map(|s| {
                    s.map(|s| {
                        s.checked_mul(1_000_000)
                            .ok_or_else(|| out_of_range(&format!("second {s}")))
                    })
                    .transpose()
                })
                .collect::<Result<_>>()?,
            DataType::Decimal128(..) => value
                .as_primitive::<datafusion::arrow::datatypes::Decimal128Type>()
                .iter()
                .map(|s| {
                    s.map(|s| i64::try_from(s).map_err(|_| out_of_range("the second")))
                        .transpose()
                })
                .collect::<Result<_>>()?,
            DataType::Float64 => value
                .as_primitive::<Float64Type>()
                .iter()
                .map(|s| match s {
                    Some(s) if !(s * 1e6).is_finite() || (s * 1e6).abs() > 9e18 => {
                        Err(out_of_range(&format!("second {s}")))
                    }
                    s => Ok(s.map(|s| (s * 1e6).round() as i64)),
                })
                .collect::<Result<_>>()?,
            _ => micros(value)?.iter().collect(),
        };
        Ok(Arc::new(
            TimestampMicrosecondArray::from(found).with_timezone("+00:00"),
        ))
    }
);

/// Texts in a pattern's form; without a pattern in any form that a cast takes.
fn in_form(args: &[ArrayRef]) -> Result<Vec<Option<(NaiveDateTime, i32)>>> {
    let [value, pattern @ ..] = args else {
        return Ok(vec![]);
    };
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
        .ok_or_else(|| {
            exec_datafusion_err!("'{text}' does not have the form of its pattern '{format}'")
        })
}

fn free(text: &str) -> Result<(NaiveDateTime, i32)> {
    let (at, zone) =
        read(text).ok_or_else(|| exec_datafusion_err!("'{text}' is no date or timestamp"))?;
    Ok((in_utc(at, zone)?, 0))
}
