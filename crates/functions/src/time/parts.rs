//! Parts of moments and intervals: `extract`, `date_part`, `date_trunc`, `age`.

use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

use super::interval::{DAY, Span};

/// A part by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Zone,
}

impl Part {
    /// # Errors
    /// There is no part of that name.
    pub(super) fn named(name: &str) -> Result<Self> {
        let name = name.trim().trim_matches(['\'', '"']).to_lowercase();
        Ok(match name.as_str() {
            "microsecond" | "microseconds" | "us" => Self::Microsecond,
            "millisecond" | "milliseconds" | "ms" => Self::Millisecond,
            "second" | "seconds" | "sec" | "secs" => Self::Second,
            "minute" | "minutes" | "min" | "mins" => Self::Minute,
            "hour" | "hours" | "hr" => Self::Hour,
            "day" | "days" | "dayofmonth" => Self::Day,
            "week" | "weeks" | "isoweek" | "weekofyear" => Self::Week,
            "month" | "months" | "mon" => Self::Month,
            "quarter" | "quarters" => Self::Quarter,
            "year" | "years" => Self::Year,
            "decade" | "decades" => Self::Decade,
            "century" | "centuries" => Self::Century,
            "millennium" | "millennia" => Self::Millennium,
            "dow" | "dayofweek" | "weekday" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" | "dayofyear" => Self::DayOfYear,
            "isoyear" => Self::IsoYear,
            "julian" => Self::Julian,
            "epoch" => Self::Epoch,
            "timezone" | "timezone_hour" | "timezone_minute" => Self::Zone,
            _ => {
                return plan_err!(
                    "there is no part '{name}' of a date or time; there are year, quarter, month, week, day, hour, minute, \
                     second, dow, isodow, doy, isoyear, epoch, decade, century, millennium, milliseconds, microseconds"
                );
            }
        })
    }

    /// The decimal that the part is: digits and how many of them are behind the point.
    pub(super) fn answer(self) -> DataType {
        match self {
            Self::Epoch => DataType::Decimal128(20, 6),
            Self::Second => DataType::Decimal128(8, 6),
            Self::Millisecond => DataType::Decimal128(8, 3),
            Self::Julian => DataType::Decimal128(18, 6),
            _ => DataType::Decimal128(10, 0),
        }
    }

    /// The part of a wall clock, in units of the last digit of its decimal.
    pub(super) fn of_moment(self, at: NaiveDateTime) -> i128 {
        let date = at.date();
        let year = date.year();
        let shown = if year <= 0 { year - 1 } else { year };
        let micros = i64::from(at.second()) * 1_000_000 + i64::from(at.nanosecond() / 1000);
        let in_century = |years: i32| {
            if shown > 0 {
                (shown + years - 1) / years
            } else {
                -((years - 1 - shown) / years)
            }
        };
        let value = match self {
            Self::Microsecond | Self::Millisecond | Self::Second => micros,
            Self::Minute => i64::from(at.minute()),
            Self::Hour => i64::from(at.hour()),
            Self::Day => i64::from(date.day()),
            Self::Week => i64::from(date.iso_week().week()),
            Self::Month => i64::from(date.month()),
            Self::Quarter => i64::from(date.month0() / 3 + 1),
            Self::Year => i64::from(shown),
            Self::Decade => i64::from(year.div_euclid(10)),
            Self::Century => i64::from(in_century(100)),
            Self::Millennium => i64::from(in_century(1000)),
            Self::DayOfWeek => i64::from(date.weekday().num_days_from_sunday()),
            Self::IsoDayOfWeek => i64::from(date.weekday().number_from_monday()),
            Self::DayOfYear => i64::from(date.ordinal()),
            Self::IsoYear => i64::from(date.iso_week().year()),
            Self::Julian => {
                let days = i128::from(date.num_days_from_ce()) + 1_721_425;
                let of_day = i128::from(at.num_seconds_from_midnight()) * 1_000_000
                    + i128::from(at.nanosecond() / 1000);
                return days * 1_000_000 + of_day / 86_400;
            }
            Self::Epoch => at.and_utc().timestamp_micros(),
            Self::Zone => 0,
        };
        i128::from(value)
    }

    /// The part of an interval; `None` where it has no such part.
    pub(super) fn of_span(self, span: Span) -> Option<i128> {
        let value = match self {
            Self::Microsecond | Self::Millisecond | Self::Second => span.micros % 60_000_000,
            Self::Minute => span.micros / 60_000_000 % 60,
            Self::Hour => span.micros / 3_600_000_000,
            Self::Day => i64::from(span.days),
            Self::Month => i64::from(span.months % 12),
            Self::Quarter => i64::from(span.months % 12 / 3 + 1),
            Self::Year => i64::from(span.months / 12),
            Self::Decade => i64::from(span.months / 120),
            Self::Century => i64::from(span.months / 1200),
            Self::Millennium => i64::from(span.months / 12_000),
            Self::Epoch => {
                // A year is 365.25 days here, as in PostgreSQL.
                let years = i128::from(span.months / 12) * 31_557_600_000_000;
                let months = i128::from(span.months % 12) * 30 * i128::from(DAY);
                return Some(
                    years
                        + months
                        + i128::from(span.days) * i128::from(DAY)
                        + i128::from(span.micros),
                );
            }
            _ => return None,
        };
        Some(i128::from(value))
    }

    /// A wall clock with everything below the part cut off; `None` where that cannot be done or leaves the calendar.
    pub(super) fn cut(self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = at.date();
        let year = date.year();
        let midnight = |date: NaiveDate| date.and_hms_opt(0, 0, 0);
        let first_of = |year: i32, month: u32| midnight(NaiveDate::from_ymd_opt(year, month, 1)?);
        let micros = at.and_utc().timestamp_micros();
        let whole = |unit: i64| super::text::moment(micros.div_euclid(unit) * unit);
        match self {
            Self::Microsecond => whole(1),
            Self::Millisecond => whole(1000),
            Self::Second => whole(1_000_000),
            Self::Minute => whole(60_000_000),
            Self::Hour => whole(3_600_000_000),
            Self::Day => midnight(date),
            Self::Week => {
                let back = u64::from(date.weekday().num_days_from_monday());
                midnight(date.checked_sub_days(chrono::Days::new(back))?)
            }
            Self::Month => first_of(year, date.month()),
            Self::Quarter => first_of(year, date.month0() / 3 * 3 + 1),
            Self::Year => first_of(year, 1),
            Self::Decade => first_of(year.div_euclid(10) * 10, 1),
            Self::Century => first_of((year - 1).div_euclid(100) * 100 + 1, 1),
            Self::Millennium => first_of((year - 1).div_euclid(1000) * 1000 + 1, 1),
            _ => None,
        }
    }
}

/// The interval from `from` to `to`, in years, months, days and time of the calendar.
pub(super) fn age(to: NaiveDateTime, from: NaiveDateTime) -> Option<Span> {
    if to < from {
        let span = age(from, to)?;
        return Some(Span {
            months: -span.months,
            days: -span.days,
            micros: -span.micros,
        });
    }
    let clock = |at: NaiveDateTime| {
        i64::from(at.num_seconds_from_midnight()) * 1_000_000 + i64::from(at.nanosecond() / 1000)
    };
    let mut micros = clock(to) - clock(from);
    let mut days = to.day() as i32 - from.day() as i32;
    let mut months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        // The days of the month that the earlier moment is in.
        days += days_in_month(from.date())?;
        months -= 1;
    }
    Some(Span {
        months,
        days,
        micros,
    })
}

/// Days of the month that a day is in.
pub(super) fn days_in_month(date: NaiveDate) -> Option<i32> {
    let first = date.with_day(1)?;
    let next = first.checked_add_months(Months::new(1))?;
    Some((next - first).num_days() as i32)
}
