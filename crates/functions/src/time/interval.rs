//! Intervals: months, days and microseconds, as PostgreSQL reads, writes, compares and multiplies them.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DurationMicrosecondArray, IntervalMonthDayNanoArray,
};
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, exec_datafusion_err, internal_err};

pub(super) const DAY: i64 = 86_400_000_000;
/// An interval of months, days and time.
pub const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// The time between two moments.
pub const DURATION: DataType = DataType::Duration(TimeUnit::Microsecond);

/// An interval by its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

/// Whether values of a type are intervals.
pub fn is_interval(t: &DataType) -> bool {
    matches!(t, DataType::Interval(_) | DataType::Duration(_))
}

/// A column's intervals, NULL where it has none. The time between two moments has whole days and the rest.
pub fn spans(column: &ArrayRef) -> Result<Vec<Option<Span>>> {
    match column.data_type() {
        DataType::Duration(_) => {
            let column = datafusion::arrow::compute::cast(column, &DURATION)?;
            let column = column.as_primitive::<DurationMicrosecondType>();
            Ok(column
                .iter()
                .map(|v| {
                    v.map(|v| Span {
                        months: 0,
                        days: (v / DAY) as i32,
                        micros: v % DAY,
                    })
                })
                .collect())
        }
        DataType::Interval(_) => {
            let column = datafusion::arrow::compute::cast(column, &INTERVAL)?;
            let column = column.as_primitive::<IntervalMonthDayNanoType>();
            Ok(column
                .iter()
                .map(|v| {
                    v.map(|v| Span {
                        months: v.months,
                        days: v.days,
                        micros: v.nanoseconds / 1000,
                    })
                })
                .collect())
        }
        other => internal_err!("{other} is no type of intervals"),
    }
}

/// Intervals as a column of one of the two types.
pub(super) fn column(spans: Vec<Option<Span>>, to: &DataType) -> Result<ArrayRef> {
    match to {
        DataType::Duration(_) => {
            let values = spans
                .into_iter()
                .map(|s| s.map(Span::length).transpose())
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(DurationMicrosecondArray::from(values)))
        }
        _ => {
            let values = spans
                .into_iter()
                .map(|s| s.map(Span::arrow).transpose())
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
        }
    }
}

impl Span {
    /// Microseconds, a month being 30 days: what intervals are compared by.
    ///
    /// # Errors
    /// The interval is longer than 290,000 years.
    pub(super) fn length(self) -> Result<i64> {
        let days = i64::from(self.months) * 30 + i64::from(self.days);
        days.checked_mul(DAY)
            .and_then(|d| d.checked_add(self.micros))
            .ok_or_else(too_long)
    }

    fn arrow(self) -> Result<IntervalMonthDayNano> {
        let nanos = self.micros.checked_mul(1000).ok_or_else(too_long)?;
        Ok(IntervalMonthDayNano::new(self.months, self.days, nanos))
    }

    /// Each part multiplied; what is left of a month becomes days, what is left of a day becomes time.
    ///
    /// # Errors
    /// The interval gets too long.
    pub(super) fn scaled(self, by: impl Fn(f64) -> f64) -> Result<Self> {
        // Rounded to microseconds, as fractions of days are.
        let exact = |v: f64| (v * 1e6).round() / 1e6;
        let months = by(f64::from(self.months));
        let left_days = exact((months - months.trunc()) * 30.0);
        let days = by(f64::from(self.days));
        let left_seconds = exact((days - days.trunc() + left_days - left_days.trunc()) * 86_400.0);
        let whole_days = days.trunc() + left_days.trunc() + (left_seconds / 86_400.0).trunc();
        let micros = (by(self.micros as f64) + (left_seconds % 86_400.0) * 1e6).round();
        let fits = months.abs() < f64::from(i32::MAX)
            && whole_days.abs() < f64::from(i32::MAX)
            && micros.abs() < 9.2e15;
        if !fits {
            return Err(too_long());
        }
        Ok(Self {
            months: months.trunc() as i32,
            days: whole_days as i32,
            micros: micros as i64,
        })
    }

    /// Reads an interval as people write them: `1 day 02:03:04`, `1 month - 1 day`, `90 minutes`, `P1Y2M`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if let Some(iso) = text.strip_prefix('p') {
            return Self::read_iso(iso);
        }
        let (text, sign) = match text.strip_suffix("ago") {
            Some(rest) => (rest.trim().to_owned(), -1.0),
            None => (text, 1.0),
        };
        let spaced = text.replace('@', " ").replace('-', " -").replace('+', " +");
        let mut words: Vec<String> = vec![];
        for word in spaced.split_whitespace() {
            match words.last_mut() {
                // `- 1 day` is `-1 day`.
                Some(last) if last == "-" || last == "+" => last.push_str(word),
                _ => words.push(word.to_owned()),
            }
        }
        let mut out = Parts::default();
        let mut words = words.iter().map(String::as_str).peekable();
        words.peek()?;
        while let Some(word) = words.next() {
            if word.contains(':') {
                out.add(clock(word)?, "microsecond")?;
                continue;
            }
            let letters = word.find(|c: char| c.is_alphabetic());
            let (number, unit) = match letters {
                Some(0) => return None,
                Some(at) => (&word[..at], &word[at..]),
                // A number alone is one of seconds.
                None => (word, words.next().unwrap_or("second")),
            };
            out.add(number.parse().ok()?, unit)?;
        }
        out.span(sign)
    }

    fn read_iso(text: &str) -> Option<Self> {
        let mut out = Parts::default();
        let mut in_time = false;
        let mut number = String::new();
        for c in text.chars() {
            let unit = match (c, in_time) {
                ('t', _) => {
                    in_time = true;
                    continue;
                }
                ('y', _) => "year",
                ('m', false) => "month",
                ('w', _) => "week",
                ('d', _) => "day",
                ('h', _) => "hour",
                ('m', true) => "minute",
                ('s', _) => "second",
                (c, _) => {
                    number.push(c);
                    continue;
                }
            };
            out.add(number.parse().ok()?, unit)?;
            number.clear();
        }
        number.is_empty().then(|| out.span(1.0)).flatten()
    }
}

/// `02:03:04.5` in microseconds.
fn clock(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1.0, text),
        None => (1.0, text.trim_start_matches('+')),
    };
    let mut parts = text.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().map_or(Some(0.0), |s| s.parse().ok())?;
    parts
        .next()
        .is_none()
        .then_some(sign * ((hours * 60.0 + minutes) * 60.0 + seconds) * 1e6)
}

/// An interval while it is read.
#[derive(Default)]
struct Parts {
    months: f64,
    days: f64,
    micros: f64,
}

impl Parts {
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let unit = unit
            .strip_suffix('s')
            .filter(|u| u.len() > 1)
            .unwrap_or(unit);
        let (months, days, micros) = match unit {
            "microsecond" | "us" | "usec" => (0.0, 0.0, 1.0),
            "millisecond" | "ms" | "msec" => (0.0, 0.0, 1e3),
            "second" | "sec" | "s" => (0.0, 0.0, 1e6),
            "minute" | "min" | "m" => (0.0, 0.0, 60e6),
            "hour" | "hr" | "h" => (0.0, 0.0, 3600e6),
            "day" | "d" => (0.0, 1.0, 0.0),
            "week" | "w" => (0.0, 7.0, 0.0),
            "month" | "mon" => (1.0, 0.0, 0.0),
            "quarter" => (3.0, 0.0, 0.0),
            "year" | "yr" | "y" => (12.0, 0.0, 0.0),
            "decade" => (120.0, 0.0, 0.0),
            "century" | "centurie" => (1200.0, 0.0, 0.0),
            "millennium" => (12_000.0, 0.0, 0.0),
            _ => return None,
        };
        self.months += number * months;
        self.days += number * days;
        self.micros += number * micros;
        Some(())
    }

    fn span(self, sign: f64) -> Option<Span> {
        let days = self.days + (self.months - self.months.trunc()) * 30.0;
        let micros = self.micros + (days - days.trunc()) * DAY as f64;
        let fits = self.months.abs() < 2e9 && days.abs() < 2e9 && micros.abs() < 9.2e15;
        fits.then(|| Span {
            months: (sign * self.months.trunc()) as i32,
            days: (sign * days.trunc()) as i32,
            micros: (sign * micros).round() as i64,
        })
    }
}

/// As PostgreSQL writes it: `1 year 2 mons -3 days +04:05:06.7`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut after_minus = false;
        let parts = [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ];
        for (value, unit) in parts {
            if value == 0 {
                continue;
            }
            let space = if first { "" } else { " " };
            let plus = if after_minus && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            write!(f, "{space}{plus}{value} {unit}{plural}")?;
            first = false;
            after_minus = value < 0;
        }
        if first || self.micros != 0 {
            let space = if first { "" } else { " " };
            let sign = if self.micros < 0 {
                "-"
            } else if after_minus {
                "+"
            } else {
                ""
            };
            let all = self.micros.unsigned_abs();
            let (seconds, fraction) = (all / 1_000_000, all % 1_000_000);
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            write!(
                f,
                "{space}{sign}{h:02}:{m:02}:{s:02}{}",
                super::text::fraction(fraction)
            )?;
        }
        Ok(())
    }
}

fn too_long() -> datafusion::error::DataFusionError {
    exec_datafusion_err!("the interval is out of range: it is longer than 290,000 years")
}
