//! Functions of dates, moments and intervals with PostgreSQL's meaning.
//!
//! Moments are microseconds, never nanoseconds: `9999-12-31` is a moment. The difference of two moments is a duration, which
//! reads as an interval of days and time.

mod functions;
pub mod interval;
mod number_pattern;
mod parse;
mod parts;
mod pattern;
mod text;
mod to_char;
mod zone;

pub use functions::{
    functions, interval_length, interval_over, interval_times, moment_from_text, read_interval,
    text_of, time_of_day, wall_clock_and_moment,
};

/// An interval in words that the engine reads, if it is one.
pub fn interval_words(text: &str) -> Option<String> {
    Some(words(interval::Span::read(text)?))
}

/// The same, of the opposite interval.
pub fn negated_interval_words(text: &str) -> Option<String> {
    let span = interval::Span::read(text)?;
    Some(words(interval::Span {
        months: -span.months,
        days: -span.days,
        micros: -span.micros,
    }))
}

fn words(span: interval::Span) -> String {
    let seconds = format!(
        "{}{}{}",
        if span.micros < 0 { "-" } else { "" },
        span.micros.unsigned_abs() / 1_000_000,
        self::text::fraction(span.micros.unsigned_abs() % 1_000_000)
    );
    format!(
        "{} months {} days {seconds} seconds",
        span.months, span.days
    )
}

/// A step of a series of moments.
pub(super) struct Step(interval::Span);

/// Steps from a column of intervals.
pub(super) fn steps(
    column: &datafusion::arrow::array::ArrayRef,
) -> datafusion::common::Result<Vec<Option<Step>>> {
    let spans = interval::spans(column)?;
    Ok(spans.into_iter().map(|s| s.map(Step)).collect())
}

impl Step {
    /// # Errors
    /// The step is zero.
    pub(super) fn is_forward(&self) -> datafusion::common::Result<bool> {
        match self.0.length()? {
            0 => datafusion::common::exec_err!("generate_series has a step of zero"),
            length => Ok(length > 0),
        }
    }

    /// The moment one step later.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn after(&self, micros: i64) -> datafusion::common::Result<i64> {
        let beyond = || super::function::out_of_range("a timestamp");
        let at = self::text::moment(micros).ok_or_else(beyond)?;
        let months = chrono::Months::new(self.0.months.unsigned_abs());
        let at = if self.0.months < 0 {
            at.checked_sub_months(months)
        } else {
            at.checked_add_months(months)
        };
        let at = at.ok_or_else(beyond)?.and_utc().timestamp_micros();
        i64::from(self.0.days)
            .checked_mul(interval::DAY)
            .and_then(|days| at.checked_add(days))
            .and_then(|at| at.checked_add(self.0.micros))
            .ok_or_else(beyond)
    }
}
