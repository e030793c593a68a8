//! The functions themselves: what they take, what they answer, column by column.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ScalarUDF;

use self::moments::{WALL, utc};
use super::interval::{self, INTERVAL, Span};

macro_rules! function {
    ($static:ident, $name:literal, $aliases:expr, $coerce:expr, $answer:expr, $run:expr) => {
        pub(super) static $static: std::sync::LazyLock<
            std::sync::Arc<datafusion::logical_expr::ScalarUDF>,
        > = std::sync::LazyLock::new(|| {
            $crate::function::Function {
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

mod casts;
mod distances;
mod forms;
mod moments;
mod parts;

/// All of them.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        &forms::TO_CHAR,
        &forms::TO_DATE,
        &forms::TO_TIMESTAMP,
        &casts::TIMEZONE,
        &parts::DATE_PART,
        &parts::DATE_TRUNC,
        &parts::AGE,
        &casts::TEXT_OF,
        &casts::FROM_TEXT,
        &casts::TIME_OF_DAY,
        &casts::TIMES,
        &casts::OVER,
        &casts::LENGTH,
        &parts::MAKE_TIMESTAMP,
        &parts::LAST_DAY,
        &distances::DATE_DIFF,
        &distances::DATE_ADD,
    ]
    .into_iter()
    .map(|f| Arc::clone(f))
    .collect()
}

/// Text of a moment or an interval, in place of the engine's casts.
pub fn text_of() -> &'static Arc<ScalarUDF> {
    &casts::TEXT_OF
}

/// A moment from text: `moment_from_text(text, NULL::type, tries)`.
pub fn moment_from_text() -> &'static Arc<ScalarUDF> {
    &casts::FROM_TEXT
}

/// `time_of_day(timestamp)`.
pub fn time_of_day() -> &'static Arc<ScalarUDF> {
    &casts::TIME_OF_DAY
}

/// `interval_times(interval, number)`.
pub fn interval_times() -> &'static Arc<ScalarUDF> {
    &casts::TIMES
}

/// `interval_over(interval, number)`.
pub fn interval_over() -> &'static Arc<ScalarUDF> {
    &casts::OVER
}

/// `interval_length(interval)`: what intervals are compared by.
pub fn interval_length() -> &'static Arc<ScalarUDF> {
    &casts::LENGTH
}

/// The types of a wall clock and of a moment.
pub fn wall_clock_and_moment() -> (DataType, DataType) {
    (WALL, utc())
}

/// An interval from its text, as a constant.
pub fn read_interval(text: &str) -> Option<ScalarValue> {
    let column = interval::column(vec![Some(Span::read(text)?)], &INTERVAL).ok()?;
    ScalarValue::try_from_array(&column, 0).ok()
}
