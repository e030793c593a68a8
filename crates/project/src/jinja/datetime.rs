//! `modules.datetime`: dates, times and spans of time, as far as templates use them.

use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::error::Error;
use super::value::{Arguments, Value};

/// A date, a time of a date, or a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Moment {
    Date(NaiveDate),
    /// `true`: UTC, prints `+00:00`.
    DateTime(NaiveDateTime, bool),
    Delta(Duration),
}

impl Moment {
    /// A time in UTC.
    pub(crate) fn utc(time: DateTime<Utc>) -> Value {
        Value::Moment(Rc::new(Self::DateTime(time.naive_utc(), true)))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Date(_) => "a date",
            Self::DateTime(..) => "a datetime",
            Self::Delta(_) => "a timedelta",
        }
    }

    pub(super) fn compare(&self, other: &Moment) -> Option<Ordering> {
        match (self, other) {
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::DateTime(a, _), Self::DateTime(b, _)) => Some(a.cmp(b)),
            (Self::Delta(a), Self::Delta(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    pub(super) fn print(&self, quoted: bool) -> String {
        let text = match self {
            Self::Date(date) => date.to_string(),
            Self::DateTime(time, utc) => iso(time, *utc, ' '),
            Self::Delta(span) => {
                let (days, rest) = (
                    span.num_seconds().div_euclid(86_400),
                    span.num_seconds().rem_euclid(86_400),
                );
                let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
                match days {
                    0 => clock,
                    1 | -1 => format!("{days} day, {clock}"),
                    _ => format!("{days} days, {clock}"),
                }
            }
        };
        if quoted { format!("'{text}'") } else { text }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let int = |n: i64| Some(Value::Int(n));
        match self {
            Self::Date(d) => match name {
                "year" => int(i64::from(d.year())),
                "month" => int(i64::from(d.month())),
                "day" => int(i64::from(d.day())),
                _ => None,
            },
            Self::DateTime(t, _) => match name {
                "hour" => int(i64::from(t.hour())),
                "minute" => int(i64::from(t.minute())),
                "second" => int(i64::from(t.second())),
                "microsecond" => int(i64::from(t.nanosecond() / 1000)),
                _ => Self::Date(t.date()).get(name),
            },
            Self::Delta(d) => match name {
                "days" => int(d.num_seconds().div_euclid(86_400)),
                "seconds" => int(d.num_seconds().rem_euclid(86_400)),
                _ => None,
            },
        }
    }

    /// Calls a method; `None` if there is none of that name.
    pub(super) fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        let made = |m: Moment| Some(Ok(Value::Moment(Rc::new(m))));
        let date = match self {
            Self::Date(d) => Some(*d),
            Self::DateTime(t, _) => Some(t.date()),
            Self::Delta(_) => None,
        };
        match (self, method) {
            (Self::Delta(d), "total_seconds") => Some(Ok(Value::Float(
                d.num_microseconds().map_or(f64::NAN, |us| us as f64 / 1e6),
            ))),
            (Self::Delta(_), _) => None,
            (_, "strftime") => Some(args.need(0, "format", "strftime").and_then(|format| {
                let time = match self {
                    Self::DateTime(t, _) => *t,
                    _ => date.unwrap_or_default().and_time(NaiveTime::MIN),
                };
                strftime(time, format.as_str().unwrap_or_default())
            })),
            (Self::Date(d), "isoformat") => Some(Ok(Value::str(d.to_string()))),
            (Self::DateTime(t, utc), "isoformat") => {
                let separator = args
                    .take(0, "sep")
                    .and_then(|s| s.as_str().and_then(|s| s.chars().next()));
                Some(Ok(Value::str(iso(t, *utc, separator.unwrap_or('T')))))
            }
            (_, "weekday") => Some(Ok(Value::Int(i64::from(
                date?.weekday().num_days_from_monday(),
            )))),
            (_, "isoweekday") => Some(Ok(Value::Int(i64::from(
                date?.weekday().number_from_monday(),
            )))),
            (Self::DateTime(t, _), "date") => made(Self::Date(t.date())),
            (Self::DateTime(t, _), "timestamp") => Some(Ok(Value::Float(
                t.and_utc().timestamp_micros() as f64 / 1e6,
            ))),
            (_, "replace") => Some(self.replaced(args)),
            _ => None,
        }
    }

    fn replaced(&self, mut args: Arguments) -> Result<Value, Error> {
        let (date, time, utc) = match self {
            Self::Date(d) => (*d, NaiveTime::MIN, false),
            Self::DateTime(t, utc) => (t.date(), t.time(), *utc),
            Self::Delta(_) => return Err(Error::unplaced("a timedelta has no replace")),
        };
        let mut part = |name: &str, now: u32| match args.take(usize::MAX, name) {
            Some(Value::Int(n)) => {
                u32::try_from(n).map_err(|_| Error::unplaced(format!("{name} cannot be {n}")))
            }
            _ => Ok(now),
        };
        let year = part("year", date.year() as u32)?;
        let date = NaiveDate::from_ymd_opt(
            year as i32,
            part("month", date.month())?,
            part("day", date.day())?,
        );
        let (hour, minute, second) = (
            part("hour", time.hour())?,
            part("minute", time.minute())?,
            part("second", time.second())?,
        );
        let micros = part("microsecond", time.nanosecond() / 1000)?;
        let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros);
        let (Some(date), Some(time)) = (date, time) else {
            return Err(Error::unplaced("there is no such day or time"));
        };
        Ok(Value::Moment(Rc::new(match self {
            Self::Date(_) => Self::Date(date),
            _ => Self::DateTime(date.and_time(time), utc),
        })))
    }

    /// `+` and `-`; `None` if Python has none for these.
    pub(super) fn add(&self, other: &Moment, minus: bool) -> Option<Moment> {
        match (self, other) {
            (Self::Date(a), Self::Date(b)) if minus => Some(Self::Delta(*a - *b)),
            (Self::DateTime(a, _), Self::DateTime(b, _)) if minus => Some(Self::Delta(*a - *b)),
            (Self::Delta(a), Self::Delta(b)) => if minus {
                a.checked_sub(b)
            } else {
                a.checked_add(b)
            }
            .map(Self::Delta),
            (Self::Date(a), Self::Delta(b)) => {
                let days = Duration::try_days(b.num_seconds().div_euclid(86_400))?;
                if minus {
                    a.checked_sub_signed(days)
                } else {
                    a.checked_add_signed(days)
                }
                .map(Self::Date)
            }
            (Self::DateTime(a, utc), Self::Delta(b)) => if minus {
                a.checked_sub_signed(*b)
            } else {
                a.checked_add_signed(*b)
            }
            .map(|t| Self::DateTime(t, *utc)),
            (Self::Delta(_), _) if !minus => other.add(self, false),
            _ => None,
        }
    }
}

fn iso(time: &NaiveDateTime, utc: bool, separator: char) -> String {
    let micros = time.nanosecond() / 1000;
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    let zone = if utc { "+00:00" } else { "" };
    format!(
        "{}{separator}{}{fraction}{zone}",
        time.date(),
        time.format("%H:%M:%S")
    )
}

fn strftime(time: NaiveDateTime, format: &str) -> Result<Value, Error> {
    use std::fmt::Write as _;
    if format.len() > 1024 {
        return Err(Error::unplaced("the format of strftime is too long"));
    }
    let format = format.replace("%f", "%6f");
    let mut out = String::new();
    write!(out, "{}", time.and_utc().format(&format))
        .map_err(|_| Error::unplaced(format!("strftime cannot format {format:?}")))?;
    Ok(Value::str(out))
}

/// The module: `modules.datetime`.
pub(crate) fn module() -> Value {
    let moment = |m: Moment| Value::Moment(Rc::new(m));
    let date = Value::object(Class {
        name: "date",
        call: move |args| {
            numbers(args, &["year", "month", "day"], 3).and_then(|n| Ok(Moment::Date(ymd(&n)?)))
        },
    });
    let datetime = Value::object(Class {
        name: "datetime",
        call: move |args| {
            let n = numbers(
                args,
                &[
                    "year",
                    "month",
                    "day",
                    "hour",
                    "minute",
                    "second",
                    "microsecond",
                ],
                3,
            )?;
            let part = |i: usize| u32::try_from(n[i]).unwrap_or(u32::MAX);
            let time = NaiveTime::from_hms_micro_opt(part(3), part(4), part(5), part(6))
                .ok_or_else(|| Error::unplaced("there is no such time"))?;
            Ok(Moment::DateTime(ymd(&n)?.and_time(time), false))
        },
    });
    let timedelta = Value::function("timedelta", move |_, mut args| {
        let mut micros = 0f64;
        let names = [
            ("days", 86_400e6),
            ("seconds", 1e6),
            ("microseconds", 1.0),
            ("milliseconds", 1e3),
            ("minutes", 60e6),
            ("hours", 3_600e6),
            ("weeks", 604_800e6),
        ];
        for (i, (name, factor)) in names.into_iter().enumerate() {
            if let Some(value) = args.take(i, name) {
                let number = value.number().ok_or_else(|| {
                    Error::unplaced(format!("timedelta: {name} must be a number"))
                })?;
                micros += number.float() * factor;
            }
        }
        if micros.abs() > 8e19 / 10.0 {
            return Err(Error::unplaced("timedelta: so long a span is not possible"));
        }
        Ok(moment(Moment::Delta(Duration::microseconds(
            micros.round() as i64,
        ))))
    });
    Value::dict([
        ("date", date),
        ("datetime", datetime),
        ("timedelta", timedelta),
    ])
}

/// `datetime` and `date`: called, they make a value; their methods make others.
struct Class<F: Fn(Arguments) -> Result<Moment, Error>> {
    name: &'static str,
    call: F,
}

impl<F: Fn(Arguments) -> Result<Moment, Error>> super::value::Object for Class<F> {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        format!("<class 'datetime.{}'>", self.name)
    }

    fn call(&self, method: &str, mut args: Arguments) -> Option<Result<Value, Error>> {
        let now = Utc::now().naive_utc();
        let is_date = self.name == "date";
        let made = match method {
            "__call__" => (self.call)(args),
            "today" | "now" | "utcnow" if is_date => match method {
                "today" => Ok(Moment::Date(now.date())),
                _ => return None,
            },
            "today" | "utcnow" => Ok(Moment::DateTime(now, false)),
            "now" => Ok(Moment::DateTime(
                now,
                args.take(0, "tz").is_some_and(|tz| tz.is_true()),
            )),
            "fromisoformat" | "strptime" => parsed(is_date, method, args),
            _ => return None,
        };
        Some(made.map(|m| Value::Moment(Rc::new(m))))
    }
}

fn parsed(is_date: bool, method: &str, mut args: Arguments) -> Result<Moment, Error> {
    let text = args.need(0, "a text", method)?;
    let text = text.as_str().unwrap_or_default();
    let wrong =
        |format: &str| Error::unplaced(format!("{method}: {text:?} is not written as {format}"));
    if method == "strptime" {
        let format = args.need(1, "format", method)?;
        let format = format.as_str().unwrap_or_default().replace("%f", "%6f");
        let time = NaiveDateTime::parse_from_str(text, &format).or_else(|_| {
            NaiveDate::parse_from_str(text, &format).map(|d| d.and_time(NaiveTime::MIN))
        });
        return time
            .map(|t| Moment::DateTime(t, false))
            .map_err(|_| wrong(&format));
    }
    if is_date {
        return text
            .parse()
            .map(Moment::Date)
            .map_err(|_| wrong("YYYY-MM-DD"));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment::DateTime(time.naive_utc(), true));
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let time = formats
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(text, f).ok());
    let time = time.or_else(|| {
        text.parse::<NaiveDate>()
            .ok()
            .map(|d| d.and_time(NaiveTime::MIN))
    });
    time.map(|t| Moment::DateTime(t, false))
        .ok_or_else(|| wrong("YYYY-MM-DD HH:MM:SS"))
}

fn numbers(mut args: Arguments, names: &[&str], needed: usize) -> Result<Vec<i64>, Error> {
    let mut found = vec![];
    for (i, name) in names.iter().enumerate() {
        match args.take(i, name) {
            Some(Value::Int(n)) => found.push(n),
            None if i >= needed => found.push(0),
            _ => return Err(Error::unplaced(format!("{name} must be a whole number"))),
        }
    }
    Ok(found)
}

fn ymd(n: &[i64]) -> Result<NaiveDate, Error> {
    let part = |i: usize| u32::try_from(n[i]).unwrap_or(u32::MAX);
    let year = i32::try_from(n[0]).unwrap_or(i32::MAX);
    NaiveDate::from_ymd_opt(year, part(1), part(2))
        .ok_or_else(|| Error::unplaced(format!("there is no day {}-{}-{}", n[0], n[1], n[2])))
}
